// Runs before the page's scripts: records what the page plays, and measures the level at the output.
window.audioProbe = { segments: [], stopped: 0, peak: 0, level: 0 };

const record = {
  start: (source, at) =>
    audioProbe.segments.push({ at, scheduledAt: source.context.currentTime, duration: source.buffer.duration }),
  stop: () => { audioProbe.stopped += 1; },
};
for (const name of Object.keys(record)) {
  const original = AudioBufferSourceNode.prototype[name];
  AudioBufferSourceNode.prototype[name] = function (...args) {
    record[name](this, ...args);
    return original.apply(this, args);
  };
}

const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const analyser = target.context.createAnalyser();
    connect.call(this, analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      audioProbe.level = Math.max(...samples.map(Math.abs));
      audioProbe.peak = Math.max(audioProbe.peak, audioProbe.level);
    }, 20);
  }
  return connect.call(this, target, ...rest);
};
