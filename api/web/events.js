// Following a job. EventSource cannot carry a key, so the stream is read and parsed here.

import { Away, call } from './api.js';

const ENDED = new Set(['completed', 'failed', 'cancelled']);
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;

/** What happens to a job, as `{name, data}`, to its end; whatever breaks the connection, each event comes once. */
export async function* follow(jobId, signal) {
  let last = '';
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    try {
      const headers = last ? { 'Last-Event-ID': last } : {};
      const response = await call(`events/${jobId}`, { headers, signal });
      for await (const event of parse(response.body)) {
        last = event.id || last;
        pause = FIRST_PAUSE_MS;
        yield event;
        if (ENDED.has(event.name)) return;
      }
    } catch (error) {
      const isForGood = !(error instanceof Away || error instanceof TypeError || error.status >= 500);
      if (isForGood) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Server-sent events (HTML standard, 9.2.6) out of a stream of bytes. */
async function* parse(body) {
  let event = { name: 'message', id: '', data: [] };
  for await (const line of lines(body)) {
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

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const pieces = (rest + value).split('\n');
      rest = pieces.pop();
      for (const piece of pieces) yield piece.replace(/\r$/, '');
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
