// Whether the service can serve: asked now and then while somebody looks, and more often while it is away.

import { connection } from './api.js';
import { byId } from './dom.js';
import { suggestVoices } from './preferences.js';
import { readiness } from './strings.js';

const EVERY_MS = 10_000;
const AWAY_EVERY_MS = 1500;

/** Says `told`, with what `/readyz` said as `detail`; null where nobody answers. */
export const ready = new EventTarget();

let timer = 0;
let isAway = false;

export function watchReadiness() {
  connection.addEventListener('away', () => {
    if (!isAway) tell(null);
  });
  connection.addEventListener('answered', () => {
    if (isAway) look();
  });
  document.addEventListener('visibilitychange', look);
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let told = null;
  try {
    // Not through `call`: 503 is an answer here, and it needs no key.
    const response = await fetch('readyz', { cache: 'no-store', credentials: 'omit' });
    told = await response.json();
    if (!told.stages) told = null;
  } catch {
    // nobody answers
  }
  tell(told);
}

function tell(told) {
  isAway = told === null;
  clearTimeout(timer);
  timer = setTimeout(look, told?.ready ? EVERY_MS : AWAY_EVERY_MS);
  const text = readiness(told);
  const banner = byId('banner');
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
  byId('dot').dataset.state = told?.ready ? 'ready' : 'wanting';
  const voices = told?.stages.tts?.engines.map((engine) => engine.model) ?? [];
  if (voices.length) suggestVoices(voices);
  ready.dispatchEvent(new CustomEvent('told', { detail: told }));
}
