// Peers of ZeroMQ sockets, in gateways and in sockets alike.

import { h } from './dom.js';
import { count } from './format.js';
import { nothing, table } from './table.js';
import { name } from './visible.js';

/** @param {string} caption */
export function peerTable(caption) {
  return table({
    caption,
    key: (row) => `${row.address} ${row.user ?? ''}`,
    rowClass: (row) => (row.dropped > 0 ? 'warn' : ''),
    columns: [
      { label: 'Peer', head: true, memo: (row) => row.address, node: (row) => name(row.address) },
      { label: 'Mechanism', class: 'wide', text: (row) => row.mechanism ?? 'unknown' },
      { label: 'User', class: 'wide', memo: (row) => row.user ?? '',
        node: (row) => (row.user ? name(row.user) : '') },
      { label: 'Dropped', class: 'num', text: (row) => count(row.dropped) },
      { label: 'Queued / HWM', class: 'num', text: (row) => `${count(row.queued)} / ${
        row.hwm === 0 ? 'no limit' : count(row.hwm)}` },
      { label: 'Received', class: 'num', text: (row) => count(row.received) },
      { label: 'Sent', class: 'num', text: (row) => count(row.sent) },
    ],
    empty: nothing('Nobody is connected.'),
  });
}

/** Endpoints, one below the other. @param {string[]} endpoints */
export function endpointList(endpoints) {
  return endpoints.map((one) => h('code', { class: 'endpoint' }, one));
}
