// A topic: its partitions, its settings beside their defaults, the groups that read it.

import { change, get, path } from '../api.js';
import { confirmByName, dialog } from '../dialog.js';
import { fill, h, say } from '../dom.js';
import { feed } from '../feed.js';
import { field, form } from '../form.js';
import { bytes, count, some } from '../format.js';
import { facts, failureNote, heading, section } from '../page.js';
import { address } from '../router.js';
import { writeButton } from '../session.js';
import { settingRows } from '../settings.js';
import { nothing, table } from '../table.js';
import { toast } from '../toast.js';
import { name as shown } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  const { topic } = view.params;
  view.title(topic);
  const about = h('span', {}, '\u00a0');
  const wrong = h('div', {});
  const sum = h('div', {});
  const partitions = partitionTable();
  const groups = groupTable();
  /** @type {any} */
  let latest = null;
  const settings = settingRows('Settings of the topic',
    (setting) => edit(topic, setting, fed.again));

  view.root.classList.add('loading');
  view.root.append(
    heading(topic, {
      path: [['Topics', '/topics']],
      about,
      actions: [
        h('a', { class: 'button primary', href: address('topics', topic, 'messages') }, 'Messages'),
        writeButton('Add partitions', () => latest && grow(topic, latest, fed.again)),
        writeButton('Delete', () => remove(view, topic), { class: 'danger' }),
      ],
    }),
    wrong,
    sum,
    section('Groups', groups.element),
    section('Partitions', partitions.element),
    section('Settings', settings.element),
  );

  const fed = feed(view.signal, 2_000, (signal) => get(path('topics', topic), signal), (answer) => {
    latest = answer;
    view.root.classList.remove('loading');
    fill(wrong);
    say(about, some(answer.partitions.length, 'partition'));
    showSum(sum, answer);
    partitions.show(answer.partitions);
    groups.show(answer.groups);
    settings.show(answer.settings);
  }, (error) => {
    view.root.classList.remove('loading');
    fill(wrong, failureNote(error));
    if (latest) return;
    for (const part of [partitions, groups, settings]) part.element.replaceChildren();
  });
}

/** @param {HTMLElement} place @param {any} answer */
function showSum(place, { id, partitions }) {
  const sum = (/** @type {(one: any) => number} */ of) => partitions
    .reduce((/** @type {number} */ all, /** @type {any} */ one) => all + of(one), 0);
  const entries = /** @type {[string, string][]} */ ([
    ['Records', count(sum((one) => one.high_watermark - one.log_start))],
    ['Size', bytes(sum((one) => one.bytes))],
    ['Not yet on disk', bytes(sum((one) => one.unflushed_bytes))],
    ['Id', id],
  ]);
  const memo = JSON.stringify(entries);
  if (place.dataset.memo === memo) return;
  place.dataset.memo = memo;
  const selected = String(getSelection());
  if (selected !== '' && place.textContent?.includes(selected)) return;
  fill(place, facts(entries));
}

function partitionTable() {
  return table({
    caption: 'Partitions',
    key: (row) => String(row.partition),
    rowClass: (row) => (row.failed || row.damaged ? 'bad' : ''),
    columns: [
      { label: 'Partition', head: true, text: (row) => String(row.partition) },
      { label: 'From', class: 'num', text: (row) => count(row.log_start) },
      { label: 'High watermark', class: 'num', text: (row) => count(row.high_watermark) },
      { label: 'End', class: 'num wide', text: (row) => count(row.log_end) },
      { label: 'Size', class: 'num', text: (row) => bytes(row.bytes) },
      { label: 'Segments', class: 'num wide', text: (row) => count(row.segments) },
      { label: 'Not on disk', class: 'num wide', text: (row) => bytes(row.unflushed_bytes) },
      { label: 'State', text: state },
    ],
    empty: nothing('There are no partitions.'),
  });
}

/** @param {any} row */
function state(row) {
  if (row.failed) return `closed for writing: ${row.failed}`;
  return row.damaged ? 'damaged: see `chaski inspect segment`' : 'well';
}

function groupTable() {
  return table({
    caption: 'Groups that read this topic',
    key: (row) => row.group,
    columns: [
      { label: 'Group', head: true, memo: (row) => row.group,
        node: (row) => h('a', { href: address('groups', row.group) }, shown(row.group)) },
      { label: 'Lag', class: 'num', text: (row) => count(row.lag) },
    ],
    empty: nothing('No group reads this topic.'),
  });
}

/** @param {string} topic @param {any} latest @param {() => void} done */
function grow(topic, latest, done) {
  const least = latest.partitions.length + 1;
  dialog('Add partitions', (close) => [form({
    submit: 'Add',
    fields: [
      h('p', {}, `The topic has ${some(least - 1, 'partition')}. They can become more, never `
        + 'fewer; a key may go to another partition than before.'),
      field('Partitions', h('input', { name: 'partitions', type: 'number', min: least, value: least,
        required: true, inputmode: 'numeric' })),
    ],
    async send(data) {
      await change('PATCH', path('topics', topic), { partitions: Number(data.get('partitions')) });
      close();
      done();
    },
    beside: [h('button', { type: 'button', onclick: close }, 'Cancel')],
  })]);
}

/** @param {string} topic @param {any} setting @param {() => void} done */
function edit(topic, setting, done) {
  dialog(setting.name, (close) => {
    const alter = async (/** @type {string | null} */ value) => {
      await change('PATCH', path('topics', topic), { settings: { [setting.name]: value } });
      toast(`${setting.name} is ${value ?? 'what the broker says'} now.`);
      close();
      done();
    };
    const input = h('input', { name: 'value', value: setting.value, spellcheck: 'false',
      autocapitalize: 'off' });
    const inherit = h('button', { type: 'button' }, 'As the broker says');
    const made = form({
      submit: 'Set',
      fields: [field('Value', input, [setting.doc, ' Default: ',
        h('code', {}, setting.default === '' ? 'empty' : setting.default), '.'])],
      send: (data) => alter(data.get('inherit') ? null : String(data.get('value'))),
      beside: [
        setting.source === 'topic' && inherit,
        h('button', { type: 'button', onclick: close }, 'Cancel'),
      ],
    });
    inherit.addEventListener('click', () => {
      made.append(h('input', { type: 'hidden', name: 'inherit', value: '1' }));
      made.requestSubmit();
    });
    return [made];
  });
}

/** @param {import('../router.js').View} view @param {string} topic */
function remove(view, topic) {
  confirmByName('Delete the topic', topic, 'Delete for good',
    'All its records are deleted, and what groups committed for it. There is no way back.',
    async () => {
      await change('DELETE', path('topics', topic));
      toast(`Topic ${topic} is deleted.`);
      view.go('/topics');
    });
}
