// Config: every setting of the broker, where its value came from, and its default beside it.

import { get } from '../api.js';
import { h } from '../dom.js';
import { feed } from '../feed.js';
import { some } from '../format.js';
import { searchField } from '../list.js';
import { coded, heading } from '../page.js';
import { changed, settingRows } from '../settings.js';
import { nothing } from '../table.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Config');
  /** @type {any[]} */
  let all = [];
  const about = h('span', { role: 'status' }, '\u00a0');
  const input = searchField(view, 'settings', show);
  const only = h('input', { type: 'checkbox', id: 'only', checked: view.query.has('changed') });
  only.addEventListener('change', () => {
    view.remember({ changed: only.checked ? '1' : null });
    show();
  });
  const rows = settingRows('Settings of the broker', null, nothing('No setting is like that.',
    'Search for less, or show those that have their default.'));

  function show() {
    const wanted = input.value.trim().toLowerCase();
    rows.show(all.filter((one) => (!only.checked || changed(one))
      && `${one.name} ${one.doc}`.toLowerCase().includes(wanted)));
  }

  view.root.append(
    heading('Config', { about }),
    h('p', { class: 'hint lead' }, ...coded('Settings are given in the configuration file, by the '
      + 'environment (`CHASKI_NUM_PARTITIONS` for `num.partitions`) or with '
      + '`chaski serve --set NAME=VALUE`, and are read when the broker starts.')),
    h('div', { class: 'toolbar' }, input, h('span', { class: 'check' }, only,
      h('label', { for: 'only' }, 'Only what is not its default'))),
    rows.element,
  );
  feed(view.signal, 30_000, (signal) => get('/api/config', signal), (answer) => {
    all = answer.settings;
    about.textContent = `${some(all.length, 'setting')}, `
      + `${all.filter(changed).length} not at their default`;
    show();
  }, rows.fail);
}
