// Records from the microphone.

/** The formats in which browsers record, in order of preference. The service accepts each of them. */
const MIME_TYPES = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];

/** Speech recognition models are trained on unprocessed audio, and the browser's gain control clips loud voices. */
const AUDIO_CONSTRAINTS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** A recording with a lower peak holds only noise, or comes from a muted microphone. */
const SILENT_PEAK = 0.005;

const MEASURE_MS = 20;

export class Recorder {
  /** Throws a DOMException: NotAllowedError, NotFoundError or NotReadableError of the browser, or InsecureContext. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      throw new DOMException('', 'InsecureContext');
    }
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: AUDIO_CONSTRAINTS });
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.context.createMediaStreamSource(this.stream).connect(this.analyser);
    this.peak = 0;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.measuring = setInterval(() => this.measurePeak(), MEASURE_MS);

    const mimeType = MIME_TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.recorder = new MediaRecorder(this.stream, { mimeType });
    this.chunks = [];
    this.recorder.ondataavailable = ({ data }) => this.chunks.push(data);
    this.recorder.start();
    this.startedAt = performance.now();
  }

  get elapsedS() {
    return (performance.now() - this.startedAt) / 1000;
  }

  get isSilent() {
    return this.peak < SILENT_PEAK;
  }

  measurePeak() {
    this.analyser.getFloatTimeDomainData(this.samples);
    for (const sample of this.samples) this.peak = Math.max(this.peak, Math.abs(sample));
  }

  /** Return the recording, and close the microphone, so that the browser's indicator goes off. */
  async stop() {
    const stopped = new Promise((resolve) => {
      this.recorder.onstop = resolve;
    });
    if (this.recorder.state !== 'inactive') {
      this.recorder.stop();
      await stopped;
    }
    clearInterval(this.measuring);
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
    return new Blob(this.chunks, { type: this.recorder.mimeType });
  }
}
