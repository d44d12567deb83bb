// The button, the microphone behind it, and what is said about them.

import { announce, byId } from './dom.js';
import { unlock } from './player.js';
import { press } from './push_to_talk.js';
import { Recorder } from './recorder.js';
import { aboutRecording } from './turn.js';
import { NOTHING_HEARD, TOO_SHORT, microphoneProblem } from './strings.js';

/** Shorter than any word. */
const SHORTEST_S = 0.3;

const SILENCE_NOTICED_S = 2;

export class Talk {
  /** `conversation` is asked what was recorded; `fields` tells what goes with it; `strip` shows the level. */
  constructor(conversation, fields, strip) {
    this.conversation = conversation;
    this.fields = fields;
    this.strip = strip;
    this.recorder = null;
    this.isOn = false;
    this.openSince = 0;
    this.button = byId('say');
    press(this.button, this);
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.isOn) this.discard();
    });
  }

  async begin() {
    unlock();
    this.conversation.silence();
    this.isOn = true;
    this.show('opening', 'Opening the microphone …');
    const recorder = new Recorder();
    this.recorder = recorder;
    try {
      await recorder.start();
    } catch (error) {
      if (this.recorder === recorder) this.rest(microphoneProblem(error));
      return;
    }
    if (this.recorder !== recorder) {
      recorder.stop(); // it was thought better of while the browser asked
      return;
    }
    this.openSince = performance.now();
    this.strip.show(recorder.level, 'stt');
    this.show('on', 'Recording');
    announce('Recording');
    this.clock = setInterval(() => this.tellTime(), 200);
  }

  /** Send what has been recorded. */
  async end() {
    const { recorder } = this;
    const isOpen = this.openSince > 0;
    const length = isOpen ? recorder.seconds : 0;
    this.rest(length < SHORTEST_S ? TOO_SHORT : '');
    if (!isOpen) return;
    const recording = await recorder.stop();
    if (length >= SHORTEST_S) {
      this.conversation.ask({ recording, about: aboutRecording(length), fields: this.fields() });
    }
  }

  discard() {
    const { recorder } = this;
    const isOpen = this.openSince > 0;
    this.rest('Discarded.');
    if (isOpen) recorder.stop();
  }

  rest(text) {
    clearInterval(this.clock);
    this.recorder = null;
    this.isOn = false;
    this.openSince = 0;
    this.strip.show(null);
    this.show('off', text);
    if (text) announce(text);
  }

  tellTime() {
    const { seconds } = this.recorder;
    const isMuted = seconds > SILENCE_NOTICED_S && this.recorder.isSilent;
    this.show('on', isMuted ? NOTHING_HEARD : `Recording, ${Math.floor(seconds)} s`);
  }

  show(state, text) {
    this.button.dataset.state = state;
    byId('say-name').textContent = state === 'off' ? 'Talk' : 'Send';
    byId('state').textContent = text;
  }
}
