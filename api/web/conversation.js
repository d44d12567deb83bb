// The turns of one conversation, kept by the service under an id that lives as long as this tab.

import { Problem, call, json, newId } from './api.js';
import { Exchange } from './job_session.js';
import { Turn } from './turn.js';

const STORED = 'cascade.conversation';

export class Conversation {
  /** `onchange` is called when something begins or ends: a job, or sound. */
  constructor(list, onchange) {
    this.list = list;
    this.onchange = onchange;
    this.exchanges = [];
    this.id = sessionStorage.getItem(STORED) ?? newId();
  }

  get isBusy() {
    return this.exchanges.some((exchange) => exchange.isRunning || exchange.isSounding);
  }

  get isSounding() {
    return this.exchanges.some((exchange) => exchange.isSounding);
  }

  /** A question: `{text}`, or `{recording, about}`, with the form's other fields. */
  ask(question) {
    this.silence();
    sessionStorage.setItem(STORED, this.id);
    const exchange = this.add(question);
    exchange.turn.show();
    exchange.send({ conversation_id: this.id, ...question.fields });
  }

  add(question) {
    const exchange = new Exchange(new Turn(question), question, {
      onchange: this.onchange,
      onagain: () => this.ask(question),
      onlisten: () => this.silence(),
    });
    this.exchanges.push(exchange);
    this.list.append(exchange.turn.element);
    this.onchange();
    return exchange;
  }

  /** Whoever speaks is not spoken over. */
  silence() {
    for (const exchange of this.exchanges) exchange.silence();
  }

  stop() {
    for (const exchange of this.exchanges) exchange.stop();
  }

  renew() {
    this.stop();
    this.exchanges = [];
    this.list.replaceChildren();
    this.id = newId();
    sessionStorage.removeItem(STORED);
    this.onchange();
  }

  /** Show what was said before this page was loaded. */
  async restore() {
    const { id } = this;
    const turns = await this.told();
    if (id !== this.id) return;
    for (const { job_id: jobId, user, assistant } of turns) {
      if (this.exchanges.some((exchange) => exchange.jobId === jobId)) continue;
      const exchange = this.add({ text: user });
      exchange.turn.settle(assistant);
      exchange.jobId = jobId;
      exchange.finish().catch(() => {}); // its waterfall and sound are kept less long than its words
    }
    this.exchanges.at(-1)?.turn.show();
  }
  async told() {
    try {
      if (sessionStorage.getItem(STORED)) return (await json(`conversations/${this.id}`)).turns;
      await call('queues'); // so that a key is asked for before somebody has spoken in vain
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // else it has been forgotten
    }
    return [];
  }
}
