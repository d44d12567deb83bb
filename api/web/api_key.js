// The key of a service that asks for one: kept for this tab, and asked for once, however many calls need it.

import { byId } from './dom.js';

const STORED = 'cascade.key';

let asking = null;

export function currentKey() {
  return sessionStorage.getItem(STORED);
}

/** Whether there is another key now than `refused`, the one that did not open. */
export function askForKey(refused) {
  if (currentKey() !== refused) return Promise.resolve(true);
  asking ??= ask(Boolean(refused)).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(again) {
  const dialog = byId('key');
  const text = byId('key-text');
  if (again) byId('key-why').textContent = 'That key does not open this service. Look for a missing letter.';
  text.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (key) => {
      if (key) sessionStorage.setItem(STORED, key);
      leaving.abort();
      dialog.close();
      resolve(Boolean(key));
    };
    const leaving = new AbortController();
    const { signal } = leaving;
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      end(text.value.trim());
    }, { signal });
    byId('key-leave').addEventListener('click', () => end(''), { signal });
    dialog.addEventListener('cancel', () => end(''), { signal });
  });
}
