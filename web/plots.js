/**
 * Plots as SVG: each is a figure with a caption, a description, and a table with the same data.
 */

import { h, svg } from './elements.js';

const ROW = 30;
const STACKED_ROW = 46;
const SIDE_BY_SIDE_FROM = 460;
const CHARACTER = 7.2;

let figures = 0;

/**
 * Plot a value with an interval for each row: a dot and a line, on one scale.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.description what the plot shows, in a sentence
 * @param {Array<{label: string, mean: number, low?: number, high?: number, kind?: string, note?: string, text?: string}>} plot.rows
 *   `kind` ("live" or "b") says which rows stand out; `text` is written instead of the value
 * @param {function(number): string} plot.write writes a value
 * @param {function(number): string} plot.writeTick writes a value on the scale
 * @param {boolean} plot.fromZero begin the scale at 0
 * @param {string} plot.head heading of the table's first column
 */
export function intervals({ title, description, rows, write, writeTick = tickText, fromZero = false, head = 'Model' }) {
  const table = {
    head: [head, title, '95% interval'],
    rows: rows.map((row) => [
      row.label + (row.note ? ` (${row.note})` : ''),
      write(row.mean),
      range(row, write) ?? '–',
    ]),
  };
  return figure(title, description, table, (width) => drawIntervals(width, rows, write, writeTick, fromZero));
}

function range({ low, high }, write) {
  return low === undefined || high === undefined ? null : `${write(low)} to ${write(high)}`;
}

function drawIntervals(width, rows, write, writeTick, fromZero) {
  const isWide = width >= SIDE_BY_SIDE_FROM;
  const row = isWide ? ROW : STACKED_ROW;
  const values = rows.map(({ mean, text }) => text ?? write(mean));
  const labelWidth = isWide ? Math.min(widest(rows.map(({ label }) => label)), width * 0.36) : 0;
  const valueWidth = isWide ? widest(values) + 4 : 0;
  const left = labelWidth + (isWide ? 22 : 8);
  const right = width - valueWidth - (isWide ? 12 : 8);
  const bounds = rows.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]);
  const scale = linear(fromZero ? [0, ...bounds] : bounds, left, right, 5);
  const height = rows.length * row + 26;
  const reference = rows.find(({ kind }) => kind === 'live');
  return canvas(width, height, [
    scale.ticks.map((tick) => [
      svg('line', { class: 'grid', x1: scale(tick), x2: scale(tick), y1: 0, y2: height - 22 }),
      svg('text', { class: 'tick', x: scale(tick), y: height - 6, 'text-anchor': 'middle' }, writeTick(tick, scale)),
    ]),
    reference && rows.length > 1
      ? svg('line', {
          class: 'reference',
          x1: scale(reference.mean),
          x2: scale(reference.mean),
          y1: 0,
          y2: height - 22,
        })
      : null,
    rows.map((item, position) => {
      const y = position * row + (isWide ? row / 2 : row - 13);
      const textY = isWide ? y + 4 : y - 14;
      const limit = isWide ? labelWidth : width - widest([values[position]]) - 16;
      return svg(
        'g',
        { class: `row ${item.kind ?? 'other'}` },
        svg('title', {}, [item.label, values[position], range(item, write)].filter(Boolean).join(', ')),
        svg('rect', { class: 'hover', x: 0, y: position * row, width, height: row }),
        svg('text', { class: 'label', x: 0, y: textY }, cut(item.label, limit)),
        item.low === undefined
          ? null
          : svg('line', { class: 'interval', x1: scale(item.low), x2: scale(item.high), y1: y, y2: y }),
        svg('circle', { class: 'dot', cx: scale(item.mean), cy: y, r: 5 }),
        svg('text', { class: 'value', x: width, y: textY, 'text-anchor': 'end' }, values[position]),
      );
    }),
  ]);
}

/**
 * Plot vertical bars, such as events by minute.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.description
 * @param {Array<{label: string, value: number, tick?: string, isPartial?: boolean}>} plot.bars `tick` is written below
 *   the bar; a partial one is not complete yet
 * @param {Array<string>} plot.head headings of the table
 * @param {string} plot.unit of the values
 */
export function columns({ title, description, bars, head, unit }) {
  const table = { head, rows: bars.map((bar) => [bar.label, new Intl.NumberFormat().format(bar.value)]) };
  return figure(title, description, table, (width) => drawColumns(width, bars, unit));
}

function drawColumns(width, bars, unit) {
  const height = 190;
  const [top, bottom] = [28, height - 24];
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const ticks = niceTicks(0, most, 3).filter(Number.isInteger);
  const left = widest(ticks.map((tick) => new Intl.NumberFormat().format(tick))) + 8;
  const step = (width - left) / bars.length;
  const scale = (value) => bottom - (value / Math.max(most, ticks.at(-1))) * (bottom - top);
  const gap = Math.min(step * 0.25, 8);
  const ticksShown = withRoom(bars, step);
  return canvas(width, height, [
    svg('text', { class: 'tick', x: 0, y: 10 }, unit),
    ticks.map((tick) => [
      svg('line', { class: 'grid', x1: left, x2: width, y1: scale(tick), y2: scale(tick) }),
      svg(
        'text',
        { class: 'tick', x: left - 8, y: scale(tick) + 4, 'text-anchor': 'end' },
        new Intl.NumberFormat().format(tick),
      ),
    ]),
    bars.map((bar, position) => {
      const x = left + position * step + gap / 2;
      const tick = ticksShown.has(position) ? bar.tick : '';
      const tall = bar.value ? Math.max(bottom - scale(bar.value), 1.5) : 0;
      return svg(
        'g',
        {},
        svg('title', {}, `${bar.label}: ${new Intl.NumberFormat().format(bar.value)} ${unit}`),
        svg('rect', { class: 'hover', x: x - gap / 2, y: top, width: step, height: bottom - top }),
        svg('rect', {
          class: bar.isPartial ? 'bar partial' : 'bar',
          x,
          y: bottom - tall,
          width: step - gap,
          height: tall,
          rx: Math.min(3, (step - gap) / 2),
        }),
        tick
          ? svg('text', { class: 'tick', ...anchored(x + (step - gap) / 2, width, tick), y: height - 6 }, tick)
          : null,
      );
    }),
    svg('line', { class: 'axis', x1: left, x2: width, y1: bottom, y2: bottom }),
  ]);
}

/**
 * Plot horizontal bars with their shares.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.description
 * @param {Array<{label: string, value: number}>} plot.bars
 * @param {Array<string>} plot.head headings of the table
 */
export function bars({ title, description, bars: items, head }) {
  const total = items.reduce((sum, { value }) => sum + value, 0);
  const shares = items.map(({ value }) => share(value, total));
  const table = {
    head: [...head, 'Share'],
    rows: items.map((item, position) => [item.label, new Intl.NumberFormat().format(item.value), shares[position]]),
  };
  return figure(title, description, table, (width) => drawBars(width, items, shares));
}

function share(value, total) {
  return new Intl.NumberFormat(undefined, { style: 'percent' }).format(total ? value / total : 0);
}

function drawBars(width, items, shares) {
  const labelWidth = Math.min(widest(items.map(({ label }) => label)), width * 0.45);
  const texts = items.map(({ value }, position) => `${new Intl.NumberFormat().format(value)} · ${shares[position]}`);
  const left = labelWidth + 12;
  const long = width - left - widest(texts) - 8;
  const most = Math.max(1, ...items.map(({ value }) => value));
  return canvas(width, items.length * ROW, [
    items.map((item, position) => {
      const y = position * ROW;
      const length = (item.value / most) * long;
      return svg(
        'g',
        {},
        svg('title', {}, `${item.label}: ${texts[position]}`),
        svg('rect', { class: 'hover', x: 0, y, width, height: ROW }),
        svg('text', { class: 'label', x: 0, y: y + 19 }, cut(item.label, labelWidth)),
        svg('rect', {
          class: 'bar',
          x: left,
          y: y + 8,
          width: Math.max(length, item.value ? 2 : 0),
          height: ROW - 16,
          rx: 3,
        }),
        svg('text', { class: 'value', x: left + length + 8, y: y + 19 }, texts[position]),
      );
    }),
  ]);
}

/**
 * Plot two lines over runs: a model's metric, and that of popularity.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.description
 * @param {Array<{label: string, ours: number, theirs?: number, isRefused: boolean}>} plot.points the oldest first
 * @param {Array<string>} plot.names of the two lines
 * @param {function(number): string} plot.write writes a value
 */
export function lines({ title, description, points, names, write }) {
  const table = {
    head: ['Run', ...names],
    rows: points.map((point) => [
      point.label + (point.isRefused ? ' (refused)' : ''),
      write(point.ours),
      point.theirs === undefined ? '–' : write(point.theirs),
    ]),
  };
  return figure(title, description, table, (width) => drawLines(width, points, names, write));
}

function drawLines(width, points, names, write) {
  const height = 190;
  const [top, bottom] = [12, height - 26];
  const values = points.flatMap(({ ours, theirs }) => (theirs === undefined ? [ours] : [ours, theirs]));
  const scale = linear(values, bottom, top, 5);
  const left = widest(scale.ticks.map((tick) => tickText(tick, scale))) + 8;
  const right = width - widest(names) - 14;
  const x = (position) =>
    points.length === 1 ? (left + right) / 2 : left + 8 + (position / (points.length - 1)) * (right - left - 16);
  const path = (of) =>
    points
      .map((point, position) => (of(point) === undefined ? null : `${x(position)},${scale(of(point))}`))
      .filter(Boolean)
      .join(' ');
  const last = points.at(-1);
  const ends = apart(scale(last.ours), last.theirs === undefined ? null : scale(last.theirs));
  return canvas(width, height, [
    scale.ticks.map((tick) => [
      svg('line', { class: 'grid', x1: left, x2: right, y1: scale(tick), y2: scale(tick) }),
      svg('text', { class: 'tick', x: left - 8, y: scale(tick) + 4, 'text-anchor': 'end' }, tickText(tick, scale)),
    ]),
    svg('polyline', { class: 'line other', points: path(({ theirs }) => theirs) }),
    svg('polyline', { class: 'line live', points: path(({ ours }) => ours) }),
    points.map((point, position) => [
      point.theirs === undefined
        ? null
        : svg(
            'circle',
            { class: 'dot other', cx: x(position), cy: scale(point.theirs), r: 3.5 },
            svg('title', {}, `${point.label}, ${names[1]}: ${write(point.theirs)}`),
          ),
      svg(
        'circle',
        { class: point.isRefused ? 'dot refused' : 'dot live', cx: x(position), cy: scale(point.ours), r: 5 },
        svg('title', {}, `${point.label}${point.isRefused ? ' (refused)' : ''}, ${names[0]}: ${write(point.ours)}`),
      ),
    ]),
    svg('text', { class: 'label live', x: right + 6, y: ends[0] + 4 }, names[0]),
    ends[1] === null ? null : svg('text', { class: 'label', x: right + 6, y: ends[1] + 4 }, names[1]),
    svg('text', { class: 'tick', x: left, y: height - 6 }, points.length > 1 ? points[0].label : ''),
    svg('text', { class: 'tick', x: right, y: height - 6, 'text-anchor': 'end' }, last.label),
  ]);
}

function apart(first, second) {
  if (second === null || Math.abs(first - second) >= 15) return [first, second];
  const middle = (first + second) / 2;
  return first <= second ? [middle - 8, middle + 8] : [middle + 8, middle - 8];
}

/** Make a table with a caption for screen readers. */
export function table({ caption, head, rows }) {
  return h(
    'table',
    {},
    h('caption', { class: 'visually-hidden' }, caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        head.map((cell) => h('th', { scope: 'col' }, cell)),
      ),
    ),
    h(
      'tbody',
      {},
      rows.map(([first, ...rest]) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, first),
          rest.map((cell) => h('td', {}, cell)),
        ),
      ),
    ),
  );
}

function figure(title, description, data, draw) {
  const container = h('div', { class: 'plot' });
  const label = `${title}. ${description}`;
  const made = h(
    'figure',
    { class: 'figure' },
    h('figcaption', {}, h('strong', {}, title), h('span', {}, description)),
    container,
    h(
      'details',
      { 'data-key': `table of ${title}`, class: 'as-table' },
      h('summary', {}, 'As a table', h('span', { class: 'visually-hidden' }, `: ${title}`)),
      h(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Table: ${title}` },
        table({ caption: label, ...data }),
      ),
    ),
  );
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width && container.dataset.width !== String(width)) {
      container.dataset.width = String(width);
      container.replaceChildren(described(draw(width), title, description));
    }
  }).observe(container);
  return made;
}

function described(drawing, title, description) {
  const id = `figure-${++figures}`;
  drawing.prepend(svg('title', { id: `${id}-title` }, title), svg('desc', { id: `${id}-description` }, description));
  drawing.setAttribute('aria-labelledby', `${id}-title`);
  drawing.setAttribute('aria-describedby', `${id}-description`);
  return drawing;
}

function canvas(width, height, parts) {
  return svg('svg', { role: 'img', viewBox: `0 0 ${width} ${height}`, width, height }, parts);
}

function linear(values, from, to, wanted = 4) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  const [first, last] = [low === 0 ? 0 : low - margin, high + margin];
  const scale = (value) => from + ((value - first) / (last - first)) * (to - from);
  scale.ticks = niceTicks(first, last, Math.min(wanted, Math.max(2, Math.floor(Math.abs(to - from) / 45))));
  scale.digits = decimals(scale.ticks);
  return scale;
}

function niceTicks(first, last, wanted) {
  const raw = (last - first) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const ticks = [];
  for (let number = Math.ceil(first / step); number * step <= last * (1 + 1e-12); number += 1) {
    ticks.push(Number((number * step).toPrecision(12)));
  }
  return ticks;
}

function decimals(ticks) {
  return Math.max(0, ...ticks.map((tick) => (String(tick).split('.')[1] ?? '').length));
}

function tickText(tick, { digits }) {
  return new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    tick,
  );
}

function widest(texts) {
  return Math.max(0, ...texts.map((text) => text.length)) * CHARACTER;
}

function cut(text, width) {
  const room = Math.max(Math.floor(width / CHARACTER), 3);
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

/** Return the positions whose tick labels do not overlap; the last one has priority. */
function withRoom(bars, step) {
  const shown = new Set();
  let until = Infinity;
  for (let position = bars.length - 1; position >= 0; position -= 1) {
    const half = widest([bars[position].tick ?? '']) / 2;
    if (!half || position * step + half > until) continue;
    shown.add(position);
    // The last label ends at the plot's edge.
    until = position * step - (until === Infinity ? 2 * half : half) - 6;
  }
  return shown;
}

function anchored(x, width, text) {
  const half = widest([text]) / 2;
  if (x + half > width) return { x: width, 'text-anchor': 'end' };
  return { x, 'text-anchor': 'middle' };
}
