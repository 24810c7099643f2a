// Rings: shared memory between processes of this machine, the broker's own services first. How full,
// who had to wait, who is dead; and who reads the log's own pages, for which there is no ring.

import { get } from '../api.js';
import { cards } from '../cards.js';
import { h, say } from '../dom.js';
import { feed } from '../feed.js';
import { count, percent, some } from '../format.js';
import { emptyNote, facts, heading, meter, section } from '../page.js';
import { address } from '../router.js';
import { nothing, table } from '../table.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Rings');
  const about = h('span', { role: 'status' }, '\u00a0');
  const all = cards((/** @type {any} */ ring) => `${ring.name} ${ring.generation}`, card,
    () => emptyNote('No process of this machine is to be met in shared memory.',
      'Programs open services by ', h('code', {}, 'chaski::shm'), ', and from the command line: ',
      h('code', {}, 'chaski recv shm://lines')));
  const readers = readerTable();
  const more = h('span');
  const reading = section('Readers of the log\u2019s own pages', h('p', { class: 'hint lead' },
    'They read without the broker, and say where they are when they have read all there is, go on '
    + 'to another segment, or commit: until then their lag is less than this', more, '.'),
    readers.element);
  reading.hidden = true;
  view.root.append(heading('Rings', { about }), all.element, reading);
  feed(view.signal, 1_000, (signal) => get('/api/rings', signal), (now) => {
    about.textContent = `${some(now.total, 'service')} in ${now.directory}`
      + shownOf(now.rings, now.total);
    more.textContent = shownOf(now.readers, now.readers_total);
    all.show(now.rings);
    reading.hidden = now.readers_total === 0;
    readers.show(now.readers);
  }, all.fail);
}

/** @param {any[]} rows @param {number} total */
function shownOf(rows, total) {
  return total > rows.length ? `, the first ${count(rows.length)} are shown` : '';
}

function readerTable() {
  return table({
    caption: 'Readers of the log\u2019s own pages',
    key: (row) => String(row.id),
    columns: [
      { label: 'Process', head: true, memo: runner, node: (row) => name(runner(row)) },
      { label: 'Topic', memo: (row) => row.topic,
        node: (row) => h('a', { href: address('topics', row.topic) }, row.topic) },
      { label: 'Partition', class: 'num', text: (row) => String(row.partition) },
      { label: 'Offset', class: 'num wide', text: (row) => count(row.offset) },
      { label: 'Read', class: 'num wide', text: (row) => count(row.records) },
      { label: 'Lag', class: 'num',
        text: (row) => (row.lag === null ? 'unknown' : count(row.lag)) },
    ],
    empty: nothing('Nobody reads.'),
  });
}

/** @param {any} row */
function runner({ pid, program }) {
  return program ? `${program} (${pid})` : String(pid);
}

/** @param {any} first */
function card(first) {
  const dead = h('span', { class: 'badge error' });
  const silent = h('span', { class: 'badge warning' }, 'does not answer');
  const process = h('span', {});
  const peers = h('span', { class: 'num' });
  const departed = h('span', { class: 'num' });
  const clients = clientTable(`Clients of ${first.name}`);
  return {
    element: h('article', { class: 'card' },
      h('header', {}, h('h2', {}, name(first.name)),
        h('span', { class: 'kind' }, first.kind ?? 'unknown'), silent, dead),
      facts([['Process', process], ['Peers', peers], ['Left', departed]]), clients.element),
    show(/** @type {any} */ now) {
      say(dead, `${now.dead} dead`);
      dead.hidden = !now.dead;
      silent.hidden = now.answered;
      say(process, now.own ? 'this broker' : `${now.program ?? 'unknown'} (${now.pid})`);
      say(peers, now.peers > now.clients.length
        ? `${count(now.peers)}, of which ${count(now.clients.length)} are shown`
        : count(now.peers));
      say(departed, now.answered ? count(now.departed) : 'unknown');
      clients.show(now.clients);
    },
  };
}

/** @param {string} caption */
function clientTable(caption) {
  return table({
    caption,
    key: (row) => `${row.slot} ${row.pid}`,
    rowClass: (row) => (row.alive ? '' : 'bad'),
    columns: [
      { label: 'Process', head: true, memo: runner, node: (row) => name(runner(row)) },
      { label: 'State', text: (row) => (row.alive ? 'alive' : 'dead') },
      { label: 'Fill', memo: (row) => `${row.fill} ${row.capacity}`, node: fill },
      { label: 'Stalls', class: 'num', text: (row) => count(row.stalls) },
      { label: 'Waiting', class: 'num wide', text: (row) => count(row.waiting) },
      { label: 'Dropped', class: 'num wide', text: (row) => count(row.drops) },
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
