// One question and its answer on the page.

import { announce, makeElement } from './dom.js';
import { transcriptAnnouncement } from './strings.js';
import { waterfall } from './waterfall.js';

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

/** A reader who has scrolled closer to the end than this follows the answer as it grows. */
const FOLLOW_PX = 160;

export class Turn {
  /** `description` is shown until the transcript of a recording is known. */
  constructor({ text = '', description = '' }) {
    const classes = text ? 'question' : 'question pending';
    this.question = makeElement('p', { class: classes, dir: 'auto' }, text || description);
    this.answer = makeElement('p', { class: 'answer', dir: 'auto' });
    this.status = makeElement('p', { class: 'turn-status' });
    this.actions = makeElement('p', { class: 'actions' });
    this.timings = makeElement('div', { class: 'timings' });
    this.element = makeElement(
      'article',
      { class: 'turn', 'aria-label': 'Question and answer' },
      this.question,
      this.answer,
      this.status,
      this.actions,
      this.timings,
    );
  }

  showTranscript(text, language) {
    this.question.textContent = text;
    if (language) {
      this.question.lang = language;
      this.answer.lang = language; // models answer in the language of the question
    }
    this.question.classList.remove('pending');
    announce(transcriptAnnouncement(text));
    this.scrollToEnd();
  }

  appendAnswer(text) {
    this.answer.append(text);
    this.scrollToEnd();
  }

  setAnswer(text) {
    if (this.answer.textContent !== text) this.answer.textContent = text;
    this.answer.normalize();
  }

  clearAnswer() {
    this.answer.textContent = '';
  }

  /** Show a status; `isBusy` animates it. */
  showStatus(text, isBusy = true) {
    if (this.status.textContent === text && this.status.classList.contains('busy') === isBusy) return;
    this.status.className = isBusy ? 'turn-status busy' : 'turn-status';
    this.status.removeAttribute('role');
    this.status.textContent = text;
    if (text) announce(text);
    this.scrollToEnd();
  }

  showError(text) {
    this.showStatus('', false);
    this.status.className = 'turn-status failed';
    this.status.setAttribute('role', 'alert');
    this.status.textContent = text;
    this.scrollToEnd();
  }

  /** Show buttons, each given as `[name, listener]`, in place of the current ones. */
  showActions(...actions) {
    const buttons = actions.map(([name, onclick]) =>
      makeElement('button', { class: 'button-quiet button-small', type: 'button', onclick }, name));
    this.actions.replaceChildren(...buttons);
    this.scrollToEnd();
  }

  showTimings(timings) {
    const table = waterfall(timings);
    if (table) this.timings.replaceChildren(table);
    this.scrollToEnd();
  }

  markStopped() {
    this.element.classList.add('stopped');
  }

  scrollIntoView() {
    this.element.scrollIntoView({ block: 'end', behavior: reducedMotion.matches ? 'auto' : 'smooth' });
  }

  /** Keep the end of the last turn visible, unless the reader has scrolled up. */
  scrollToEnd() {
    if (!this.element.isConnected || this.element.nextElementSibling) return;
    const page = document.scrollingElement;
    const belowPx = page.scrollHeight - page.clientHeight - page.scrollTop;
    if (belowPx < FOLLOW_PX + this.element.clientHeight) page.scrollTo({ top: page.scrollHeight });
  }
}
