// The API key, stored for this tab. A dialog asks for it once, however many requests wait for it.

import { byId } from './dom.js';
import { KEY_INVALID } from './strings.js';

const STORAGE_KEY = 'cascade.key';

let pendingDialog = null;

export function currentKey() {
  return sessionStorage.getItem(STORAGE_KEY);
}

/** Ask for another key than `rejected`. Resolves to true if there is one. */
export function requestKey(rejected) {
  if (currentKey() !== rejected) return Promise.resolve(true);
  pendingDialog ??= showDialog(Boolean(rejected)).finally(() => {
    pendingDialog = null;
  });
  return pendingDialog;
}

function showDialog(wasRejected) {
  const dialog = byId('key-dialog');
  const input = byId('key-input');
  if (wasRejected) byId('key-hint').textContent = KEY_INVALID;
  input.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const listeners = new AbortController();
    const { signal } = listeners;
    const close = (key) => {
      if (key) sessionStorage.setItem(STORAGE_KEY, key);
      listeners.abort();
      dialog.close();
      resolve(Boolean(key));
    };
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      close(input.value.trim());
    }, { signal });
    byId('key-cancel').addEventListener('click', () => close(''), { signal });
    dialog.addEventListener('cancel', () => close(''), { signal });
  });
}
