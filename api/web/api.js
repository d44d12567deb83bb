// Every call to the service goes through here: it carries the key, and makes errors into words.

import { askForKey, currentKey } from './api_key.js';

/** The service refused: `message` says what to do. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Nobody answers. */
export class Away extends Error {
  constructor() {
    super('The service does not answer. It is tried again until it does.');
  }
}

const NO_KEY = 'This service serves only who has a key. Try again to enter one.';

/** Says `away` when nobody answers, and `answered` when somebody does. */
export const connection = new EventTarget();

/** Addresses are relative, so that the page also works below a path of a proxy. */
export async function call(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const sent = { ...headers };
    const key = currentKey();
    if (key) sent.Authorization = `Bearer ${key}`;
    let response;
    try {
      // Without credentials, or the browser would ask for a name and a password of its own accord.
      response = await fetch(path, { cache: 'no-store', credentials: 'omit', headers: sent, ...options });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      connection.dispatchEvent(new Event('away'));
      throw new Away();
    }
    connection.dispatchEvent(new Event('answered'));
    if (response.ok) return response;
    if (response.status !== 401) throw await problemOf(response);
    if (!(await askForKey(key))) throw new Problem(401, 'unauthorized', NO_KEY);
  }
}

export async function json(path, options) {
  return (await call(path, options)).json();
}

export function post(path, body, idempotencyKey) {
  const isForm = body instanceof FormData;
  return json(path, {
    method: 'POST',
    body: isForm ? body : JSON.stringify(body),
    headers: { 'Idempotency-Key': idempotencyKey, ...(isForm ? {} : { 'Content-Type': 'application/json' }) },
  });
}

async function problemOf(response) {
  try {
    const { code, detail } = await response.json();
    return new Problem(response.status, code, detail);
  } catch {
    return new Problem(response.status, 'http_error', `The service answered with ${response.status}. Try again later.`);
  }
}

/** A random id. `crypto.randomUUID` exists only where the connection is safe; this page also opens elsewhere. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
