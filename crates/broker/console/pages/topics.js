// Topics: all of them, however many; the broker searches, sorts and hands out pages of rows.

import { change, get, path } from '../api.js';
import { dialog } from '../dialog.js';
import { h } from '../dom.js';
import { feed } from '../feed.js';
import { field, form } from '../form.js';
import { bytes, count, short, some } from '../format.js';
import { searchField } from '../list.js';
import { emptyNote, heading } from '../page.js';
import { Pages } from '../paged.js';
import { address } from '../router.js';
import { writeButton } from '../session.js';
import { toast } from '../toast.js';
import { virtualTable } from '../virtual.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Topics');
  view.root.classList.add('full');
  const about = h('span', { role: 'status' }, '\u00a0');
  let sort = view.query.get('sort') ?? 'name';
  let down = view.query.get('desc') === '1';
  const input = searchField(view, 'topics', again);

  const pages = new Pages((from, rows, signal) => get('/api/topics', signal, {
    offset: from, limit: rows, search: input.value.trim(), sort, desc: down ? 1 : null,
  }).then((answer) => ({ total: answer.total, rows: answer.topics })));

  const rows = virtualTable({
    caption: 'Topics',
    columns: COLUMNS,
    source: {
      row: (at) => pages.row(at),
      sight: (from, to) => pages.sight(from, to),
    },
    empty: () => (input.value.trim() === '' ? noTopics() : emptyNote(`No topic has \u201c${
      input.value}\u201d in its name.`, 'Search for less.')),
    onsort(name) {
      down = name === sort ? !down : name !== 'name';
      sort = name;
      view.remember({ sort, desc: down ? '1' : null });
      again();
    },
  });

  function again() {
    rows.sorted(sort, down);
    rows.top();
    pages.forget();
    fed.again();
  }

  view.root.append(
    heading('Topics', { about, actions: [
      writeButton('Create topic', () => create(view), { class: 'primary', 'data-new': true,
        'aria-keyshortcuts': 'n' }),
    ] }),
    h('div', { class: 'toolbar' }, input),
    rows.element,
  );
  rows.sorted(sort, down);
  pages.onrows = () => rows.render();
  const fed = feed(view.signal, 2_000, (signal) => pages.refresh(signal), (total) => {
    about.textContent = some(total, 'topic');
    rows.show(total);
  }, rows.fail);
  view.signal.addEventListener('abort', () => pages.stop());
}

/** @type {import('../table.js').Column<any>[]} */
const COLUMNS = [
  { label: 'Name', class: 'grow', head: true, sort: 'name',
    memo: (row) => row.name + row.problems.join(),
    node: (row) => [
      h('a', { href: address('topics', row.name), title: row.name }, row.name),
      row.problems.length > 0 && h('span', { class: 'badge error', title: row.problems.join('; ') },
        some(row.problems.length, 'problem')),
    ] },
  { label: 'Lag', class: 'num', sort: 'lag', text: lag },
  { label: 'In /s', class: 'num', sort: 'rate',
    text: (row) => (row.in_records_s === null ? '\u2013' : short(row.in_records_s)) },
  { label: 'Size', class: 'num wide', sort: 'bytes', text: (row) => bytes(row.bytes) },
  { label: 'Records', class: 'num wide', text: (row) => count(row.records) },
  { label: 'Partitions', class: 'num wide', text: (row) => count(row.partitions) },
  { label: 'Cleanup', class: 'wide', text: (row) => row.cleanup_policy },
];

/** What nobody reads has no lag; what is read, and not known how far, has one. @param {any} row */
function lag({ groups, lag: behind }) {
  if (behind !== null) return count(behind);
  return groups === 0 ? '\u2013' : 'unknown';
}

function noTopics() {
  return emptyNote('There is no topic yet.', 'Create one here, or send something: ',
    h('code', {}, 'echo hello | chaski send kafka://HOST:PORT/greetings'));
}

/** @param {import('../router.js').View} view */
function create(view) {
  dialog('Create a topic', (close) => [form({
    submit: 'Create',
    fields: [
      field('Name', h('input', { name: 'name', required: true, maxlength: 249, spellcheck: 'false',
        autocapitalize: 'off' }), 'Letters, digits, dot, underscore and hyphen.'),
      field('Partitions', h('input', { name: 'partitions', type: 'number', min: 1,
        inputmode: 'numeric' }), 'Left empty: as many as num.partitions says.'),
      field('Cleanup', h('select', { name: 'cleanup.policy' },
        h('option', { value: '' }, 'as the broker says'),
        ...['delete', 'compact', 'compact,delete'].map((policy) => h('option', {}, policy)))),
      field('Retention in ms', h('input', { name: 'retention.ms', inputmode: 'numeric',
        pattern: '-1|[0-9]+' }), '-1: for ever. Left empty: as log.retention.ms says.'),
    ],
    async send(data) {
      const name = String(data.get('name'));
      const partitions = data.get('partitions') ? Number(data.get('partitions')) : undefined;
      const settings = Object.fromEntries(['cleanup.policy', 'retention.ms']
        .filter((one) => data.get(one)).map((one) => [one, String(data.get(one))]));
      await change('POST', path('topics'), { name, partitions, settings });
      toast(`Topic ${name} is there.`);
      close();
      if (!view.signal.aborted) view.go(address('topics', name));
    },
    beside: [h('button', { type: 'button', onclick: close }, 'Cancel')],
  })]);
}
