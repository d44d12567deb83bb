// The system view: queues, workers and rates, polled while it is visible.

import { getJson, request } from './api.js';
import { byId, makeElement, makeSvg } from './dom.js';
import { readinessUpdates } from './readiness.js';
import { STAGES, STAGE_NAMES, duration, readinessProblem } from './strings.js';

const INTERVAL_MS = 2000;

/** Values in a sparkline: those of two minutes. */
const HISTORY_LENGTH = 60;

const history = Object.fromEntries(STAGES.map((stage) => [stage, []]));

let timer = 0;
let isShown = false;
let readiness = null;

export function showSystem(isVisible) {
  isShown = isVisible;
  poll();
  if (isVisible) showDocsLink();
}

export function watchSystem() {
  document.addEventListener('visibilitychange', poll);
  readinessUpdates.addEventListener('update', ({ detail }) => {
    readiness = detail;
    showReadiness();
  });
}

async function poll() {
  clearTimeout(timer);
  if (!isShown || document.hidden) return;
  try {
    show(await getJson('queues'));
  } catch (error) {
    byId('system-status').textContent = error.message;
    if (error.status === 401) return; // the next poll would ask for the key again
  }
  clearTimeout(timer);
  timer = setTimeout(poll, INTERVAL_MS);
}

function show(overview) {
  for (const stage of STAGES) {
    const { waiting, working } = overview.stages[stage];
    history[stage].push(waiting + working);
    history[stage].splice(0, history[stage].length - HISTORY_LENGTH);
  }
  byId('stages').replaceChildren(...STAGES.map((stage) => stageCard(stage, overview.stages[stage])));
  byId('counts').replaceChildren(
    count('active jobs', overview.live),
    count('delayed tasks', overview.delayed),
    count('dead-lettered tasks', overview.dead),
  );
  byId('workers').replaceChildren(workerTable(overview.workers));
  showReadiness();
}

function showReadiness() {
  byId('system-status').textContent = readinessProblem(readiness) || 'All stages are ready.';
  const warnings = Object.values(readiness?.stages ?? {}).flatMap((stage) => stage.warnings);
  byId('warnings').replaceChildren(...warnings.map((warning) => makeElement('li', {}, warning)));
}

function stageCard(stage, { waiting, working, oldest_s: oldestS, done_per_min: rate, workers: workerCount }) {
  const age = oldestS === null ? '' : `, oldest ${duration(oldestS)}`;
  return makeElement(
    'article',
    { class: `stage ${stage}` },
    makeElement('h3', {}, STAGE_NAMES[stage], makeElement('small', {}, stage)),
    makeElement('p', { class: 'waiting-count' }, String(waiting), makeElement('small', {}, `waiting${age}`)),
    sparkline(history[stage]),
    makeElement(
      'p',
      { class: 'stage-facts' },
      makeElement('span', {}, makeElement('b', {}, String(working)), ' active'),
      makeElement('span', {}, makeElement('b', {}, String(Number(rate.toPrecision(2)))), ' / minute'),
      makeElement(
        'span',
        { class: workerCount ? '' : 'missing' },
        makeElement('b', {}, String(workerCount)),
        workerCount === 1 ? ' worker' : ' workers',
      ),
    ),
  );
}

/** Waiting and active tasks over the last two minutes. */
function sparkline(values) {
  const max = Math.max(4, ...values);
  const points = values.map((value, index) => `${HISTORY_LENGTH - values.length + index},${30 - (28 * value) / max}`);
  return makeSvg(
    'svg',
    { class: 'sparkline', viewBox: `0 0 ${HISTORY_LENGTH - 1} 31`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    makeSvg('polyline', { points: points.join(' ') }),
  );
}

function count(name, value) {
  return makeElement('div', {}, makeElement('dt', {}, name), makeElement('dd', {}, String(value)));
}

function workerTable(workers) {
  if (!workers.length) return makeElement('p', {}, 'No workers are running.');
  workers.sort((one, other) => STAGES.indexOf(one.stage) - STAGES.indexOf(other.stage));
  const headers = ['Stage', 'Worker', 'Engine', 'Model', 'Active'];
  return makeElement(
    'table',
    {},
    makeElement('thead', {}, makeElement('tr', {}, ...headers.map((name) => makeElement('th', { scope: 'col' }, name)))),
    makeElement('tbody', {}, ...workers.map(workerRow)),
  );
}

function workerRow({ name, stage, engine, model, working }) {
  const cells = [name, engine, model, String(working)].map((text) => makeElement('td', {}, text));
  return makeElement('tr', { class: stage }, makeElement('th', { scope: 'row' }, STAGE_NAMES[stage]), ...cells);
}

/** Show the link to the API documentation, unless the service does not serve it. */
async function showDocsLink() {
  await request('docs').then(() => {
    byId('api-docs').hidden = false;
  }, () => {});
}
