// Tables of few rows, updated in place: a cell is touched only when what it shows changed, so that
// focus, selection and a screen reader's place survive every refresh.

import { fill, h, say } from './dom.js';
import { emptyNote, failureNote } from './page.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * @template R
 * @typedef {object} Column
 * @property {string} label
 * @property {string} [class] `num` for numbers, `wide` for what a narrow screen leaves out
 * @property {(row: R) => string} [text] what the cell shows, as text
 * @property {(row: R) => Child} [node] or as nodes, made again when `memo` changes
 * @property {(row: R) => string} [memo]
 * @property {boolean} [head] names the row
 * @property {string} [sort] a name to sort by
 */

/**
 * Brings a cell up to date.
 * @template R
 * @param {HTMLElement} cell @param {Column<R>} column @param {R} row
 */
export function draw(cell, column, row) {
  if (column.text) {
    const text = column.text(row);
    say(cell, text);
    cell.classList.toggle('unknown', text === 'unknown');
    return;
  }
  const memo = column.memo ? column.memo(row) : '';
  if (cell.dataset.memo === memo && cell.firstChild) return;
  cell.dataset.memo = memo;
  fill(cell, column.node?.(row));
}

/**
 * @template R
 * @param {Column<R>[]} columns
 */
export function emptyRow(columns) {
  return h('tr', {}, ...columns.map((column) => h(column.head ? 'th' : 'td', {
    class: column.class, scope: column.head ? 'row' : null,
  })));
}

/**
 * @template R
 * @param {object} given
 * @param {string} given.caption read out, not shown
 * @param {Column<R>[]} given.columns
 * @param {(row: R) => string} given.key
 * @param {() => Node} given.empty
 * @param {(row: R) => string} [given.rowClass]
 */
export function table({ caption, columns, key, empty, rowClass }) {
  const body = h('tbody', {});
  const made = h('table', {},
    h('caption', { class: 'sr' }, caption),
    h('thead', {}, h('tr', {}, ...columns.map((column) => h('th', {
      scope: 'col', class: column.class,
    }, column.label)))),
    body);
  const frame = h('div', { class: 'frame', role: 'region', 'aria-label': caption, tabindex: 0 },
    made);
  const element = h('div', { class: 'tabled' }, frame);
  /** @type {Map<string, any>} */
  let drawn = new Map();
  skeleton(body, columns.length);

  /** @param {R[]} rows */
  function show(rows) {
    element.removeAttribute('aria-busy');
    if (rows.length === 0) {
      drawn.clear();
      fill(body);
      fill(element, empty());
      return;
    }
    if (frame.parentNode !== element) fill(element, frame);
    const kept = new Map();
    rows.forEach((row, at) => {
      const tr = drawn.get(key(row)) ?? emptyRow(columns);
      kept.set(key(row), tr);
      columns.forEach((column, c) => draw(tr.children[c], column, row));
      if (rowClass) tr.className = rowClass(row);
      if (body.children[at] !== tr) body.insertBefore(tr, body.children[at] ?? null);
    });
    while (body.children.length > rows.length) body.lastElementChild.remove();
    drawn = kept;
  }

  /** What is on the screen stays there: an answer that is late is better than none. */
  function fail(/** @type {any} */ error) {
    if (drawn.size === 0) fill(element, failureNote(error));
  }

  return { element, show, fail };
}

/**
 * Rows of nothing while the first answer is awaited.
 * @param {HTMLElement} body @param {number} columns @param {number} [rows]
 */
export function skeleton(body, columns, rows = 3) {
  for (let at = 0; at < rows; at += 1) {
    const cells = Array.from({ length: columns }, () => h('td', {}, h('span', {
      class: 'bone',
    })));
    body.append(h('tr', { 'aria-hidden': 'true' }, ...cells));
  }
}

/** A note instead of rows. @param {string} what @param {...Child} next */
export const nothing = (what, ...next) => () => emptyNote(what, ...next);
