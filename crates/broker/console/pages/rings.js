// Rings: shared memory between the broker and processes of this machine. How full, who had to
// wait, who is dead.

import { get } from '../api.js';
import { cards } from '../cards.js';
import { h, say } from '../dom.js';
import { feed } from '../feed.js';
import { count, percent, some } from '../format.js';
import { emptyNote, heading, meter } from '../page.js';
import { nothing, table } from '../table.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Rings');
  const about = h('span', { role: 'status' }, '\u00a0');
  const all = cards((/** @type {any} */ ring) => ring.name, card, () => emptyNote(
    'No process talks to the broker by shared memory.',
    'Programs on this machine do so with ', h('code', {}, 'chaski::log::LocalProducer'), ' and ',
    h('code', {}, 'LocalConsumer'), '.',
  ));
  view.root.append(heading('Rings', { about }), all.element);
  feed(view.signal, 1_000, (signal) => get('/api/rings', signal), ({ rings }) => {
    about.textContent = some(rings.length, 'service');
    all.show(rings);
  }, all.fail);
}

/** @param {any} first */
function card(first) {
  const dead = h('span', { class: 'badge error' });
  const clients = clientTable(`Clients of ${first.name}`);
  return {
    element: h('article', { class: 'card' },
      h('header', {}, h('h2', {}, name(first.name)), h('span', { class: 'kind' }, first.kind),
        dead),
      clients.element),
    show(/** @type {any} */ now) {
      say(dead, `${now.dead} dead`);
      dead.hidden = !now.dead;
      clients.show(now.clients);
    },
  };
}

/** @param {string} caption */
function clientTable(caption) {
  return table({
    caption,
    key: (row) => `${row.id ?? ''} ${row.pid}`,
    rowClass: (row) => (row.alive ? '' : 'bad'),
    columns: [
      { label: 'Process', head: true, text: (row) => String(row.pid) },
      { label: 'State', text: (row) => (row.alive ? 'alive' : 'dead') },
      { label: 'Fill', memo: (row) => `${row.fill} ${row.capacity}`, node: fill },
      { label: 'Stalls', class: 'num', text: (row) => count(row.stalls) },
      { label: 'In', class: 'num wide', text: (row) => count(row.in) },
      { label: 'Out', class: 'num wide', text: (row) => count(row.out) },
    ],
    empty: nothing('Nobody is connected.'),
  });
}

/** @param {any} row */
function fill({ fill: used, capacity }) {
  if (used === null || !capacity) return 'unknown';
  return meter(used / capacity, percent(used / capacity));
}
