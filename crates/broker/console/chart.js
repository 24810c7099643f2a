// Charts of the last hour, by uPlot. Beside each stands what it shows in words and numbers: the
// value under the cursor or the latest, and for who cannot see it a summary of the hour.

import uPlot from './vendor/uplot.js';
import { h, say } from './dom.js';
import { bytes, clock } from './format.js';

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} tone `c1` is the accent, `c2` to `c4` are ink, ever lighter
 * @property {boolean} [dash]
 */

/** A theme was chosen: canvases do not follow it by themselves. */
export const themed = new EventTarget();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  themed.dispatchEvent(new Event('theme'));
});

const HEIGHT = 132;

/** What is shown at least: of a broker that has just begun, some empty time before it. */
const SHORTEST_S = 300;

/** Bytes are round where kibibytes are. */
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);

/**
 * @param {object} given
 * @param {string} given.title
 * @param {Series[]} given.series
 * @param {(n: number | null) => string} given.format
 * @param {AbortSignal} given.signal
 * @param {(n: number) => string} [given.mark] the same at the axis, where it is a round number
 * @param {number} [given.top] the least that the scale reaches
 */
export function chart({ title, series, format, signal, mark = format, top = 1 }) {
  const values = series.map(() => h('span', { class: 'num' }, ''));
  const marks = series.map(({ tone, dash }) => h('span', {
    class: `mark ${tone}${dash ? ' dash' : ''}`, 'aria-hidden': 'true',
  }));
  const legend = h('p', { class: 'legend' }, ...series.map(({ label }, at) => h('span', {},
    marks[at], series.length > 1 && h('span', { class: 'label' }, label), values[at])));
  const plot = h('div', { class: 'plot', role: 'img', 'aria-label': `${title}: loading` });
  const when = h('span', { class: 'when' });
  const element = h('figure', { class: 'chart' },
    h('figcaption', {}, h('h3', {}, title), when, legend), plot);

  /** @type {uPlot | null} */
  let drawn = null;
  /** @type {any[]} */
  let data = [[], ...series.map(() => [])];

  /** What the legend says: of the cursor's place, or of the last. */
  function tell() {
    const at = drawn?.cursor.idx;
    const last = data[0].length - 1;
    series.forEach((_, n) => say(values[n], format(data[n + 1][at ?? last] ?? null)));
    say(when, at === null || at === undefined ? '' : clock(new Date(data[0][at] * 1000)));
  }

  function build() {
    drawn?.destroy();
    const colour = (/** @type {Element} */ node) => getComputedStyle(node).color;
    const line = () => getComputedStyle(plot).borderTopColor;
    const axis = { stroke: () => colour(plot), font: '11px system-ui, sans-serif',
      grid: { stroke: line, width: 1 }, ticks: { show: false } };
    drawn = new uPlot({
      width: plot.clientWidth,
      height: HEIGHT,
      padding: [6, 20, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: 'hour', setSeries: false }, drag: { x: false, y: false },
        y: false, points: { size: 6 } },
      scales: {
        x: { range: (_, from, to) => stretch(from, to) },
        y: { range: (_, __, most) => [0, Math.max(top, (most ?? 0) * 1.08)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 22, space: 64,
          values: (_, times) => times.map((t) => clock(new Date(t * 1000)).slice(0, 5)) },
        { ...axis, size: 58, gap: 6, space: 34, ...(format === bytes ? { incrs: BINARY } : {}),
          values: (_, all) => all.map((n) => mark(n)) },
      ],
      series: [{}, ...series.map(({ label, dash }, n) => ({
        label, width: 1.5, stroke: () => colour(marks[n]), dash: dash ? [4, 3] : undefined,
        points: { show: false }, spanGaps: false,
        ...(n === 0 ? { fill: () => faded(colour(marks[n])) } : {}),
      }))],
      hooks: { setCursor: [tell] },
    }, data, plot);
  }

  const resized = new ResizeObserver(() => {
    if (plot.clientWidth === 0) return;
    if (drawn) drawn.setSize({ width: plot.clientWidth, height: HEIGHT });
    else build();
  });
  resized.observe(plot);
  themed.addEventListener('theme', () => drawn && build(), { signal });
  signal.addEventListener('abort', () => {
    resized.disconnect();
    drawn?.destroy();
    drawn = null;
  });

  return {
    element,
    /** @param {number[]} times in seconds @param {(number | null)[][]} columns */
    show(times, columns) {
      data = [times, ...columns];
      drawn?.setData(data);
      tell();
      plot.setAttribute('aria-label', summary(title, series, columns, format));
    },
  };
}

/**
 * What the axis of time shows; of nothing, the time before now.
 * @param {number | null} from @param {number | null} to @returns {[number, number]}
 */
function stretch(from, to) {
  const end = to ?? Date.now() / 1000;
  return [Math.min(from ?? end, end - SHORTEST_S), end];
}

/** @param {string} rgb */
function faded(rgb) {
  return rgb.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.1)');
}

/**
 * The hour in a sentence.
 * @param {string} title @param {Series[]} series @param {(number | null)[][]} columns
 * @param {(n: number | null) => string} format
 */
function summary(title, series, columns, format) {
  const each = series.map(({ label }, n) => {
    const values = /** @type {number[]} */ (columns[n].filter((value) => value !== null));
    if (values.length === 0) return `${label}: nothing known yet`;
    const least = values.reduce((a, b) => Math.min(a, b));
    const most = values.reduce((a, b) => Math.max(a, b));
    return `${label}: now ${format(columns[n].at(-1) ?? null)}, `
      + `between ${format(least)} and ${format(most)}`;
  });
  return `${title}, last hour. ${each.join('; ')}.`;
}
