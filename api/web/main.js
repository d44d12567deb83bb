// Puts the page together.

import { Conversation } from './conversation.js';
import { byId } from './dom.js';
import { Strip } from './level_meter.js';
import { heard, unlock } from './player.js';
import { chosen, preferences } from './preferences.js';
import { ready, watchReadiness } from './readiness.js';
import { showSystem, watchSystem } from './system.js';
import { Talk } from './record_button.js';

const strip = new Strip(byId('strip'));
const conversation = new Conversation(byId('turns'), showState);
const talk = new Talk(conversation, chosen, strip);

function showState() {
  byId('stop').disabled = !conversation.isBusy;
  byId('welcome').hidden = conversation.exchanges.length > 0;
  if (!talk?.isOn) strip.show(conversation.isSounding ? heard() : null, 'tts');
}

function askFile(file) {
  if (file) conversation.ask({ recording: file, about: file.name, fields: chosen() });
}

function lineAndFile() {
  const [line, text, file] = [byId('line'), byId('text'), byId('file')];
  line.addEventListener('submit', (event) => {
    event.preventDefault();
    unlock();
    const question = text.value.trim();
    text.value = '';
    if (question) conversation.ask({ text: question, fields: chosen() });
    else text.focus();
  });
  byId('choose').addEventListener('click', () => {
    unlock();
    file.click();
  });
  file.addEventListener('change', () => {
    askFile(file.files[0]);
    file.value = '';
  });
}

function dropping() {
  const sign = byId('drop');
  const hasFile = (event) => event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    sign.hidden = false;
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) sign.hidden = true;
  });
  document.addEventListener('drop', (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    sign.hidden = true;
    unlock();
    askFile(event.dataTransfer.files[0]);
  });
}

function controls() {
  byId('stop').addEventListener('click', () => conversation.stop());
  byId('new').addEventListener('click', () => {
    conversation.renew();
    byId('say').focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !talk.isOn && !byId('key').open) conversation.stop();
  });
  // Whoever dropped a file has not pressed anything yet.
  for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, unlock);
}

function views() {
  const show = () => {
    const isSystem = location.hash === '#system';
    byId('talk').hidden = byId('dock').hidden = isSystem;
    byId('system').hidden = !isSystem;
    for (const [id, isCurrent] of [['to-talk', !isSystem], ['to-system', isSystem]]) {
      if (isCurrent) byId(id).setAttribute('aria-current', 'page');
      else byId(id).removeAttribute('aria-current');
    }
    scrollTo(0, isSystem ? 0 : document.scrollingElement.scrollHeight);
    showSystem(isSystem);
  };
  addEventListener('hashchange', show);
  show();
}

async function restore() {
  try {
    await conversation.restore();
  } catch {
    ready.addEventListener('told', restore, { once: true }); // nobody answers, which the banner says
  }
}

preferences();
lineAndFile();
dropping();
controls();
views();
watchReadiness();
watchSystem();
restore();
