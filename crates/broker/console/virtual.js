// Tables of any length: only the rows in sight are in the document. All rows are of one height;
// two rows of nothing, above and below, stand for the rest, so that the scroll bar tells the truth.
//
// A row element belongs to one row as long as that is in sight, so the focus stays where it was.

import { fill, h } from './dom.js';
import { draw, emptyRow } from './table.js';
import { failureNote } from './page.js';

/** Rows drawn beyond either edge. */
const BEYOND = 8;
/** Browsers cut elements that are higher than this; further rows are reached by search. */
const HEIGHT_MAX = 16_000_000;

/**
 * @template R
 * @typedef {object} Source
 * @property {(at: number) => R | undefined} row undefined: not known yet
 * @property {(from: number, to: number) => void} [sight] what is in sight now
 */

/**
 * @template R
 * @param {object} given
 * @param {string} given.caption
 * @param {import('./table.js').Column<R>[]} given.columns
 * @param {Source<R>} given.source
 * @param {() => Node} given.empty
 * @param {(sort: string) => void} [given.onsort]
 */
export function virtualTable({ caption, columns, source, empty, onsort }) {
  const above = h('tr', { 'aria-hidden': 'true' }, h('td', {}));
  const below = h('tr', { 'aria-hidden': 'true' }, h('td', {}));
  const heads = columns.map((column) => head(column, onsort));
  const body = h('tbody', {}, above, below);
  const made = h('table', { class: 'virtual', 'aria-busy': 'true' },
    h('caption', { class: 'sr' }, caption), h('thead', {}, h('tr', {}, ...heads)), body);
  const frame = h('div', { class: 'frame tall', role: 'region', 'aria-label': caption,
    tabindex: 0 }, made);
  const element = h('div', { class: 'tabled tall' }, frame);

  /** @type {Map<number, any>} rows in the document by their place */
  const drawn = new Map();
  /** @type {any[]} */
  const spare = [];
  let total = 0;
  let height = 0;
  let pending = 0;

  frame.addEventListener('scroll', () => {
    pending ||= requestAnimationFrame(render);
  }, { passive: true });
  new ResizeObserver(() => {
    height = 0;
    render();
  }).observe(frame);

  function render() {
    cancelAnimationFrame(pending);
    pending = 0;
    // Out of the document, while a note stands in its place, nothing has a size.
    if (!frame.isConnected) return;
    height ||= parseFloat(getComputedStyle(frame).getPropertyValue('--row'));
    const sight = Math.ceil(frame.clientHeight / height);
    const first = Math.max(0, Math.min(Math.floor(frame.scrollTop / height), total - sight));
    // After a jump all rows are new. Those in sight are enough for one frame; if the hand rests, the
    // others come with the next.
    const beyond = jumped(first, first + sight) ? 0 : BEYOND;
    const from = Math.max(0, first - beyond);
    const to = Math.min(total, first + sight + beyond);
    release(from, to);
    let last = above;
    for (let at = from; at < to; at += 1) last = place(at, last);
    drop();
    above.firstElementChild.style.height = `${from * height}px`;
    below.firstElementChild.style.height = `${(total - to) * height}px`;
    source.sight?.(from, to);
    if (beyond === 0) pending ||= requestAnimationFrame(render);
  }

  /** Whether none of these rows is drawn, though others are. @param {number} from @param {number} to */
  function jumped(from, to) {
    return drawn.size > 0 && ![...drawn.keys()].some((at) => at >= from && at < to);
  }

  /**
   * Gives up rows that are no longer in sight. After a jump, when none of them stays, they keep
   * their places in the document and only their text will change.
   * @param {number} from @param {number} to
   */
  function release(from, to) {
    const gone = [...drawn].filter(([at]) => at < from || at >= to).sort(([a], [b]) => b - a);
    for (const [at, tr] of gone) {
      if (tr.contains(document.activeElement)) frame.focus({ preventScroll: true });
      drawn.delete(at);
      spare.push(tr);
    }
    if (drawn.size > 0) for (const [, tr] of gone) tr.remove();
  }

  /** Puts the row at its place, up to date. @param {number} at @param {any} before */
  function place(at, before) {
    let tr = drawn.get(at);
    if (!tr) {
      tr = spare.pop() ?? emptyRow(columns);
      tr.setAttribute('aria-rowindex', at + 2);
      drawn.set(at, tr);
    }
    if (before.nextSibling !== tr) before.after(tr);
    const row = source.row(at);
    tr.classList.toggle('waiting', row === undefined);
    columns.forEach((column, c) => (row === undefined ? blank(tr.children[c])
      : draw(tr.children[c], column, row)));
    return tr;
  }

  /** Takes out what nobody needs. */
  function drop() {
    for (const tr of spare) tr.remove();
    spare.length = 0;
  }

  /** There are so many rows now. @param {number} rows */
  function show(rows) {
    made.removeAttribute('aria-busy');
    made.setAttribute('aria-rowcount', String(rows + 1));
    if (rows === 0) {
      total = 0;
      fill(element, empty());
      return;
    }
    if (frame.parentNode !== element) fill(element, frame);
    height ||= parseFloat(getComputedStyle(frame).getPropertyValue('--row'));
    total = Math.min(rows, Math.floor(HEIGHT_MAX / height));
    render();
  }

  /** To the first row again: after another search or order. */
  function top() {
    frame.scrollTop = 0;
  }

  /** @param {any} error */
  function fail(error) {
    if (total === 0) fill(element, failureNote(error));
  }

  /** Shows by which column it is sorted. @param {string} sort @param {boolean} down */
  function sorted(sort, down) {
    columns.forEach((column, c) => {
      if (column.sort === sort) heads[c].ariaSort = down ? 'descending' : 'ascending';
      else heads[c].ariaSort = null;
    });
  }

  return { element, show, fail, render, top, sorted };
}

/** A row that is awaited has a mark by its class and nothing in it: it is drawn in full flight. */
function blank(/** @type {HTMLElement} */ cell) {
  delete cell.dataset.memo;
  if (cell.firstChild) cell.replaceChildren();
}

/**
 * @param {import('./table.js').Column<any>} column
 * @param {((sort: string) => void) | undefined} onsort
 */
function head(column, onsort) {
  const { sort, label } = column;
  const content = sort && onsort
    ? h('button', { type: 'button', class: 'sort', onclick: () => onsort(sort) }, label)
    : label;
  return h('th', { scope: 'col', class: column.class }, content);
}
