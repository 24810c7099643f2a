// Setting a group's offsets anew: first what would change, then the change.

import { change, path } from './api.js';
import { dialog } from './dialog.js';
import { fill, h } from './dom.js';
import { field, form, select } from './form.js';
import { count } from './format.js';
import { failureNote } from './page.js';
import { nothing, table } from './table.js';
import { toast } from './toast.js';

/** @typedef {'earliest' | 'latest' | {offset: number} | {time_ms: number} | {by: number}} To */

/**
 * @param {string} group @param {any} latest what the group looks like @param {() => void} done
 */
export function resetDialog(group, latest, done) {
  const topics = [...new Set(latest.offsets.map((/** @type {any} */ one) => one.topic))];
  dialog('Reset offsets', (close) => {
    const preview = h('div', { class: 'preview', 'aria-live': 'polite' });
    const fields = resetFields(topics);
    const ask = form({
      submit: 'Show what would change',
      fields: [
        latest.members.length > 0 && h('p', { class: 'note' }, 'The group has members. Stop its '
          + 'consumers first: offsets are set only while nobody is in it.'),
        ...fields.elements,
      ],
      async send(data) {
        const wanted = wish(data);
        const answer = await change('POST', path('groups', group, 'reset'),
          { ...wanted, dry_run: true });
        showChanges(preview, answer.changes, async () => {
          await change('POST', path('groups', group, 'reset'), { ...wanted, dry_run: false });
          toast(`Offsets of ${group} are set.`);
          close();
          done();
        });
      },
    });
    // What was shown no longer tells what would be done.
    ask.addEventListener('input', () => fill(preview));
    return [ask, preview];
  }, { wide: true });
}

/** @param {unknown[]} topics */
function resetFields(topics) {
  const names = /** @type {string[]} */ (topics);
  const topic = names.length > 0
    ? select({ name: 'topic', required: true }, names)
    : h('input', { name: 'topic', required: true });
  const to = select({ name: 'to' }, [['earliest', 'the oldest record'],
    ['latest', 'the end'], ['offset', 'an offset'], ['time', 'a time'],
    ['by', 'a number of records from where it is']]);
  const number = field('Number', h('input', { name: 'number', inputmode: 'numeric',
    pattern: '-?[0-9]+' }), 'Back is negative.');
  const when = field('Time', h('input', { name: 'time', type: 'datetime-local', step: 1 }),
    'Of this browser\u2019s time zone.');
  const follow = () => {
    number.hidden = to.value !== 'offset' && to.value !== 'by';
    when.hidden = to.value !== 'time';
    number.querySelector('input').required = !number.hidden;
    number.querySelector('.hint').hidden = to.value !== 'by';
    when.querySelector('input').required = !when.hidden;
  };
  to.addEventListener('change', follow);
  follow();
  return { elements: [
    h('div', { class: 'row' }, field('Topic', topic),
      field('Partitions', h('input', { name: 'partitions', placeholder: 'all',
        pattern: '[0-9, ]*' }), 'Like 0, 3, 4.')),
    h('div', { class: 'row' }, field('To', to), number, when),
  ] };
}

/** @param {FormData} data */
function wish(data) {
  const partitions = String(data.get('partitions')).split(/[ ,]+/).filter((one) => one !== '');
  return {
    topic: String(data.get('topic')),
    ...(partitions.length > 0 ? { partitions: partitions.map(Number) } : {}),
    to: target(data),
  };
}

/** @param {FormData} data @returns {To} */
function target(data) {
  switch (data.get('to')) {
    case 'latest': return 'latest';
    case 'offset': return { offset: Number(data.get('number')) };
    case 'by': return { by: Number(data.get('number')) };
    case 'time': return { time_ms: new Date(String(data.get('time'))).getTime() };
    default: return 'earliest';
  }
}

/**
 * @param {HTMLElement} place @param {any[]} changes @param {() => Promise<void>} apply
 */
function showChanges(place, changes, apply) {
  const rows = table({
    caption: 'What would change',
    key: (row) => `${row.topic} ${row.partition}`,
    rowClass: (row) => (row.from === row.to ? 'same' : ''),
    columns: [
      { label: 'Partition', head: true, text: (row) => String(row.partition) },
      { label: 'From', class: 'num', text: (row) => (row.from === null ? 'none'
        : count(row.from)) },
      { label: 'To', class: 'num', text: (row) => count(row.to) },
      { label: 'Difference', class: 'num', text: difference },
    ],
    empty: nothing('Nothing would change.'),
  });
  rows.show(changes);
  const wrong = h('div', {});
  const button = h('button', { type: 'button', class: 'danger' }, 'Apply');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await apply();
    } catch (error) {
      fill(wrong, failureNote(error));
    } finally {
      button.disabled = false;
    }
  });
  const some = changes.some((/** @type {any} */ one) => one.from !== one.to);
  fill(place, h('h3', {}, 'What would change'), rows.element, wrong,
    some ? h('div', { class: 'buttons' }, button)
      : h('p', {}, 'All offsets are there already.'));
  button.focus();
}

/** @param {any} row */
function difference(row) {
  if (row.from === null) return 'first commit';
  const by = row.to - row.from;
  if (by === 0) return 'same';
  return by > 0 ? `skips ${count(by)}` : `reads ${count(-by)} again`;
}
