// A question on its way: sent, followed, heard, stopped.

import { Away, call, json, newId, post } from './api.js';
import { follow } from './events.js';
import { Playback, isLocked } from './player.js';
import { DOING, STOPPED, BEGUN_ANEW, LOCKED, retrying, waiting, working } from './strings.js';

export class Exchange {
  constructor(turn, question, { onchange, onagain, onlisten }) {
    this.turn = turn;
    this.question = question;
    this.onchange = onchange;
    this.onagain = onagain;
    this.onlisten = onlisten;
    this.jobId = null;
    this.isRunning = false;
    this.isStopped = false;
    this.isWhole = false;
    this.following = new AbortController();
    this.idempotencyKey = newId();
    this.playback = new Playback(() => this.tellSound());
  }

  get isSounding() {
    return this.playback.isSounding;
  }

  async send(fields) {
    this.setRunning(true);
    try {
      this.turn.tell('Sending');
      this.turn.offer();
      this.jobId = (await this.post(fields)).job_id;
      if (this.isStopped) await this.erase();
      else await this.follow();
    } catch (error) {
      if (this.isStopped) return;
      this.silence();
      this.turn.fail(error.message);
      // The same key: what has been accepted after all is not asked twice.
      const again = error instanceof Away ? () => this.send(fields) : this.onagain;
      this.turn.offer(['Send it again', again]);
    }
    this.setRunning(false);
  }

  post(fields) {
    const { text, recording } = this.question;
    if (!recording) return post('ask', { text, ...fields }, this.idempotencyKey);
    const form = new FormData();
    form.append('audio_file', recording, 'recording');
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    return post('transcribe', form, this.idempotencyKey);
  }

  async follow() {
    this.turn.tell('Waiting');
    for await (const { name, data } of follow(this.jobId, this.following.signal)) await this.take(name, data);
  }

  async take(name, data) {
    const { turn, playback } = this;
    switch (name) {
      case 'position':
        return this.isSounding ? undefined : turn.tell(waiting(data));
      case 'processing':
        return this.isSounding ? undefined : turn.tell(working(data));
      case 'transcript':
        return this.question.text ? undefined : turn.hear(data.text, data.language);
      case 'text':
        return turn.say(data.text);
      case 'segment':
        playback.add(data.index, `audio/${this.jobId}/segments/${data.index}`);
        return undefined;
      case 'stage_done':
        this.drawTimings();
        return undefined;
      case 'retrying':
        return turn.tell(retrying(data));
      case 'restarted':
        turn.forget();
        turn.tell(BEGUN_ANEW);
        return playback.begin(data.first);
      case 'completed':
        return this.finish();
      case 'failed':
        this.silence();
        turn.fail(data.message);
        turn.offer(['Send it again', this.onagain]);
        this.drawTimings();
        return undefined;
      case 'cancelled':
        return this.showStopped();
      default:
        return undefined;
    }
  }

  /** The whole answer is there. */
  async finish() {
    const job = await json(`status/${this.jobId}`);
    this.isWhole = true;
    this.setRunning(false);
    if (job.response !== null) this.turn.settle(job.response);
    this.turn.draw(job.timings);
    this.tellSound();
    if (job.audio_url) this.turn.offer(['Hear it again', () => this.hearAgain()], ['Save', () => this.save()]);
  }

  drawTimings() {
    const show = ({ timings }) => this.isWhole || this.turn.draw(timings);
    json(`status/${this.jobId}`).then(show, () => {});
  }

  tellSound() {
    if (this.isSounding) this.turn.tell(isLocked() ? LOCKED : DOING.tts);
    else if (!this.isRunning) this.turn.tell(this.isStopped ? STOPPED : '', false);
    this.onchange();
  }

  setRunning(isRunning) {
    if (this.isRunning === isRunning) return;
    this.isRunning = isRunning;
    this.onchange();
  }

  silence() {
    this.playback.silence();
  }

  /** End the job if it runs; what has been answered stays in sight. */
  stop() {
    this.silence();
    if (!this.isRunning || this.isStopped) return;
    this.showStopped();
    this.following.abort();
    if (this.jobId) this.erase();
  }

  showStopped() {
    this.isStopped = true;
    this.setRunning(false);
    this.turn.tell(STOPPED, false);
    this.turn.fade();
    this.turn.offer(['Ask it again', this.onagain]);
  }

  erase() {
    return call(`jobs/${this.jobId}`, { method: 'DELETE' }).catch((error) => {
      if (error.status !== 404) this.turn.fail(`It may still run: ${error.message}`);
    });
  }

  async hearAgain() {
    this.onlisten();
    this.playback = new Playback(() => this.tellSound());
    try {
      await this.playback.play(await call(`audio/${this.jobId}`));
    } catch (error) {
      this.turn.fail(error.message);
    }
  }

  async save() {
    try {
      const blob = await (await call(`audio/${this.jobId}`)).blob();
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `${this.jobId}_response.wav`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      this.turn.fail(error.message);
    }
  }
}
