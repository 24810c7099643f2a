// The form that sends a record. It stays open, since one rarely comes alone.

import { change, path } from './api.js';
import { send } from './cli.js';
import { dialog } from './dialog.js';
import { h } from './dom.js';
import { field, form, select } from './form.js';
import { count } from './format.js';
import { copyButton } from './page.js';

/** @param {string} topic */
export function produceDialog(topic) {
  dialog(`Produce to ${topic}`, (close) => {
    const sent = h('p', { class: 'sent', role: 'status' });
    const value = h('textarea', { name: 'value', rows: 7, spellcheck: 'false', class: 'mono' });
    const nothing = h('input', { type: 'checkbox', name: 'null' });
    nothing.addEventListener('change', () => {
      value.disabled = nothing.checked;
    });
    const made = form({
      submit: 'Produce',
      fields: [
        h('div', { class: 'row' },
          field('Key', h('input', { name: 'key', spellcheck: 'false', class: 'mono' }),
            'Left empty: no key.'),
          field('Partition', h('input', { name: 'partition', type: 'number', min: 0,
            inputmode: 'numeric' }), 'Left empty: by the key, or any.'),
          field('Key and value are', select({ name: 'encoding' }, [['text', 'text'],
            ['hex', 'hex'], ['base64', 'base64']]))),
        field('Value', value),
        field('Value is null, a tombstone', nothing),
        field('Headers', h('textarea', { name: 'headers', rows: 2, spellcheck: 'false',
          class: 'mono', placeholder: 'name: value' }), 'One a line.'),
      ],
      async send(data) {
        const answer = await change('POST', path('topics', topic, 'messages'), record(data));
        sent.textContent = `Stored in partition ${answer.partition} at offset ${
          count(answer.offset)}.`;
        value.focus();
      },
      beside: [
        h('button', { type: 'button', onclick: close }, 'Close'),
        copyButton('Copy as command', () => send(topic, record(new FormData(made)))),
      ],
    });
    made.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) made.requestSubmit();
    });
    return [made, sent];
  }, { wide: true });
}

/** @param {FormData} data */
function record(data) {
  const key = String(data.get('key'));
  const partition = String(data.get('partition'));
  return {
    ...(key === '' ? {} : { key }),
    value: data.has('null') ? null : String(data.get('value') ?? '').replaceAll('\r\n', '\n'),
    headers: headers(String(data.get('headers'))),
    ...(partition === '' ? {} : { partition: Number(partition) }),
    encoding: String(data.get('encoding')),
  };
}

/** @param {string} text */
function headers(text) {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '').map((line) => {
    const colon = line.indexOf(':');
    if (colon < 0) return { name: line.trim(), value: '' };
    return { name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() };
  });
}
