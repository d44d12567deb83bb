// One question and its answer, as they are shown.

import { announce, make } from './dom.js';
import { seconds } from './strings.js';
import { waterfall } from './waterfall.js';

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Nearer to the end than this, the reader follows what is being written. */
const FOLLOWS_PX = 160;

export class Turn {
  /** `about` stands for a question whose words are not known yet. */
  constructor({ text = '', about = '' }) {
    this.question = make('p', { class: text ? 'question' : 'question unheard', dir: 'auto' }, text || about);
    this.answer = make('p', { class: 'answer', dir: 'auto' });
    this.line = make('p', { class: 'turn-state' });
    this.actions = make('p', { class: 'actions' });
    this.time = make('div', { class: 'time' });
    this.element = make(
      'article',
      { class: 'turn', 'aria-label': 'Question and answer' },
      this.question,
      this.answer,
      this.line,
      this.actions,
      this.time,
    );
  }

  hear(text, language) {
    this.question.textContent = text;
    if (language) this.question.lang = this.answer.lang = language; // the answer is in the language of the question
    this.question.classList.remove('unheard');
    announce(`You said: ${text}`);
    this.keepInSight();
  }

  /** More of the answer. */
  say(text) {
    this.answer.append(text);
    this.keepInSight();
  }

  /** The whole answer. */
  settle(text) {
    if (this.answer.textContent !== text) this.answer.textContent = text;
    this.answer.normalize();
  }

  forget() {
    this.answer.textContent = '';
  }

  /** What is being done; `isBusy` moves. */
  tell(text, isBusy = true) {
    if (this.line.textContent === text && this.line.classList.contains('busy') === isBusy) return;
    this.line.className = isBusy ? 'turn-state busy' : 'turn-state';
    this.line.removeAttribute('role');
    this.line.textContent = text;
    if (text) announce(text);
    this.keepInSight();
  }

  fail(text) {
    this.tell('', false);
    this.line.className = 'turn-state failed';
    this.line.setAttribute('role', 'alert');
    this.line.textContent = text;
    this.keepInSight();
  }

  /** Buttons: `[name, what it does]`. */
  offer(...actions) {
    const buttons = actions.map(([name, onclick]) => make('button', { class: 'quiet small', type: 'button', onclick }, name));
    this.actions.replaceChildren(...buttons);
    this.keepInSight();
  }

  draw(timings) {
    const drawn = waterfall(timings);
    if (drawn) this.time.replaceChildren(drawn);
    this.keepInSight();
  }

  fade() {
    this.element.classList.add('stopped');
  }

  show() {
    this.element.scrollIntoView({ block: 'end', behavior: calm.matches ? 'auto' : 'smooth' });
  }

  keepInSight() {
    if (!this.element.isConnected || this.element.nextElementSibling) return;
    const page = document.scrollingElement;
    const below = page.scrollHeight - page.clientHeight - page.scrollTop;
    if (below < FOLLOWS_PX + this.element.clientHeight) page.scrollTo({ top: page.scrollHeight });
  }
}

export function aboutRecording(length) {
  return `A recording of ${seconds(length)}`;
}
