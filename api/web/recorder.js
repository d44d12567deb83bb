// The microphone, from the press of a button to a recording.

/** What a browser records; the service takes all of them. */
const KINDS = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];

/** Recognizers are trained on sound as it is; a browser's gain control makes loud voices clip. */
const PLAIN = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** Below this, the loudest moment of a recording is the noise of an open line, or a microphone that is switched off. */
const SILENT_PEAK = 0.005;

export class Recorder {
  /** Raises a DOMException named NotAllowedError, NotFoundError or NotReadableError; or NoMicrophoneHere. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      throw new DOMException('', 'NoMicrophoneHere');
    }
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
    this.context = new AudioContext();
    this.level = this.context.createAnalyser();
    this.level.fftSize = 1024;
    this.context.createMediaStreamSource(this.stream).connect(this.level);
    this.peak = 0;
    this.samples = new Float32Array(this.level.fftSize);
    this.watch = setInterval(() => this.measure(), 20);

    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    this.recorder = new MediaRecorder(this.stream, { mimeType });
    this.pieces = [];
    this.recorder.ondataavailable = ({ data }) => this.pieces.push(data);
    this.recorder.start();
    this.startedAt = performance.now();
  }

  get seconds() {
    return (performance.now() - this.startedAt) / 1000;
  }

  get isSilent() {
    return this.peak < SILENT_PEAK;
  }

  measure() {
    this.level.getFloatTimeDomainData(this.samples);
    for (const sample of this.samples) this.peak = Math.max(this.peak, Math.abs(sample));
  }

  /** The recording. The browser's sign that the microphone is open goes out. */
  async stop() {
    const stopped = new Promise((resolve) => {
      this.recorder.onstop = resolve;
    });
    if (this.recorder.state !== 'inactive') {
      this.recorder.stop();
      await stopped;
    }
    clearInterval(this.watch);
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
    return new Blob(this.pieces, { type: this.recorder.mimeType });
  }
}
