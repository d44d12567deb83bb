// HTTP requests to the service: adds the API key, and turns errors into sentences for the user.

import { currentKey, requestKey } from './api_key.js';
import { KEY_REQUIRED, UNREACHABLE, httpError } from './strings.js';

/** The service refused a request. `message` is for the user. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** The service does not respond. */
export class Unreachable extends Error {
  constructor() {
    super(UNREACHABLE);
  }
}

/** Dispatches `unreachable` and `reachable`, after requests without and with a response. */
export const connection = new EventTarget();

/** Send a request. Paths are relative, so that the page also works under a path of a reverse proxy. */
export async function request(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const allHeaders = { ...headers };
    const key = currentKey();
    if (key) allHeaders.Authorization = `Bearer ${key}`;
    let response;
    try {
      // Without credentials: on a 401 the browser would show its own dialog for a name and a password.
      response = await fetch(path, { cache: 'no-store', credentials: 'omit', headers: allHeaders, ...options });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      connection.dispatchEvent(new Event('unreachable'));
      throw new Unreachable();
    }
    connection.dispatchEvent(new Event('reachable'));
    if (response.ok) return response;
    if (response.status !== 401) throw await readProblem(response);
    if (!(await requestKey(key))) throw new Problem(401, 'unauthorized', KEY_REQUIRED);
  }
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

export function post(path, body, idempotencyKey) {
  const isForm = body instanceof FormData;
  return getJson(path, {
    method: 'POST',
    body: isForm ? body : JSON.stringify(body),
    headers: { 'Idempotency-Key': idempotencyKey, ...(isForm ? {} : { 'Content-Type': 'application/json' }) },
  });
}

async function readProblem(response) {
  try {
    const { code, detail } = await response.json();
    return new Problem(response.status, code, detail);
  } catch {
    return new Problem(response.status, 'http_error', httpError(response.status));
  }
}

/** A random id. `crypto.randomUUID` exists only in secure contexts, and the page may be opened over plain HTTP. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
