// The form that adds a gateway: only the fields that its kind has are there.

import { change } from './api.js';
import { dialog } from './dialog.js';
import { fill, h } from './dom.js';
import { field, form, select } from './form.js';
import { toast } from './toast.js';

/** @type {[string, string][]} */
const KINDS = [
  ['pull', 'pull: PUSH sockets send into a topic'],
  ['router', 'router: DEALER sockets send, and are told the offset'],
  ['sub', 'sub: what a PUB socket publishes goes into a topic'],
  ['pub', 'pub: a topic is published to SUB sockets'],
  ['push', 'push: records of a topic are work for PULL sockets'],
];

const IN = ['pull', 'router', 'sub'];

/** @param {() => void} done */
export function addGateway(done) {
  dialog('Add a gateway', (close) => {
    const kind = select({ name: 'kind' }, KINDS);
    const more = h('div', {});
    kind.addEventListener('change', () => fill(more, ...fieldsOf(kind.value)));
    fill(more, ...fieldsOf(kind.value));
    return [form({
      submit: 'Add',
      fields: [
        field('Kind', kind),
        h('div', { class: 'row' },
          field('Name', h('input', { name: 'name', required: true, maxlength: 100,
            spellcheck: 'false', autocapitalize: 'off' })),
          field('Topic', h('input', { name: 'topic', spellcheck: 'false',
            autocapitalize: 'off' }))),
        h('div', { class: 'row' },
          field('Bind', h('input', { name: 'bind', placeholder: 'tcp://127.0.0.1:5555',
            spellcheck: 'false' }), 'Others connect here. Several: spaces between.'),
          field('Connect', h('input', { name: 'connect', placeholder: 'tcp://HOST:5556',
            spellcheck: 'false' }), 'Or: it connects there.')),
        more,
      ],
      async send(data) {
        const spec = specification(data);
        await change('POST', '/api/gateways', spec);
        toast(`Gateway ${spec.name} is added.`);
        close();
        done();
      },
      beside: [h('button', { type: 'button', onclick: close }, 'Cancel')],
    })];
  }, { wide: true });
}

/** @param {string} kind */
function fieldsOf(kind) {
  const frames = field('Frames', select({ name: 'frames' }, ['value', 'key,value',
    'topic,key,value', 'json']), 'What the frames of a message are.');
  const acks = field('Acknowledge', select({ name: 'acks' }, [['one', 'when the broker has it'],
    ['all', 'when it is on disk']]));
  const from = field('From', select({ name: 'from' }, [['latest', 'the end'],
    ['earliest', 'the oldest record']]), 'Where it begins, if nothing is committed.');
  const group = field('Group', h('input', { name: 'group', required: true, spellcheck: 'false' }),
    'Its offsets are committed as the work is taken.');
  const subject = field('Topic frame', select({ name: 'topic_frame' }, [['topic', 'the topic'],
    ['key', 'the key of the record']]), 'What subscribers match.');
  const history = field('Late joiners may ask for history', h('input', { type: 'checkbox',
    name: 'history' }));
  const row = (/** @type {any[]} */ ...all) => h('div', { class: 'row' }, ...all);
  if (IN.includes(kind)) return [row(frames, acks)];
  return kind === 'pub' ? [row(subject, from), history] : [row(group, from)];
}

/** @param {FormData} data @returns {any} */
function specification(data) {
  /** @type {Record<string, unknown>} */
  const spec = {};
  for (const [name, value] of data) {
    const text = String(value).trim();
    if (text === '') continue;
    if (name === 'bind' || name === 'connect') spec[name] = text.split(/[\s,]+/);
    else spec[name] = name === 'history' ? true : text;
  }
  return spec;
}
