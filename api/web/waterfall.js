// Where a turn's time went: a lane for each stage, which says when it waited and when it worked.

import { draw, make } from './dom.js';
import { DOING, STAGES, seconds } from './strings.js';

const WIDTH = 1000;
const HEIGHT = 14;

/** A table, so that it can be read as well as seen; null where nothing is known yet. */
export function waterfall({ stages, first_audio_s: firstAudio, total_s: total }) {
  const lanes = STAGES.filter((stage) => stages[stage]).map((stage) => ({ stage, ...stages[stage] }));
  if (!lanes.length) return null;
  const known = lanes.map((lane) => lane.queued_s + lane.waited_s + (lane.worked_s ?? 0));
  const end = Math.max(total ?? 0, firstAudio ?? 0, ...known, 0.001);
  const scale = WIDTH / end;
  return make(
    'table',
    { class: 'waterfall' },
    make('caption', { class: 'hidden' }, 'Where the time went'),
    make('colgroup', {}, ...['of-name', 'of-lane', 'of-time', 'of-time'].map((name) => make('col', { class: name }))),
    make(
      'thead',
      {},
      make(
        'tr',
        {},
        make('td', { colspan: 2 }, ...totals(firstAudio, total)),
        make('th', { scope: 'col' }, 'waited'),
        make('th', { scope: 'col' }, 'worked'),
      ),
    ),
    make('tbody', {}, ...lanes.map((lane) => row(lane, scale, firstAudio))),
  );
}

function totals(firstAudio, total) {
  const parts = [];
  if (firstAudio !== null) parts.push(make('span', { class: 'first-audio' }, 'first sound ', strong(firstAudio)));
  if (total !== null) parts.push(make('span', {}, 'whole answer ', strong(total)));
  return parts;
}

const strong = (value) => make('b', {}, seconds(value));

function row({ stage, queued_s: queued, waited_s: waited, worked_s: worked }, scale, firstAudio) {
  const begun = queued + waited;
  const picture = draw(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    bar('waited', queued * scale, Math.max(waited * scale, 0)),
    worked === null ? null : bar('worked', begun * scale, Math.max(worked * scale, 5)),
    firstAudio === null ? null : mark(firstAudio * scale),
  );
  return make(
    'tr',
    { class: stage },
    make('th', { scope: 'row' }, DOING[stage]),
    make('td', { class: 'lane' }, picture),
    make('td', {}, seconds(waited)),
    make('td', {}, worked === null ? '…' : seconds(worked)),
  );
}

function bar(kind, x, width) {
  return draw('rect', { class: kind, x, width, y: kind === 'worked' ? 3 : 5, height: kind === 'worked' ? 8 : 4 });
}

function mark(x) {
  const at = Math.min(x, WIDTH - 1);
  return draw('line', { class: 'mark', x1: at, x2: at, y1: -3, y2: HEIGHT + 3 });
}
