// Put into the page before its own scripts: an ear on its audio graph, where the loudspeaker is.
window.heard = { pieces: [], cut: 0, loudest: 0, now: 0 };

for (const [name, note] of [
  ['start', (source, at) => heard.pieces.push({ at, asked: source.context.currentTime, lasts: source.buffer.duration })],
  ['stop', () => { heard.cut += 1; }],
]) {
  const plain = AudioBufferSourceNode.prototype[name];
  AudioBufferSourceNode.prototype[name] = function (...given) {
    note(this, ...given);
    return plain.apply(this, given);
  };
}

const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const ear = target.context.createAnalyser();
    connect.call(this, ear);
    const samples = new Float32Array(ear.fftSize);
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      heard.now = Math.max(...samples.map(Math.abs));
      heard.loudest = Math.max(heard.loudest, heard.now);
    }, 20);
  }
  return connect.call(this, target, ...rest);
};
