// The level meter behind the record button: the level of the microphone or of the answer, spreading from the middle.

const STEP_PX = 6;
const BAR_PX = 3;
const STEP_MS = 36;
const REDUCED_STEP_MS = 120;
const MAX_LEVELS = 200;

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

export class LevelMeter {
  constructor(canvas) {
    this.canvas = canvas;
    this.levels = [];
    this.analyser = null;
    this.drawnAt = 0;
    this.isMoving = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** Show the level of an analyser in the colour of a stage; null shows none. */
  show(analyser, stage) {
    if (this.analyser === analyser) return;
    this.analyser = analyser;
    if (stage) this.stage = stage;
    if (!analyser) return;
    this.levels = [];
    this.samples = new Float32Array(analyser.fftSize);
    if (!this.isMoving) requestAnimationFrame((now) => this.drawFrame(now));
    this.isMoving = true;
  }

  drawFrame(now) {
    const stepMs = reducedMotion.matches ? REDUCED_STEP_MS : STEP_MS;
    if (now - this.drawnAt >= stepMs) {
      this.drawnAt = now;
      this.levels.unshift(this.analyser ? this.measureLevel() : 0);
      this.levels.length = Math.min(this.levels.length, MAX_LEVELS);
      this.draw();
    }
    this.isMoving = this.analyser !== null || this.levels.some((level) => level > 0);
    if (this.isMoving) requestAnimationFrame((next) => this.drawFrame(next));
  }

  /** The level from 0 to 1, on a logarithmic scale of 48 dB. */
  measureLevel() {
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
    const context = canvas.getContext('2d');
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const middle = width / 2;
    const count = Math.ceil(middle / STEP_PX);
    for (let index = 0; index < count; index += 1) {
      // With reduced motion nothing travels outwards: all bars show the current level, as a VU meter does.
      const level = reducedMotion.matches ? this.currentLevel(index, count) : (this.levels[index] ?? 0);
      context.fillStyle = style.getPropertyValue(level ? `--${this.stage}` : '--line');
      context.globalAlpha = level ? 1 - 0.75 * (index / count) : 1;
      const barHeight = Math.max(2, level * height * 0.92);
      for (const x of [middle + index * STEP_PX, middle - index * STEP_PX]) {
        context.beginPath();
        context.roundRect(x - BAR_PX / 2, (height - barHeight) / 2, BAR_PX, barHeight, BAR_PX / 2);
        context.fill();
      }
    }
  }

  /** The height of a bar when the current level is shown as a number of bars of equal height. */
  currentLevel(index, count) {
    return (this.levels[0] ?? 0) * count > index ? 0.3 : 0;
  }
}
