// The second view: queues, workers and rates, while somebody looks.

import { call, json } from './api.js';
import { byId, draw, make } from './dom.js';
import { ready } from './readiness.js';
import { DOING, STAGES, readiness, seconds } from './strings.js';

const EVERY_MS = 2000;
const KEPT = 60;

const history = Object.fromEntries(STAGES.map((stage) => [stage, []]));

let timer = 0;
let isShown = false;
let told = null;

export function showSystem(isOn) {
  isShown = isOn;
  look();
  if (isOn) offerDocs();
}

export function watchSystem() {
  document.addEventListener('visibilitychange', look);
  ready.addEventListener('told', ({ detail }) => {
    told = detail;
    showReadiness();
  });
}

async function look() {
  clearTimeout(timer);
  if (!isShown || document.hidden) return;
  try {
    show(await json('queues'));
  } catch (error) {
    byId('ready').textContent = error.message;
    if (error.status === 401) return; // else the key would be asked for again and again
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY_MS);
}

function show(overview) {
  for (const stage of STAGES) {
    const { waiting, working } = overview.stages[stage];
    history[stage].push(waiting + working);
    history[stage].splice(0, history[stage].length - KEPT);
  }
  byId('stages').replaceChildren(...STAGES.map((stage) => card(stage, overview.stages[stage])));
  byId('counts').replaceChildren(
    count('jobs under way', overview.live),
    count('tasks to be tried again', overview.delayed),
    count('tasks set aside', overview.dead),
  );
  byId('workers').replaceChildren(workers(overview.workers));
  showReadiness();
}

function showReadiness() {
  byId('ready').textContent = readiness(told) || 'Everything is ready.';
  const warnings = Object.values(told?.stages ?? {}).flatMap((stage) => stage.warnings);
  byId('warnings').replaceChildren(...warnings.map((warning) => make('li', {}, warning)));
}

function card(stage, { waiting, working, oldest_s: oldest, done_per_min: rate, workers: count_ }) {
  return make(
    'article',
    { class: `stage ${stage}` },
    make('h3', {}, DOING[stage], make('small', {}, stage)),
    make('p', { class: 'big' }, String(waiting), make('small', {}, oldest === null ? 'waiting' : `waiting, since ${seconds(oldest)}`)),
    spark(history[stage]),
    make(
      'p',
      { class: 'facts' },
      make('span', {}, make('b', {}, String(working)), ' in work'),
      make('span', {}, make('b', {}, String(Number(rate.toPrecision(2)))), ' a minute'),
      make('span', { class: count_ ? '' : 'wanting' }, make('b', {}, String(count_)), count_ === 1 ? ' worker' : ' workers'),
    ),
  );
}

/** How many there were, over the last two minutes. */
function spark(values) {
  const most = Math.max(4, ...values);
  const points = values.map((value, place) => `${KEPT - values.length + place},${30 - (28 * value) / most}`);
  return draw(
    'svg',
    { class: 'spark', viewBox: `0 0 ${KEPT - 1} 31`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    draw('polyline', { points: points.join(' ') }),
  );
}

function count(name, value) {
  return make('div', {}, make('dt', {}, name), make('dd', {}, String(value)));
}

function workers(list) {
  if (!list.length) return make('p', {}, 'There is none.');
  list.sort((one, other) => STAGES.indexOf(one.stage) - STAGES.indexOf(other.stage));
  const head = ['Stage', 'Worker', 'Engine', 'Model', 'In work'];
  return make(
    'table',
    {},
    make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))),
    make('tbody', {}, ...list.map(worker)),
  );
}

function worker({ name, stage, engine, model, working }) {
  const cells = [name, engine, model, String(working)].map((text) => make('td', {}, text));
  return make('tr', { class: stage }, make('th', { scope: 'row' }, DOING[stage]), ...cells);
}

/** A service need not show its documentation. */
async function offerDocs() {
  await call('docs').then(() => {
    byId('more').hidden = false;
  }, () => {});
}
