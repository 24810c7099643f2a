// Sockets: every ZeroMQ socket of the process, its peers, their queues and what was dropped.

import { get } from '../api.js';
import { cards } from '../cards.js';
import { fill, h, say } from '../dom.js';
import { feed } from '../feed.js';
import { count, some } from '../format.js';
import { emptyNote, facts, heading } from '../page.js';
import { endpointList, peerTable } from '../peers.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Sockets');
  const about = h('span', { role: 'status' }, '\u00a0');
  const all = cards((/** @type {any} */ socket) => String(socket.id ?? socket.name), card,
    () => emptyNote('No ZeroMQ socket is open.', 'Gateways open them: see ',
      h('a', { href: '/gateways' }, 'Gateways'), '.'));
  view.root.append(heading('Sockets', { about }), all.element);
  feed(view.signal, 1_000, (signal) => get('/api/sockets', signal), ({ sockets }) => {
    const peers = sockets.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum
      + one.peers.length, 0);
    about.textContent = `${some(sockets.length, 'socket')}, ${some(peers, 'peer')}`;
    all.show(sockets);
  }, all.fail);
}

/** @param {any} first */
function card(first) {
  const title = h('h2', {}, name(first.name));
  const peers = peerTable(`Peers of ${first.name}`);
  const received = h('span', { class: 'num' });
  const sent = h('span', { class: 'num' });
  const dropped = h('span', { class: 'num' });
  const ends = h('p', { class: 'route' });
  return {
    element: h('article', { class: 'card' },
      h('header', {}, title, h('span', { class: 'kind' }, first.kind)), ends,
      facts([['Received', received], ['Sent', sent], ['Dropped', dropped]]), peers.element),
    show(/** @type {any} */ now) {
      const memo = now.endpoints.join();
      if (ends.dataset.memo !== memo) fill(ends, endpointList(now.endpoints));
      ends.dataset.memo = memo;
      say(received, count(now.messages_in));
      say(sent, count(now.messages_out));
      say(dropped, count(now.drops));
      peers.show(now.peers);
    },
  };
}
