// The voice: spoken pieces, fetched while others play, put end to end on one clock.

import { Away, call } from './api.js';

/** Far enough ahead that the first sample is not late. */
const LEAD_S = 0.04;

/** How soon a piece is asked for again while nobody answers. */
const AWAY_MS = 500;

let context = null;
let output = null;

/** The graph that everything is heard through. Browsers let it sound once somebody has pressed something. */
function audio() {
  if (!context) {
    context = new AudioContext();
    output = context.createAnalyser();
    output.fftSize = 1024;
    output.connect(context.destination);
  }
  return context;
}

/** To be called from within a press of a button or key. */
export function unlock() {
  if (audio().state === 'suspended') context.resume().catch(() => {});
}

export const isLocked = () => context !== null && context.state === 'suspended';

/** The analyser behind which the loudspeaker is. */
export function heard() {
  audio();
  return output;
}

export class Playback {
  /** `onchange` is called when there is something to be heard, and when there is no more. */
  constructor(onchange = () => {}) {
    this.onchange = onchange;
    this.isSounding = false;
    this.isSilenced = false;
    this.begin(0);
  }

  /** Forget what was to be heard; the next piece is number `first`. */
  begin(first) {
    this.generation = Symbol('generation');
    this.next = first;
    this.pieces = new Map();
    this.freeAt = 0;
    this.cut();
  }

  cut() {
    for (const source of this.sources ?? []) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources = new Set();
    this.tell();
  }

  /** Nothing more of this is heard. */
  silence() {
    this.isSilenced = true;
    this.generation = Symbol('over');
    this.pieces.clear();
    this.cut();
  }

  /** A piece: they are fetched and decoded side by side, and heard in order. */
  async add(index, path) {
    if (this.isSilenced || index < this.next) return;
    const { generation } = this;
    this.pieces.set(index, decoded(path, () => generation === this.generation));
    this.tell();
    if (index !== this.next) return;
    while (this.pieces.has(this.next)) {
      const buffer = await this.pieces.get(this.next);
      if (generation !== this.generation) return;
      this.pieces.delete(this.next);
      this.next += 1;
      if (buffer) this.schedule(buffer);
      this.tell();
    }
  }

  /** A whole answer. */
  async play(response) {
    const { generation } = this;
    const buffer = await decode(response);
    if (generation === this.generation) this.schedule(buffer);
  }

  schedule(buffer) {
    const source = new AudioBufferSourceNode(audio(), { buffer });
    const startAt = Math.max(this.freeAt, context.currentTime + LEAD_S);
    this.freeAt = startAt + buffer.duration;
    source.connect(output);
    context.onstatechange = this.onchange;
    source.start(startAt);
    source.onended = () => {
      this.sources.delete(source);
      this.tell();
    };
    this.sources.add(source);
    this.tell();
  }

  tell() {
    const isSounding = this.sources.size + this.pieces.size > 0;
    if (isSounding === this.isSounding) return;
    this.isSounding = isSounding;
    this.onchange();
  }
}

/** A piece that cannot be had is left out: the text is there, and the rest is worth hearing. */
async function decoded(path, isWanted) {
  for (;;) {
    try {
      return await decode(await call(path));
    } catch (error) {
      const isGone = error instanceof Away || error instanceof TypeError; // the latter in the middle of it
      if (!isGone || !isWanted()) return null;
      await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    }
  }
}

async function decode(response) {
  return audio().decodeAudioData(await response.arrayBuffer());
}
