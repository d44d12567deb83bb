// One button with two modes: hold it while speaking, or click it once to start and once to send.

/** A shorter press is a click. */
const HOLD_MS = 350;

const INTERACTIVE = 'input, textarea, select, button, a, [contenteditable], dialog';

/**
 * Start and finish `recording` by presses of the button or the space bar. A press that started the recording finishes
 * it when it was held. It counts from the moment when the microphone was open, so that a press during which the
 * browser asked for permission is a click.
 */
export function pushToTalk(button, recording) {
  let isStartedByPress = false;

  const press = () => {
    isStartedByPress = !recording.isActive;
    if (isStartedByPress) recording.start();
    else recording.finish();
  };
  const release = () => {
    if (isStartedByPress && recording.openedAt && performance.now() - recording.openedAt > HOLD_MS) recording.finish();
    isStartedByPress = false;
  };

  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  button.addEventListener('pointerup', release);
  button.addEventListener('pointercancel', release);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long touch would open the menu
  button.addEventListener('click', (event) => {
    if (event.detail === 0) press(); // from a screen reader or a voice command, without a pointer or a key
  });

  const isVisible = () => button.offsetParent !== null;
  const isForButton = (event) =>
    (event.target === button && (event.key === ' ' || event.key === 'Enter')) ||
    (event.key === ' ' && isVisible() && !event.target.closest?.(INTERACTIVE));
  document.addEventListener('keydown', (event) => {
    if (!isForButton(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) press();
  });
  document.addEventListener('keyup', (event) => {
    if (!isForButton(event)) return;
    event.preventDefault();
    release();
  });
}
