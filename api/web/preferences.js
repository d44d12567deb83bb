// Voice and language, remembered by this browser.

import { byId, make } from './dom.js';

const NAMES = ['language', 'voice'];

const LANGUAGES = ['ar', 'cs', 'da', 'de', 'el', 'en', 'es', 'fa', 'fi', 'fr', 'hi', 'hu', 'it', 'ja', 'ko', 'nl', 'no', 'pl', 'pt', 'ro', 'ru', 'sk', 'sv', 'tr', 'uk', 'vi', 'zh'];

export function preferences() {
  const names = new Intl.DisplayNames([navigator.language], { type: 'language' });
  byId('languages').append(...LANGUAGES.map((code) => make('option', { value: code, label: names.of(code) })));
  for (const name of NAMES) {
    const input = byId(name);
    input.value = localStorage.getItem(stored(name)) ?? '';
    input.addEventListener('input', () => localStorage.setItem(stored(name), input.value.trim()));
  }
  const button = byId('adjust');
  button.addEventListener('click', () => {
    const panel = byId('preferences');
    panel.hidden = !panel.hidden;
    button.setAttribute('aria-expanded', String(!panel.hidden));
    if (!panel.hidden) byId('language').focus();
    scrollTo(0, document.scrollingElement.scrollHeight); // nothing that is read is covered
  });
}

/** What goes with a question: nothing that is empty. */
export function chosen() {
  const entries = NAMES.map((name) => [name, byId(name).value.trim()]);
  return Object.fromEntries(entries.filter(([, value]) => value));
}

/** Voices that are known to be there. */
export function suggestVoices(names) {
  byId('voices').replaceChildren(...names.map((value) => make('option', { value })));
}

const stored = (name) => `cascade.${name}`;
