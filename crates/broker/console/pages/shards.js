// Shards: the event loops, how busy each is, and the connections it serves.

import { get } from '../api.js';
import { chart } from '../chart.js';
import { h } from '../dom.js';
import { feed } from '../feed.js';
import { bytes, count, percent, short } from '../format.js';
import { History } from '../history.js';
import { list } from '../list.js';
import { emptyNote, heading, meter, section } from '../page.js';
import { nothing, table } from '../table.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Shards');
  const shards = shardTable();
  const connections = connectionList(view);
  const past = new History();
  const busy = h('div', { class: 'charts' });
  /** @type {ReturnType<typeof chart>[]} */
  const charts = [];
  const each = section('Connections', connections.bar, connections.element);
  view.root.append(
    heading('Shards', { about: 'Each is an event loop on a thread of its own.' }),
    shards.element,
    section('Busy, last hour', busy),
    each,
  );
  feed(view.signal, 1_000, (signal) => get('/api/shards', signal),
    (answer) => shards.show(answer.shards), shards.fail);
  feed(view.signal, 2_000, (signal) => get('/api/connections', signal),
    (answer) => connections.show(answer.connections), (error) => {
      // A broker may not tell of single connections.
      if (error.status === 404) each.remove();
      else connections.fail(error);
    });
  feed(view.signal, 5_000, (signal) => past.ask(signal),
    (answer) => {
      past.take(answer);
      while (charts.length < past.shards) {
        const made = chart({ title: `Shard ${charts.length}`, format: percent, top: 0.2,
          mark: (n) => `${Math.round(n * 100)} %`,
          signal: view.signal, series: [{ label: 'busy', tone: 'c1' }] });
        charts.push(made);
        busy.append(made.element);
      }
      charts.forEach((made, at) => made.show(past.times, [past.column(`busy ${at}`)]));
    }, () => {});
}

function shardTable() {
  return table({
    caption: 'Shards',
    key: (row) => String(row.shard),
    columns: [
      { label: 'Shard', head: true, text: (row) => String(row.shard) },
      { label: 'Busy', memo: (row) => percent(row.busy),
        node: (row) => meter(row.busy, percent(row.busy)) },
      { label: 'In /s', class: 'num', text: (row) => bytes(row.bytes_in_s) },
      { label: 'Out /s', class: 'num', text: (row) => bytes(row.bytes_out_s) },
      { label: 'Connections', class: 'num wide', text: (row) => count(row.connections) },
      { label: 'Turns /s', class: 'num wide', text: (row) => short(row.turns_s) },
      { label: 'To send', class: 'num wide', text: (row) => bytes(row.depth) },
      { label: 'Moves', class: 'num wide', text: (row) => count(row.moves) },
    ],
    empty: nothing('No shard runs yet.', 'The log is being recovered.'),
  });
}

/** @param {import('../router.js').View} view */
function connectionList(view) {
  return list({
    view,
    caption: 'Connections',
    columns: [
      { label: 'Address', class: 'grow', head: true, sort: 'address', text: (row) => row.address },
      { label: 'Client', sort: 'client', memo: (row) => row.client_id ?? '',
        node: (row) => name(row.client_id ?? '') },
      { label: 'Software', class: 'wide', memo: (row) => row.software ?? '',
        node: (row) => name(row.software ?? '') },
      { label: 'Shard', class: 'num wide', sort: 'shard', text: (row) => String(row.shard) },
      { label: 'Requests', class: 'num', sort: 'requests', text: (row) => count(row.requests) },
      { label: 'In', class: 'num wide', sort: 'in', text: (row) => bytes(row.bytes_in) },
      { label: 'Out', class: 'num wide', sort: 'out', text: (row) => bytes(row.bytes_out) },
      { label: 'Unanswered', class: 'num wide', sort: 'unanswered',
        text: (row) => count(row.unanswered) },
    ],
    by: {
      address: (row) => row.address,
      client: (row) => row.client_id ?? '',
      shard: (row) => row.shard,
      requests: (row) => row.requests,
      in: (row) => row.bytes_in,
      out: (row) => row.bytes_out,
      unanswered: (row) => row.unanswered,
    },
    text: (row) => `${row.address} ${row.client_id} ${row.software}`.toLowerCase(),
    empty: () => emptyNote('Nobody is connected.'),
    order: ['address', false],
  });
}
