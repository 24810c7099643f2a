// Settings with the default beside the value, so that what was changed stands out.

import { h } from './dom.js';
import { coded } from './page.js';
import { writeButton } from './session.js';
import { nothing, table } from './table.js';

/**
 * @param {string} caption
 * @param {((setting: any) => void) | null} edit
 * @param {() => Node} [empty]
 */
export function settingRows(caption, edit, empty = nothing('There are no settings.')) {
  /** @type {import('./table.js').Column<any>[]} */
  const columns = [
    { label: 'Setting', head: true, class: 'setting', memo: (row) => row.name + row.doc,
      node: (row) => [h('code', {}, row.name), h('span', { class: 'doc' }, ...coded(row.doc))] },
    { label: 'Value', class: 'value', memo: (row) => row.value + changed(row),
      node: (row) => [h('code', { class: changed(row) ? 'changed' : null }, word(row.value)),
        changed(row) && h('span', { class: 'narrow' }, `default ${word(row.default)}`)] },
    { label: 'Default', class: 'value wide', memo: (row) => row.default,
      node: (row) => h('code', { class: 'faint' }, word(row.default)) },
    { label: 'From', class: 'wide', text: (row) => row.source },
  ];
  if (edit) {
    columns.push({ label: 'Change', class: 'act', memo: (row) => row.name + row.value + row.source,
      node: (row) => writeButton('Edit', () => edit(row), {
        class: 'quiet', 'aria-label': `Edit ${row.name}`,
      }) });
  }
  return table({
    caption,
    columns,
    key: (row) => row.name,
    rowClass: (row) => (changed(row) ? 'changed' : ''),
    empty,
  });
}

/** @param {any} row */
export function changed(row) {
  return row.value !== row.default;
}

/** @param {string | null} value */
function word(value) {
  return value === '' || value === null ? 'empty' : value;
}
