// The strip behind the button: what goes in, and what comes out, as a picture that spreads from the middle.

const STEP_PX = 6;
const BAR_PX = 3;
const STEP_MS = 36;
const CALM_STEP_MS = 120;

const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Strip {
  constructor(canvas) {
    this.canvas = canvas;
    this.history = [];
    this.analyser = null;
    this.drawnAt = 0;
    this.isMoving = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** Show what passes an analyser, in the colour of a stage, until another is shown, or none. */
  show(analyser, stage) {
    if (this.analyser === analyser) return;
    this.analyser = analyser;
    if (stage) this.stage = stage;
    if (!analyser) return;
    this.history = [];
    this.samples = new Float32Array(analyser.fftSize);
    if (!this.isMoving) requestAnimationFrame((now) => this.frame(now));
    this.isMoving = true;
  }

  frame(now) {
    const step = calm.matches ? CALM_STEP_MS : STEP_MS;
    if (now - this.drawnAt >= step) {
      this.drawnAt = now;
      this.history.unshift(this.analyser ? this.level() : 0);
      this.history.length = Math.min(this.history.length, 200);
      this.draw();
    }
    this.isMoving = this.analyser !== null || this.history.some((level) => level > 0);
    if (this.isMoving) requestAnimationFrame((next) => this.frame(next));
  }

  /** Loudness from 0 to 1, as ears measure it: 60 dB of it. */
  level() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-9) + 12) / 48)) ** 1.5;
  }

  draw() {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const middle = width / 2;
    const count = Math.ceil(middle / STEP_PX);
    for (let place = 0; place < count; place += 1) {
      // For whoever wants no motion, the strip is one column of a meter: it grows and shrinks, and nothing travels.
      const level = calm.matches ? this.asMeter(place, count) : (this.history[place] ?? 0);
      pen.fillStyle = style.getPropertyValue(level ? `--${this.stage}` : '--line');
      pen.globalAlpha = level ? 1 - 0.75 * (place / count) : 1;
      const tall = Math.max(2, level * height * 0.92);
      for (const x of [middle + place * STEP_PX, middle - place * STEP_PX]) {
        pen.beginPath();
        pen.roundRect(x - BAR_PX / 2, (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
        pen.fill();
      }
    }
  }

  asMeter(place, count) {
    return (this.history[0] ?? 0) * count > place ? 0.3 : 0;
  }
}
