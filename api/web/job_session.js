// One question as a job: submitted, followed, played, stopped.

import { Unreachable, getJson, newId, post, request } from './api.js';
import { followEvents } from './events.js';
import { Playback, isPlaybackBlocked } from './player.js';
import * as strings from './strings.js';

export class JobSession {
  constructor(turn, question, { onchange, onretry, onreplay }) {
    this.turn = turn;
    this.question = question;
    this.onchange = onchange;
    this.onretry = onretry;
    this.onreplay = onreplay;
    this.jobId = null;
    this.isRunning = false;
    this.isStopped = false;
    this.isComplete = false;
    this.following = new AbortController();
    this.idempotencyKey = newId();
    this.playback = new Playback(() => this.showPlayback());
  }

  get isPlaying() {
    return this.playback.isPlaying;
  }

  async send(fields) {
    this.setRunning(true);
    try {
      this.turn.showStatus(strings.SENDING);
      this.turn.showActions();
      this.jobId = (await this.submit(fields)).job_id;
      if (this.isStopped) await this.cancelJob();
      else await this.follow();
    } catch (error) {
      if (this.isStopped) return;
      this.stopPlayback();
      this.turn.showError(error.message);
      // With the same idempotency key: if the service has accepted the request, it creates no second job.
      const retry = error instanceof Unreachable ? () => this.send(fields) : this.onretry;
      this.turn.showActions([strings.SEND_AGAIN, retry]);
    }
    this.setRunning(false);
  }

  submit(fields) {
    const { text, recording } = this.question;
    if (!recording) return post('ask', { text, ...fields }, this.idempotencyKey);
    const form = new FormData();
    form.append('audio_file', recording, 'recording');
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    return post('transcribe', form, this.idempotencyKey);
  }

  async follow() {
    this.turn.showStatus(strings.WAITING);
    for await (const { name, data } of followEvents(this.jobId, this.following.signal)) await this.handle(name, data);
  }

  /** Handle an event. The names and fields are those of shared/queue/events.py, which a test compares. */
  async handle(name, data) {
    const { turn, playback } = this;
    switch (name) {
      case 'position':
        return this.isPlaying ? undefined : turn.showStatus(strings.position(data));
      case 'processing':
        return this.isPlaying ? undefined : turn.showStatus(strings.activity(data));
      case 'transcript':
        return this.question.text ? undefined : turn.showTranscript(data.text, data.language);
      case 'text':
        return turn.appendAnswer(data.text);
      case 'segment':
        playback.addSegment(data.index, `audio/${this.jobId}/segments/${data.index}`);
        return undefined;
      case 'stage_done':
        this.loadTimings();
        return undefined;
      case 'retrying':
        return turn.showStatus(strings.retrying(data));
      case 'restarted':
        turn.clearAnswer();
        turn.showStatus(strings.RESTARTED);
        return playback.restart(data.first);
      case 'completed':
        return this.finish();
      case 'failed':
        this.stopPlayback();
        turn.showError(data.message);
        turn.showActions([strings.SEND_AGAIN, this.onretry]);
        this.loadTimings();
        return undefined;
      case 'cancelled':
        return this.showStopped();
      default:
        return undefined;
    }
  }

  /** Show the completed job. */
  async finish() {
    const job = await getJson(`status/${this.jobId}`);
    this.isComplete = true;
    this.setRunning(false);
    if (job.response !== null) this.turn.setAnswer(job.response);
    this.turn.showTimings(job.timings);
    this.showPlayback();
    if (job.audio_url) {
      this.turn.showActions([strings.PLAY_AGAIN, () => this.replay()], [strings.SAVE, () => this.save()]);
    }
  }

  loadTimings() {
    const show = ({ timings }) => this.isComplete || this.turn.showTimings(timings);
    getJson(`status/${this.jobId}`).then(show, () => {});
  }

  showPlayback() {
    if (this.isPlaying) this.turn.showStatus(isPlaybackBlocked() ? strings.PLAYBACK_BLOCKED : strings.PLAYING);
    else if (!this.isRunning) this.turn.showStatus(this.isStopped ? strings.STOPPED : '', false);
    this.onchange();
  }

  setRunning(isRunning) {
    if (this.isRunning === isRunning) return;
    this.isRunning = isRunning;
    this.onchange();
  }

  stopPlayback() {
    this.playback.stop();
  }

  /** Stop the playback, and cancel the job if it is running. The texts received so far stay visible. */
  stop() {
    this.stopPlayback();
    if (!this.isRunning || this.isStopped) return;
    this.showStopped();
    this.following.abort();
    if (this.jobId) this.cancelJob();
  }

  showStopped() {
    this.isStopped = true;
    this.setRunning(false);
    this.turn.showStatus(strings.STOPPED, false);
    this.turn.markStopped();
    this.turn.showActions([strings.ASK_AGAIN, this.onretry]);
  }

  cancelJob() {
    return request(`jobs/${this.jobId}`, { method: 'DELETE' }).catch((error) => {
      if (error.status !== 404) this.turn.showError(strings.cancelFailed(error.message));
    });
  }

  async replay() {
    this.onreplay();
    this.playback = new Playback(() => this.showPlayback());
    try {
      await this.playback.playWhole(await request(`audio/${this.jobId}`));
    } catch (error) {
      this.turn.showError(error.message);
    }
  }

  async save() {
    try {
      const blob = await (await request(`audio/${this.jobId}`)).blob();
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `${this.jobId}_response.wav`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      this.turn.showError(error.message);
    }
  }
}
