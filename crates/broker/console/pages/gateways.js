// Gateways between topics and ZeroMQ sockets: what passes, what was dropped, who is connected.

import { change, get, path } from '../api.js';
import { cards } from '../cards.js';
import { confirmByName } from '../dialog.js';
import { fill, h, say } from '../dom.js';
import { feed } from '../feed.js';
import { bytes, count, some } from '../format.js';
import { addGateway } from '../gateway_form.js';
import { emptyNote, facts, heading } from '../page.js';
import { endpointList, peerTable } from '../peers.js';
import { address } from '../router.js';
import { writeButton } from '../session.js';
import { toast } from '../toast.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Gateways');
  const about = h('span', { role: 'status' }, '\u00a0');
  const all = cards((/** @type {any} */ gateway) => gateway.name, (gateway) => card(gateway, () => {
    fed.again();
  }), () => emptyNote('There is no gateway.', 'A gateway lets ZeroMQ sockets send into a topic or '
    + 'receive from one. Add one here, or with ', h('code', {}, 'chaski gateway add'), '.'));
  view.root.append(
    heading('Gateways', { about, actions: [
      writeButton('Add gateway', () => addGateway(() => fed.again()), { class: 'primary',
        'data-new': true, 'aria-keyshortcuts': 'n' }),
    ] }),
    all.element,
  );
  const fed = feed(view.signal, 1_000, (signal) => get('/api/gateways', signal), ({ gateways }) => {
    about.textContent = some(gateways.length, 'gateway');
    all.show(gateways);
  }, all.fail);
}

/** @param {any} first @param {() => void} changed */
function card(first, changed) {
  const state = h('span', { class: 'badge' });
  const route = h('p', { class: 'route' });
  const numbers = h('div', {});
  const wrong = h('p', { class: 'wrong-text' });
  const peers = peerTable(`Peers of ${first.name}`);
  const title = `gateway-${first.name}`;
  const element = h('article', { class: 'card', 'aria-labelledby': title },
    h('header', {},
      h('h2', { id: title }, name(first.name)),
      h('span', { class: 'kind' }, first.kind),
      state,
      h('span', { class: 'gap' }),
      writeButton('Remove', () => remove(first.name, changed), { class: 'quiet',
        'aria-label': `Remove ${first.name}` })),
    route, wrong, numbers, peers.element);
  return {
    element,
    show(/** @type {any} */ now) {
      showWay(route, now);
      say(state, now.state);
      state.className = `badge ${now.state === 'running' ? 'well' : 'error'}`;
      say(wrong, now.last_error ?? '');
      wrong.hidden = !now.last_error;
      const entries = /** @type {[string, string][]} */ ([
        ['Messages', count(now.messages)],
        ['Bytes', bytes(now.bytes)],
        ['Dropped', count(now.drops)],
        ['Errors', count(now.errors)],
        ...(now.direction === 'out' ? [['Lag', count(now.lag)]] : []),
        ['From', now.source === 'config' ? 'the configuration' : 'added at run time'],
      ]);
      refreshFacts(numbers, entries);
      peers.show(now.peers);
    },
  };
}

/** Drawn again when a socket has found its port. @param {HTMLElement} place @param {any} now */
function showWay(place, now) {
  const memo = JSON.stringify([now.endpoints, now.topic, now.group]);
  if (place.dataset.memo === memo) return;
  place.dataset.memo = memo;
  fill(place, ...way(now));
}

/** Which way messages go, in the order in which they go. @param {any} gateway */
function way({ direction, endpoints, topic, group }) {
  const sockets = h('span', { class: 'ends' }, endpointList(endpoints));
  const arrow = h('span', { class: 'arrow', role: 'img', 'aria-label': 'to' }, '\u2192');
  const place = topic ? h('a', { href: address('topics', topic) }, topic)
    : 'the topic that each message names';
  const by = group ? [' as group ', h('a', { href: address('groups', group) }, name(group))] : [];
  return direction === 'in' ? [sockets, arrow, place] : [place, ...by, arrow, sockets];
}

/** @param {HTMLElement} place @param {[string, string][]} entries */
function refreshFacts(place, entries) {
  const values = place.querySelectorAll('dd');
  if (values.length === entries.length) entries.forEach(([, text], at) => say(values[at], text));
  else fill(place, facts(entries));
}

/** @param {string} gateway @param {() => void} changed */
function remove(gateway, changed) {
  confirmByName('Remove the gateway', gateway, 'Remove',
    'Its sockets are closed. Records stay, and so do the offsets of its group.', async () => {
      await change('DELETE', path('gateways', gateway));
      toast(`Gateway ${gateway} is removed.`);
      changed();
    });
}
