// All texts that the scripts show.

export const STAGES = ['stt', 'llm', 'tts'];

export const STAGE_NAMES = { stt: 'Speech to text', llm: 'Language model', tts: 'Text to speech' };

const ACTIVITIES = { stt: 'Transcribing', llm: 'Generating the answer', tts: 'Synthesizing speech' };

// The status of a turn.
export const SENDING = 'Sending';
export const WAITING = 'Waiting';
export const PLAYING = 'Playing';
export const PLAYBACK_BLOCKED = 'Click or press any key to play the answer.';
export const STOPPED = 'Stopped.';
export const RESTARTED = 'The answer was interrupted and starts again';

// Its buttons.
export const SEND_AGAIN = 'Send again';
export const ASK_AGAIN = 'Ask again';
export const PLAY_AGAIN = 'Play again';
export const SAVE = 'Save';

// Errors of requests.
export const UNREACHABLE = 'The service does not respond. Try again when it is back.';
export const KEY_REQUIRED = 'This service requires an API key. Try again to enter one.';
export const KEY_INVALID = 'This key is not valid. Check it for typing errors.';

// The recording.
export const OPENING_MICROPHONE = 'Opening the microphone …';
export const RECORDING = 'Recording';
export const DISCARDED = 'Discarded.';
export const TOO_SHORT = 'The recording is too short. Hold the button while you speak, or click it once to start.';
export const SILENT_MICROPHONE = 'No sound is coming in. Is the microphone muted?';
const ALTERNATIVE = 'Or drop a recording on this page, or type.';

/** Two significant digits, which are enough to compare: 40 ms, 0.35 s, 1.2 s, 75 s. */
export function duration(seconds) {
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 0.995) return `${seconds.toFixed(2)} s`;
  return Number.isInteger(seconds) || seconds >= 9.95 ? `${Math.round(seconds)} s` : `${seconds.toFixed(1)} s`;
}

const wholeSeconds = (seconds) => duration(Math.max(1, Math.round(seconds)));

export function position({ ahead, wait_s: waitS }) {
  const estimate = waitS === null || waitS === undefined ? '' : `, about ${wholeSeconds(waitS)}`;
  return ahead ? `Waiting: ${ahead} ahead of you${estimate}` : `Next in line${estimate}`;
}

export function activity({ stage, attempt }) {
  return attempt > 1 ? `${ACTIVITIES[stage]} (attempt ${attempt})` : ACTIVITIES[stage];
}

export function retrying({ stage, delay_ms: delayMs }) {
  return `${STAGE_NAMES[stage]} failed. Retrying in ${wholeSeconds(delayMs / 1000)}`;
}

export const httpError = (status) => `The service responded with the error ${status}. Try again later.`;

export const cancelFailed = (reason) => `The job may still be running. ${reason}`;

export const recordingDescription = (seconds) => `Recording of ${duration(seconds)}`;

export const recordingTime = (seconds) => `${RECORDING}, ${Math.floor(seconds)} s`;

export const transcriptAnnouncement = (text) => `You said: ${text}`;

/** Why the microphone cannot be used, and what to do. */
export function microphoneProblem(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return `Microphone access was denied. Allow it in the browser’s address bar, and press again. ${ALTERNATIVE}`;
    case 'NotFoundError':
      return `No microphone was found. Connect one or switch it on, and press again. ${ALTERNATIVE}`;
    case 'NotReadableError':
      return `Another program is using the microphone. Close it, and press again. ${ALTERNATIVE}`;
    case 'InsecureContext':
      return `Browsers allow the microphone only on https:// pages and on localhost. Open this page there. ${ALTERNATIVE}`;
    default:
      return `The microphone could not be opened. Try again. ${ALTERNATIVE}`;
  }
}

/** What is wrong according to the response of `/readyz`; empty if every stage is ready. */
export function readinessProblem(readiness) {
  if (!readiness) return 'The service does not respond. This page reconnects automatically.';
  if (!readiness.queue) return 'The service cannot reach its queue. Ask again when it is back.';
  const missing = STAGES.filter((stage) => !readiness.stages[stage]?.workers).map((stage) => STAGE_NAMES[stage].toLowerCase());
  if (!missing.length) return '';
  return `No worker is running for ${missing.join(' and ')}. Questions are queued until one starts.`;
}
