// What the page says, in one place.

export const STAGES = ['stt', 'llm', 'tts'];

export const DOING = { stt: 'Hearing', llm: 'Thinking', tts: 'Speaking' };

const WORK = { stt: 'Speech recognition', llm: 'The language model', tts: 'Speech synthesis' };

/** 40 ms, 0.35 s, 1.2 s, 75 s: two digits are enough to compare. */
export function seconds(value) {
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  if (value < 0.995) return `${value.toFixed(2)} s`;
  return Number.isInteger(value) || value >= 9.95 ? `${Math.round(value)} s` : `${value.toFixed(1)} s`;
}

export function waiting({ ahead, wait_s: wait }) {
  const soon = wait === null || wait === undefined ? '' : `, about ${seconds(Math.max(1, Math.round(wait)))}`;
  return ahead ? `Waiting: ${ahead} before you${soon}` : `Next in line${soon}`;
}

export function working({ stage, attempt }) {
  return attempt > 1 ? `${DOING[stage]}, for the ${ordinal(attempt)} time` : DOING[stage];
}

export function retrying({ stage, delay_ms: delay }) {
  return `${WORK[stage]} had trouble. It is tried again in ${seconds(Math.max(1, Math.round(delay / 1000)))}`;
}

function ordinal(number) {
  return { 2: 'second', 3: 'third' }[number] ?? `${number}th`;
}

const ELSE = 'Or drop a recording on this page, or type.';

/** Why there is no recording, and what to do. */
export function microphoneProblem(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return `The microphone is refused. Allow it for this page in the browser’s address bar, and press again. ${ELSE}`;
    case 'NotFoundError':
      return `No microphone was found. Plug one in, or switch it on, and press again. ${ELSE}`;
    case 'NotReadableError':
      return `The microphone is taken by another program. Close that, and press again. ${ELSE}`;
    case 'NoMicrophoneHere':
      return `Browsers open the microphone only for pages at https:// and at localhost. Open this one so. ${ELSE}`;
    default:
      return `The microphone could not be opened. Try again. ${ELSE}`;
  }
}

export const TOO_SHORT = 'That was too short. Hold the button as long as you speak, or press it once to begin.';
export const NOTHING_HEARD = 'No sound comes in. Is the microphone muted?';
export const STOPPED = 'Stopped.';
export const BEGUN_ANEW = 'Something broke off. The answer begins anew';
export const LOCKED = 'Press anything to hear it.';

/** What `/readyz` says, as a sentence. */
export function readiness(told) {
  if (!told) return 'The service does not answer. This page goes on by itself as soon as it does.';
  if (!told.queue) return 'The service’s queue cannot be reached. Questions can be asked again when it is back.';
  const missing = STAGES.filter((stage) => !told.stages[stage]?.workers).map((stage) => WORK[stage].toLowerCase());
  if (!missing.length) return '';
  return `Nobody works for ${missing.join(' and ')} at the moment. What you ask is kept, and waits.`;
}
