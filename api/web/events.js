// A job's events. EventSource cannot send an API key, so the stream is read and parsed here.

import { Unreachable, request } from './api.js';

const LAST_EVENTS = new Set(['completed', 'failed', 'cancelled']);
const FIRST_DELAY_MS = 300;
const MAX_DELAY_MS = 5000;

/** The events of a job as `{name, data}`, up to the last one. After a broken connection it resumes: none comes twice. */
export async function* followEvents(jobId, signal) {
  let lastId = '';
  let delayMs = FIRST_DELAY_MS;
  for (;;) {
    try {
      const headers = lastId ? { 'Last-Event-ID': lastId } : {};
      const response = await request(`events/${jobId}`, { headers, signal });
      for await (const event of parseEvents(response.body)) {
        lastId = event.id || lastId;
        delayMs = FIRST_DELAY_MS;
        yield event;
        if (LAST_EVENTS.has(event.name)) return;
      }
    } catch (error) {
      const isTemporary = error instanceof Unreachable || error instanceof TypeError || error.status >= 500;
      if (!isTemporary) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
  }
}

/** Parse a stream of bytes as server-sent events (HTML standard, 9.2.6). */
async function* parseEvents(body) {
  let event = { name: 'message', id: '', data: [] };
  for await (const line of readLines(body)) {
    if (line === '') {
      if (event.data.length) yield { name: event.name, id: event.id, data: JSON.parse(event.data.join('\n')) };
      event = { name: 'message', id: event.id, data: [] };
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === 'event') event.name = value;
    else if (field === 'id') event.id = value;
    else if (field === 'data') event.data.push(value);
  }
}

async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let incompleteLine = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (incompleteLine + value).split('\n');
      incompleteLine = lines.pop();
      for (const line of lines) yield line.replace(/\r$/, '');
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
