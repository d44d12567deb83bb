// Plays answers: audio segments, downloaded while earlier ones play, and scheduled without gaps on one clock.

import { Unreachable, request } from './api.js';

/** How far ahead a source is scheduled, so that its first sample is not late. */
const LEAD_S = 0.04;

/** The delay before a download is retried while the service does not respond. */
const RETRY_MS = 500;

let context = null;
let analyser = null;

/** The audio context of all playback. Browsers keep it suspended until the first click or key. */
function audioContext() {
  if (!context) {
    context = new AudioContext();
    analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    analyser.connect(context.destination);
  }
  return context;
}

/** Allow playback. Call this in a listener of a click or a key. */
export function unlockPlayback() {
  if (audioContext().state === 'suspended') context.resume().catch(() => {});
}

export const isPlaybackBlocked = () => context !== null && context.state === 'suspended';

/** The analyser of everything that is played. */
export function outputAnalyser() {
  audioContext();
  return analyser;
}

export class Playback {
  /** `onchange` is called when there is something to play, and when there is nothing left. */
  constructor(onchange = () => {}) {
    this.onchange = onchange;
    this.isPlaying = false;
    this.isStopped = false;
    this.restart(0);
  }

  /** Discard all segments; the next one to play is number `first`. */
  restart(first) {
    this.generation = Symbol('generation');
    this.nextIndex = first;
    this.downloads = new Map();
    this.endsAt = 0;
    this.stopSources();
  }

  stopSources() {
    for (const source of this.sources ?? []) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources = new Set();
    this.update();
  }

  /** Stop for good. */
  stop() {
    this.isStopped = true;
    this.generation = Symbol('stopped');
    this.downloads.clear();
    this.stopSources();
  }

  /** Add a segment. Segments are downloaded and decoded concurrently, and played in order. */
  async addSegment(index, path) {
    if (this.isStopped || index < this.nextIndex) return;
    const { generation } = this;
    this.downloads.set(index, downloadSegment(path, () => generation === this.generation));
    this.update();
    if (index !== this.nextIndex) return;
    while (this.downloads.has(this.nextIndex)) {
      const buffer = await this.downloads.get(this.nextIndex);
      if (generation !== this.generation) return;
      this.downloads.delete(this.nextIndex);
      this.nextIndex += 1;
      if (buffer) this.schedule(buffer);
      this.update();
    }
  }

  /** Play a whole answer from its response. */
  async playWhole(response) {
    const { generation } = this;
    const buffer = await decode(response);
    if (generation === this.generation) this.schedule(buffer);
  }

  schedule(buffer) {
    const source = new AudioBufferSourceNode(audioContext(), { buffer });
    const startAt = Math.max(this.endsAt, context.currentTime + LEAD_S);
    this.endsAt = startAt + buffer.duration;
    source.connect(analyser);
    context.onstatechange = this.onchange;
    source.start(startAt);
    source.onended = () => {
      this.sources.delete(source);
      this.update();
    };
    this.sources.add(source);
    this.update();
  }

  update() {
    const isPlaying = this.sources.size + this.downloads.size > 0;
    if (isPlaying === this.isPlaying) return;
    this.isPlaying = isPlaying;
    this.onchange();
  }
}

/** The decoded segment; null if it is missing or damaged, so that the rest of the answer is still played. */
async function downloadSegment(path, isNeeded) {
  for (;;) {
    try {
      return await decode(await request(path));
    } catch (error) {
      const isTemporary = error instanceof Unreachable || error instanceof TypeError; // TypeError: the body broke off
      if (!isTemporary || !isNeeded()) return null;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function decode(response) {
  return audioContext().decodeAudioData(await response.arrayBuffer());
}
