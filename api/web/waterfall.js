// The waterfall of a turn: one row for each stage, with the time that it waited and worked.

import { makeElement, makeSvg } from './dom.js';
import { STAGES, STAGE_NAMES, duration } from './strings.js';

const WIDTH = 1000;
const HEIGHT = 14;

/** Narrower bars are not visible. */
const MIN_BAR_WIDTH = 5;

/** A table, for screen readers too; null if no stage has started yet. */
export function waterfall({ stages, first_audio_s: firstAudioS, total_s: totalS }) {
  const rows = STAGES.filter((stage) => stages[stage]).map((stage) => ({ stage, ...stages[stage] }));
  if (!rows.length) return null;
  const stageEnds = rows.map((timing) => timing.queued_s + timing.waited_s + (timing.worked_s ?? 0));
  const endS = Math.max(totalS ?? 0, firstAudioS ?? 0, ...stageEnds, 0.001);
  const scale = WIDTH / endS;
  const columns = ['stage-column', 'bar-column', 'time-column', 'time-column'];
  return makeElement(
    'table',
    { class: 'waterfall' },
    makeElement('caption', { class: 'visually-hidden' }, 'Time by stage'),
    makeElement('colgroup', {}, ...columns.map((name) => makeElement('col', { class: name }))),
    makeElement(
      'thead',
      {},
      makeElement(
        'tr',
        {},
        makeElement('td', { colspan: 2 }, ...totals(firstAudioS, totalS)),
        makeElement('th', { scope: 'col' }, 'waited'),
        makeElement('th', { scope: 'col' }, 'worked'),
      ),
    ),
    makeElement('tbody', {}, ...rows.map((timing) => stageRow(timing, scale, firstAudioS))),
  );
}

function totals(firstAudioS, totalS) {
  const parts = [];
  if (firstAudioS !== null) {
    parts.push(makeElement('span', { class: 'first-audio' }, 'first audio ', strong(firstAudioS)));
  }
  if (totalS !== null) parts.push(makeElement('span', {}, 'whole answer ', strong(totalS)));
  return parts;
}

const strong = (seconds) => makeElement('b', {}, duration(seconds));

function stageRow({ stage, queued_s: queuedS, waited_s: waitedS, worked_s: workedS }, scale, firstAudioS) {
  const startedS = queuedS + waitedS;
  const bars = makeSvg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    bar('waited', queuedS * scale, Math.max(waitedS * scale, 0)),
    workedS === null ? null : bar('worked', startedS * scale, Math.max(workedS * scale, MIN_BAR_WIDTH)),
    firstAudioS === null ? null : firstAudioMark(firstAudioS * scale),
  );
  return makeElement(
    'tr',
    { class: stage },
    makeElement('th', { scope: 'row' }, STAGE_NAMES[stage]),
    makeElement('td', { class: 'bars' }, bars),
    makeElement('td', {}, duration(waitedS)),
    makeElement('td', {}, workedS === null ? '…' : duration(workedS)),
  );
}

function bar(kind, x, width) {
  return makeSvg('rect', { class: kind, x, width, y: kind === 'worked' ? 3 : 5, height: kind === 'worked' ? 8 : 4 });
}

function firstAudioMark(position) {
  const x = Math.min(position, WIDTH - 1);
  return makeSvg('line', { class: 'first-audio-mark', x1: x, x2: x, y1: -3, y2: HEIGHT + 3 });
}
