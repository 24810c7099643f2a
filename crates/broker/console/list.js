// A list whose rows are all here: searched and sorted in the browser, drawn row by row in sight.

import { h } from './dom.js';
import { emptyNote } from './page.js';
import { virtualTable } from './virtual.js';

/**
 * @template R
 * @param {object} given
 * @param {import('./router.js').View} given.view its address keeps search and order
 * @param {string} given.caption
 * @param {import('./table.js').Column<R>[]} given.columns
 * @param {Record<string, (row: R) => string | number | null>} given.by what to sort by
 * @param {(row: R) => string} given.text what is searched, in lower case
 * @param {() => Node} given.empty
 * @param {[string, boolean]} given.order at first
 */
export function list({ view, caption, columns, by, text, empty, order }) {
  /** @type {R[]} */
  let all = [];
  /** @type {R[]} */
  let shown = [];
  const asked = view.query.get('sort') ?? '';
  let [sort, down] = asked in by ? [asked, view.query.get('desc') === '1'] : order;
  const input = searchField(view, caption, () => refresh());
  const found = h('span', { class: 'found', role: 'status' });

  const rows = virtualTable({
    caption,
    columns,
    source: { row: (at) => shown[at] },
    empty: () => (all.length === 0 ? empty() : emptyNote(`None of ${all.length} has `
      + `\u201c${input.value}\u201d in it.`, 'Search for less.')),
    onsort(name) {
      if (name === sort) down = !down;
      else down = name === order[0] ? order[1] : true;
      sort = name;
      view.remember({ sort, desc: down ? '1' : null });
      refresh();
    },
  });
  rows.sorted(sort, down);

  function refresh() {
    const wanted = input.value.trim().toLowerCase();
    shown = wanted === '' ? [...all] : all.filter((row) => text(row).includes(wanted));
    const value = by[sort];
    shown.sort((a, b) => compare(value(a), value(b)) * (down ? -1 : 1));
    rows.sorted(sort, down);
    found.textContent = wanted === '' ? '' : `${shown.length} of ${all.length}`;
    rows.show(shown.length);
  }

  return {
    bar: h('div', { class: 'toolbar' }, input, found),
    element: rows.element,
    fail: rows.fail,
    /** @param {R[]} given */
    show(given) {
      all = given;
      refresh();
    },
  };
}

/** Downward, what is unknown comes first, since it is what to look at. */
function compare(/** @type {any} */ a, /** @type {any} */ b) {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

/** Between the last key and the search. */
const QUIET_MS = 150;

/**
 * @param {import('./router.js').View} view @param {string} what @param {() => void} search
 */
export function searchField(view, what, search) {
  const input = h('input', {
    type: 'search', 'data-search': true, placeholder: 'Search', 'aria-label': `Search: ${what}`,
    'aria-keyshortcuts': '/', value: view.query.get('search') ?? '', spellcheck: 'false',
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      view.remember({ search: input.value });
      search();
    }, QUIET_MS);
  });
  view.signal.addEventListener('abort', () => clearTimeout(timer));
  return input;
}
