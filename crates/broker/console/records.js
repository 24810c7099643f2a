// The list of records: a line each, and all of a record below its line when asked for.

import { fill, h } from './dom.js';
import { preview, told, whole } from './bytes_view.js';
import { recvOne } from './cli.js';
import { bytes, count, some, time, utc } from './format.js';
import { copyButton, facts } from './page.js';
import { name } from './visible.js';

/**
 * @typedef {import('./bytes_view.js').Bytes} Bytes
 * @typedef {{partition: number, offset: number, timestamp_ms: number, key: Bytes, value: Bytes,
 *   headers: {name: string, value: Bytes}[], size: number}} Message
 */

const HEADS = [['Open', 'open'], ['Time', 'time'], ['Part.', 'num wide part'],
  ['Offset', 'num off'], ['Key', 'wide keyed'], ['Value', ''], ['Size', 'num wide size']];

/** @param {string} topic */
export function recordList(topic) {
  const body = h('tbody', {});
  const element = h('div', { class: 'frame', role: 'region', 'aria-label': 'Records',
    tabindex: 0 }, h('table', { class: 'records' }, h('caption', { class: 'sr' }, 'Records'),
    h('thead', {}, h('tr', {}, ...HEADS.map(([label, one]) => h('th', { scope: 'col',
      class: one }, one === 'open' ? h('span', { class: 'sr' }, label) : label)))), body));

  return {
    element,
    get length() {
      return body.querySelectorAll('tr.record').length;
    },
    clear() {
      fill(body);
    },
    /** @param {Message[]} messages */
    append(messages) {
      body.append(...messages.map((message) => record(topic, message)));
    },
    /** Newest first, and no more than `most` in all. @param {Message[]} messages */
    prepend(messages, most = Infinity) {
      body.prepend(...messages.map((message) => record(topic, message)));
      while (body.children.length > most) body.lastElementChild.remove();
    },
  };
}

/** @param {string} topic @param {Message} message */
function record(topic, message) {
  const { partition, offset, timestamp_ms: at, key, value, size } = message;
  const button = h('button', { type: 'button', class: 'quiet expand', 'aria-expanded': 'false',
    'aria-label': `Record ${partition}:${offset}` });
  const [date, clock] = time(at).split(' ');
  const row = h('tr', { class: 'record' },
    h('td', { class: 'open' }, button),
    h('td', { class: 'time num', title: at >= 0 ? utc(at) : null },
      h('span', { class: 'date' }, `${date} `), clock),
    h('td', { class: 'num wide part' }, partition),
    h('th', { class: 'num off', scope: 'row' }, count(offset)),
    h('td', { class: 'wide keyed' }, preview(key)),
    h('td', { class: 'value' }, preview(value)),
    h('td', { class: 'num wide size' }, bytes(size)));
  /** @type {any} */
  let detail = null;
  const toggle = () => {
    if (detail) detail.remove();
    else row.after(detail = h('tr', { class: 'detail' }, h('td', { colspan: HEADS.length },
      details(topic, message))));
    if (!detail.isConnected) detail = null;
    button.setAttribute('aria-expanded', String(detail !== null));
  };
  button.addEventListener('click', toggle);
  row.addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const selecting = String(getSelection()) !== '';
    if (!selecting && !button.contains(/** @type {Node} */ (event.target))) toggle();
  });
  return row;
}

/** @param {string} topic @param {Message} message */
function details(topic, message) {
  const { partition, offset, timestamp_ms: at, key, value, headers, size } = message;
  return h('div', { class: 'details' },
    facts([
      ['Partition', count(partition)],
      ['Offset', count(offset)],
      ['Time', at >= 0 ? `${time(at)} (${utc(at)})` : 'none'],
      ['Size', some(size, 'byte')],
    ]),
    h('h2', {}, 'Key'), whole(key, 'Key'),
    h('h2', {}, 'Value'), whole(value, 'Value'),
    headers.length > 0 && h('h2', {}, 'Headers'),
    headers.length > 0 && h('dl', { class: 'headers' }, ...headers.map((one) => h('div', {},
      h('dt', {}, name(one.name)), h('dd', {}, preview(one.value))))),
    h('p', { class: 'buttons' },
      value !== null && copyButton('Copy the value', () => told(value).text),
      copyButton('Copy as command', () => recvOne(topic, partition, offset))));
}
