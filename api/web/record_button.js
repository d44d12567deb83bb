// The record button: opens the microphone, shows the state of the recording, and sends it.

import { announce, byId } from './dom.js';
import { unlockPlayback } from './player.js';
import { pushToTalk } from './push_to_talk.js';
import { Recorder } from './recorder.js';
import * as strings from './strings.js';

/** Shorter than any word. */
const MIN_RECORDING_S = 0.3;

const SILENCE_WARNING_S = 2;
const CLOCK_MS = 200;

export class RecordButton {
  /** Recordings are sent to `conversation` with the form fields that `getFields` returns. */
  constructor(conversation, getFields, levelMeter) {
    this.conversation = conversation;
    this.getFields = getFields;
    this.levelMeter = levelMeter;
    this.recorder = null;
    this.isActive = false;
    this.openedAt = 0;
    this.button = byId('record');
    pushToTalk(this.button, this);
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.isActive) this.discard();
    });
  }

  async start() {
    unlockPlayback();
    this.conversation.stopPlayback();
    this.isActive = true;
    this.show('opening', strings.OPENING_MICROPHONE);
    const recorder = new Recorder();
    this.recorder = recorder;
    try {
      await recorder.start();
    } catch (error) {
      if (this.recorder === recorder) this.reset(strings.microphoneProblem(error));
      return;
    }
    if (this.recorder !== recorder) {
      recorder.stop(); // discarded while the browser asked for permission
      return;
    }
    this.openedAt = performance.now();
    this.levelMeter.show(recorder.analyser, 'stt');
    this.show('recording', strings.RECORDING);
    announce(strings.RECORDING);
    this.clock = setInterval(() => this.showElapsed(), CLOCK_MS);
  }

  /** Stop recording, and send the recording unless it is too short. */
  async finish() {
    const { recorder } = this;
    const isOpen = this.openedAt > 0;
    const lengthS = isOpen ? recorder.elapsedS : 0;
    this.reset(lengthS < MIN_RECORDING_S ? strings.TOO_SHORT : '');
    if (!isOpen) return;
    const recording = await recorder.stop();
    if (lengthS >= MIN_RECORDING_S) {
      const description = strings.recordingDescription(lengthS);
      this.conversation.ask({ recording, description, fields: this.getFields() });
    }
  }

  discard() {
    const { recorder } = this;
    const isOpen = this.openedAt > 0;
    this.reset(strings.DISCARDED);
    if (isOpen) recorder.stop();
  }

  reset(text) {
    clearInterval(this.clock);
    this.recorder = null;
    this.isActive = false;
    this.openedAt = 0;
    this.levelMeter.show(null);
    this.show('idle', text);
    if (text) announce(text);
  }

  showElapsed() {
    const { elapsedS, isSilent } = this.recorder;
    const isMuted = elapsedS > SILENCE_WARNING_S && isSilent;
    this.show('recording', isMuted ? strings.SILENT_MICROPHONE : strings.recordingTime(elapsedS));
  }

  show(state, text) {
    this.button.dataset.state = state;
    byId('record-label').textContent = state === 'idle' ? 'Talk' : 'Send';
    byId('record-status').textContent = text;
  }
}
