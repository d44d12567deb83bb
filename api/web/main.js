// Connects the parts of the page.

import { Conversation } from './conversation.js';
import { byId } from './dom.js';
import { LevelMeter } from './level_meter.js';
import { outputAnalyser, unlockPlayback } from './player.js';
import { initPreferences, selectedPreferences } from './preferences.js';
import { readinessUpdates, watchReadiness } from './readiness.js';
import { RecordButton } from './record_button.js';
import { showSystem, watchSystem } from './system.js';

const levelMeter = new LevelMeter(byId('level-meter'));
const conversation = new Conversation(byId('turns'), showActivity);
const recordButton = new RecordButton(conversation, selectedPreferences, levelMeter);

function showActivity() {
  byId('stop').disabled = !conversation.isBusy;
  byId('welcome').hidden = conversation.sessions.length > 0;
  if (!recordButton?.isActive) levelMeter.show(conversation.isPlaying ? outputAnalyser() : null, 'tts');
}

function askFile(file) {
  if (file) conversation.ask({ recording: file, description: file.name, fields: selectedPreferences() });
}

function initTextForm() {
  const text = byId('text');
  byId('text-form').addEventListener('submit', (event) => {
    event.preventDefault();
    unlockPlayback();
    const question = text.value.trim();
    text.value = '';
    if (question) conversation.ask({ text: question, fields: selectedPreferences() });
    else text.focus();
  });
}

function initFileChooser() {
  const file = byId('file');
  byId('choose-file').addEventListener('click', () => {
    unlockPlayback();
    file.click();
  });
  file.addEventListener('change', () => {
    askFile(file.files[0]);
    file.value = '';
  });
}

function initDropZone() {
  const dropZone = byId('drop-zone');
  const hasFile = (event) => event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    dropZone.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) dropZone.hidden = true;
  });
  document.addEventListener('drop', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    dropZone.hidden = true;
    unlockPlayback();
    askFile(event.dataTransfer.files[0]);
  });
}

function initControls() {
  byId('stop').addEventListener('click', () => conversation.stop());
  byId('new-conversation').addEventListener('click', () => {
    conversation.reset();
    byId('record').focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !recordButton.isActive && !byId('key-dialog').open) conversation.stop();
  });
  // Browsers block audio until the first click or key, and dropping a file is neither.
  for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, unlockPlayback);
}

function initViews() {
  const show = () => {
    const isSystem = location.hash === '#system';
    byId('talk').hidden = isSystem;
    byId('controls').hidden = isSystem;
    byId('system').hidden = !isSystem;
    for (const [id, isCurrent] of [['talk-link', !isSystem], ['system-link', isSystem]]) {
      if (isCurrent) byId(id).setAttribute('aria-current', 'page');
      else byId(id).removeAttribute('aria-current');
    }
    scrollTo(0, isSystem ? 0 : document.scrollingElement.scrollHeight);
    showSystem(isSystem);
  };
  addEventListener('hashchange', show);
  show();
}

async function restoreConversation() {
  try {
    await conversation.restore();
  } catch {
    readinessUpdates.addEventListener('update', restoreConversation, { once: true }); // the banner shows the problem
  }
}

initPreferences();
initTextForm();
initFileChooser();
initDropZone();
initControls();
initViews();
watchReadiness();
watchSystem();
restoreConversation();
