// Groups: who reads, and how far behind. A lag that nobody knows is told from one that is zero.

import { get } from '../api.js';
import { h } from '../dom.js';
import { feed } from '../feed.js';
import { count, some } from '../format.js';
import { list } from '../list.js';
import { coded, emptyNote, heading } from '../page.js';
import { address } from '../router.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Groups');
  view.root.classList.add('full');
  const about = h('span', { role: 'status' }, '\u00a0');
  const rows = list({
    view,
    caption: 'Groups',
    columns: COLUMNS,
    by: {
      group: (row) => row.group,
      lag: (row) => row.lag,
      members: (row) => row.members,
      state: (row) => row.state,
    },
    text: (row) => row.group.toLowerCase(),
    empty: () => emptyNote('No group has been here yet.', ...coded('A consumer makes one by '
      + 'joining it: its setting `group.id` is the name.')),
    order: ['group', false],
  });
  view.root.append(heading('Groups', { about }), rows.bar, rows.element);
  feed(view.signal, 1_000, (signal) => get('/api/groups', signal), ({ groups }) => {
    about.textContent = some(groups.length, 'group');
    rows.show(groups);
  }, rows.fail);
}

/** @type {import('../table.js').Column<any>[]} */
const COLUMNS = [
  { label: 'Group', class: 'grow', head: true, sort: 'group',
    memo: (row) => row.group + row.problems.join(),
    node: (row) => [
      h('a', { href: address('groups', row.group) }, name(row.group)),
      row.problems.length > 0 && h('span', { class: 'badge warning',
        title: row.problems.join('; ') }, some(row.problems.length, 'problem')),
    ] },
  { label: 'Lag', class: 'num', sort: 'lag', text: (row) => count(row.lag) },
  { label: 'State', sort: 'state', text: (row) => row.state },
  { label: 'Members', class: 'num', sort: 'members', text: (row) => count(row.members) },
  { label: 'Topics', class: 'num wide',
    text: (row) => count(Array.isArray(row.topics) ? row.topics.length : row.topics) },
  { label: 'Protocol', class: 'wide', text: (row) => row.protocol ?? '' },
];
