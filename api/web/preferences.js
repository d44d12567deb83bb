// Voice and language, stored in this browser.

import { byId, makeElement } from './dom.js';

const NAMES = ['language', 'voice'];

const LANGUAGES = ['ar', 'cs', 'da', 'de', 'el', 'en', 'es', 'fa', 'fi', 'fr', 'hi', 'hu', 'it', 'ja', 'ko', 'nl', 'no', 'pl', 'pt', 'ro', 'ru', 'sk', 'sv', 'tr', 'uk', 'vi', 'zh'];

export function initPreferences() {
  const languageNames = new Intl.DisplayNames([navigator.language], { type: 'language' });
  const options = LANGUAGES.map((code) => makeElement('option', { value: code, label: languageNames.of(code) }));
  byId('languages').append(...options);
  for (const name of NAMES) {
    const input = byId(name);
    input.value = localStorage.getItem(storageKey(name)) ?? '';
    input.addEventListener('input', () => localStorage.setItem(storageKey(name), input.value.trim()));
  }
  const button = byId('preferences-toggle');
  button.addEventListener('click', () => {
    const panel = byId('preferences');
    panel.hidden = !panel.hidden;
    button.setAttribute('aria-expanded', String(!panel.hidden));
    if (!panel.hidden) byId('language').focus();
    scrollTo(0, document.scrollingElement.scrollHeight); // the panel would otherwise cover the last turn
  });
}

/** The fields of a question's form, without empty ones. */
export function selectedPreferences() {
  const entries = NAMES.map((name) => [name, byId(name).value.trim()]);
  return Object.fromEntries(entries.filter(([, value]) => value));
}

/** Suggest the voices of the running workers. */
export function suggestVoices(names) {
  byId('voices').replaceChildren(...names.map((value) => makeElement('option', { value })));
}

const storageKey = (name) => `cascade.${name}`;
