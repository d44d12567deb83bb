// The turns of one conversation. The service stores them under an id that lives as long as this tab.

import { Problem, getJson, newId, request } from './api.js';
import { JobSession } from './job_session.js';
import { Turn } from './turn.js';

const STORAGE_KEY = 'cascade.conversation';

export class Conversation {
  /** `onchange` is called when a job or a playback starts or ends. */
  constructor(list, onchange) {
    this.list = list;
    this.onchange = onchange;
    this.sessions = [];
    this.id = sessionStorage.getItem(STORAGE_KEY) ?? newId();
  }

  get isBusy() {
    return this.sessions.some((session) => session.isRunning || session.isPlaying);
  }

  get isPlaying() {
    return this.sessions.some((session) => session.isPlaying);
  }

  /** Send a question: `{text, fields}`, or `{recording, description, fields}`; `fields` are other form fields. */
  ask(question) {
    this.stopPlayback();
    sessionStorage.setItem(STORAGE_KEY, this.id);
    const session = this.addSession(question);
    session.turn.scrollIntoView();
    session.send({ conversation_id: this.id, ...question.fields });
  }

  addSession(question) {
    const session = new JobSession(new Turn(question), question, {
      onchange: this.onchange,
      onretry: () => this.ask(question),
      onreplay: () => this.stopPlayback(),
    });
    this.sessions.push(session);
    this.list.append(session.turn.element);
    this.onchange();
    return session;
  }

  /** Stop all answers that are playing, such as when the user starts to speak. */
  stopPlayback() {
    for (const session of this.sessions) session.stopPlayback();
  }

  stop() {
    for (const session of this.sessions) session.stop();
  }

  /** Start a new conversation. */
  reset() {
    this.stop();
    this.sessions = [];
    this.list.replaceChildren();
    this.id = newId();
    sessionStorage.removeItem(STORAGE_KEY);
    this.onchange();
  }

  /** Show the turns from before this page was loaded. */
  async restore() {
    const { id } = this;
    const turns = await this.loadTurns();
    if (id !== this.id) return;
    for (const { job_id: jobId, user, assistant } of turns) {
      if (this.sessions.some((session) => session.jobId === jobId)) continue;
      const session = this.addSession({ text: user });
      session.turn.setAnswer(assistant);
      session.jobId = jobId;
      session.finish().catch(() => {}); // timings and audio are deleted earlier than the texts
    }
    this.sessions.at(-1)?.turn.scrollIntoView();
  }

  async loadTurns() {
    try {
      if (sessionStorage.getItem(STORAGE_KEY)) return (await getJson(`conversations/${this.id}`)).turns;
      await request('queues'); // to ask for the API key now, and not after the user has recorded a question
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // a Problem: the conversation has expired
    }
    return [];
  }
}
