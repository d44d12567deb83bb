// One button for two habits: hold it while you talk, or press it once to begin and once to send.

/** Whoever lets go sooner has clicked. */
const HELD_MS = 350;

const TYPING = 'input, textarea, select, button, a, [contenteditable], dialog';

/**
 * `talk.begin()`, `talk.end()` and `talk.isOn` do it. A press that began the recording ends it when it was held; time
 * counts from when the microphone was open, so that a press that had to wait for the browser's question is a click.
 */
export function press(button, talk) {
  let begunByThisPress = false;

  const down = () => {
    begunByThisPress = !talk.isOn;
    if (begunByThisPress) talk.begin();
    else talk.end();
  };
  const up = () => {
    if (begunByThisPress && talk.openSince && performance.now() - talk.openSince > HELD_MS) talk.end();
    begunByThisPress = false;
  };

  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    down();
  });
  button.addEventListener('pointerup', up);
  button.addEventListener('pointercancel', up);
  button.addEventListener('contextmenu', (event) => event.preventDefault()); // a long touch means to talk
  button.addEventListener('click', (event) => {
    if (event.detail === 0) down(); // neither pointer nor key: a screen reader, or a voice command
  });

  const isShown = () => button.offsetParent !== null;
  const isMeant = (event) =>
    (event.target === button && (event.key === ' ' || event.key === 'Enter')) ||
    (event.key === ' ' && isShown() && !event.target.closest?.(TYPING));
  document.addEventListener('keydown', (event) => {
    if (!isMeant(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) down();
  });
  document.addEventListener('keyup', (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    up();
  });
}
