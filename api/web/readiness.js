// Polls the readiness of the service while the page is visible, and more often while it is not ready.

import { connection } from './api.js';
import { byId } from './dom.js';
import { suggestVoices } from './preferences.js';
import { readinessProblem } from './strings.js';

const READY_INTERVAL_MS = 10_000;
const NOT_READY_INTERVAL_MS = 1500;

/** Dispatches `update` after each poll, with the response of `/readyz` as `detail`; null if there was none. */
export const readinessUpdates = new EventTarget();

let timer = 0;
let isUnreachable = false;

export function watchReadiness() {
  connection.addEventListener('unreachable', () => {
    if (!isUnreachable) update(null);
  });
  connection.addEventListener('reachable', () => {
    if (isUnreachable) poll();
  });
  document.addEventListener('visibilitychange', poll);
  poll();
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  let readiness = null;
  try {
    // Not through `request`: here 503 is a normal response, and no key is required.
    const response = await fetch('readyz', { cache: 'no-store', credentials: 'omit' });
    readiness = await response.json();
    if (!readiness.stages) readiness = null;
  } catch {
    // the service does not respond
  }
  update(readiness);
}

function update(readiness) {
  isUnreachable = readiness === null;
  clearTimeout(timer);
  timer = setTimeout(poll, readiness?.ready ? READY_INTERVAL_MS : NOT_READY_INTERVAL_MS);
  const problem = readinessProblem(readiness);
  const banner = byId('banner');
  if (banner.textContent !== problem) banner.textContent = problem;
  banner.hidden = !problem;
  byId('status-dot').dataset.state = readiness?.ready ? 'ready' : 'not-ready';
  const voices = readiness?.stages.tts?.engines.map((engine) => engine.model) ?? [];
  if (voices.length) suggestVoices(voices);
  readinessUpdates.dispatchEvent(new CustomEvent('update', { detail: readiness }));
}
