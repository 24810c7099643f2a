// A group: its members and what each reads, its offsets, and how they are set anew.

import { change, get, path } from '../api.js';
import { confirmByName } from '../dialog.js';
import { fill, h, say } from '../dom.js';
import { feed } from '../feed.js';
import { count, some } from '../format.js';
import { failureNote, heading, section } from '../page.js';
import { resetDialog } from '../reset.js';
import { address } from '../router.js';
import { writeButton } from '../session.js';
import { nothing, table } from '../table.js';
import { toast } from '../toast.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  const { group } = view.params;
  view.title(group);
  const about = h('span', {}, '\u00a0');
  const wrong = h('div', {});
  const members = memberTable();
  const offsets = offsetTable();
  /** @type {any} */
  let latest = null;

  view.root.classList.add('loading');
  view.root.append(
    heading(name(group), {
      path: [['Groups', '/groups']],
      about,
      actions: [
        writeButton('Reset offsets', () => latest && resetDialog(group, latest, fed.again),
          { class: 'primary' }),
        writeButton('Delete', () => remove(view, group), { class: 'danger' }),
      ],
    }),
    wrong,
    section('Offsets', offsets.element),
    section('Members', members.element),
  );

  const fed = feed(view.signal, 1_000, (signal) => get(path('groups', group), signal), (answer) => {
    latest = answer;
    view.root.classList.remove('loading');
    fill(wrong);
    say(about, summary(answer));
    members.show(answer.members);
    offsets.show(answer.offsets);
  }, (error) => {
    view.root.classList.remove('loading');
    fill(wrong, failureNote(error));
    if (latest) return;
    for (const part of [members, offsets]) part.element.replaceChildren();
  });
}

/** @param {any} answer */
function summary({ state, members, offsets, coordinator }) {
  const lags = offsets.map((/** @type {any} */ one) => one.lag);
  const unknown = lags.filter((/** @type {any} */ lag) => lag === null).length;
  const known = lags.reduce((/** @type {number} */ sum, /** @type {any} */ lag) => sum + lag, 0);
  const lag = unknown === lags.length ? 'lag unknown'
    : `lag ${count(known)}${unknown > 0 ? `, unknown of ${some(unknown, 'partition')}` : ''}`;
  const where = coordinator ? ` \u00b7 coordinator ${coordinator}` : '';
  return `${state} \u00b7 ${some(members.length, 'member')} \u00b7 ${lag}${where}`;
}

function offsetTable() {
  return table({
    caption: 'Offsets',
    key: (row) => `${row.topic} ${row.partition}`,
    columns: [
      { label: 'Topic', head: true, memo: (row) => row.topic,
        node: (row) => h('a', { href: address('topics', row.topic) }, row.topic) },
      { label: 'Partition', class: 'num', text: (row) => String(row.partition) },
      { label: 'Committed', class: 'num', text: (row) => (row.committed === null ? 'none'
        : count(row.committed)) },
      { label: 'High watermark', class: 'num wide', text: (row) => count(row.high_watermark) },
      { label: 'Lag', class: 'num', text: (row) => count(row.lag) },
      { label: 'Member', class: 'wide', memo: (row) => row.member ?? '',
        node: (row) => (row.member ? name(row.member)
          : h('span', { class: 'unknown' }, 'nobody')) },
    ],
    empty: nothing('The group has committed nothing and reads nothing.',
      'Its consumers commit once they have read something.'),
  });
}

function memberTable() {
  return table({
    caption: 'Members',
    key: (row) => row.id,
    columns: [
      { label: 'Member', head: true, memo: (row) => row.id, node: (row) => name(row.id) },
      { label: 'Client', memo: (row) => row.client_id, node: (row) => name(row.client_id) },
      { label: 'Host', class: 'wide', memo: (row) => row.host, node: (row) => name(row.host) },
      { label: 'Reads', memo: (row) => JSON.stringify(row.assignment),
        node: (row) => row.assignment.map((/** @type {any} */ one) => h('div', {},
          h('a', { href: address('topics', one.topic) }, one.topic), ' ',
          h('span', { class: 'num' }, ranges(one.partitions)))) },
    ],
    empty: nothing('Nobody is in the group.', 'Its offsets stay, and can be set anew.'),
  });
}

/** `0-3, 7`. @param {number[]} numbers */
function ranges(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  /** @type {[number, number][]} */
  const all = [];
  for (const n of sorted) {
    const last = all.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else all.push([n, n]);
  }
  return all.map(([a, b]) => (a === b ? `${a}` : `${a}\u2013${b}`)).join(', ');
}

/** @param {import('../router.js').View} view @param {string} group */
function remove(view, group) {
  confirmByName('Delete the group', group, 'Delete for good',
    'What it committed is forgotten; its consumers begin where their own settings say.',
    async () => {
      await change('DELETE', path('groups', group));
      toast(`Group ${group} is deleted.`);
      view.go('/groups');
    });
}
