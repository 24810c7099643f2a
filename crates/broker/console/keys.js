// Shortcuts of one key, and the dialog that tells them. They can be switched off, since a single
// letter may mean something else to a speech recogniser.

import { dialog } from './dialog.js';
import { h } from './dom.js';
import { field } from './form.js';
import { stored, store } from './store.js';

/** Where `g` and another key go. @type {[string, string, string][]} */
const PLACES = [
  ['o', 'Overview', '/'],
  ['t', 'Topics', '/topics'],
  ['g', 'Groups', '/groups'],
  ['w', 'Gateways', '/gateways'],
  ['s', 'Sockets', '/sockets'],
  ['r', 'Rings', '/rings'],
  ['h', 'Shards', '/shards'],
  ['c', 'Config', '/config'],
];

/** How long `g` waits for its second key. */
const SECOND_MS = 1_500;

/**
 * @param {(href: string) => void} go
 * @param {() => void} theme
 */
export function startKeys(go, theme) {
  let since = -Infinity;
  document.addEventListener('keydown', (event) => {
    if (!meant(event)) return;
    const second = performance.now() - since < SECOND_MS;
    since = -Infinity;
    const place = second && PLACES.find(([key]) => key === event.key);
    if (place) go(place[2]);
    else if (event.key === 'g') since = performance.now();
    else if (event.key === '?') help();
    else if (event.key === 't') theme();
    else if (event.key === 'j' || event.key === 'k') move(event.key === 'j' ? 1 : -1);
    else if (event.key === '/') target('[data-search]')?.focus();
    else if (event.key === 'n') target('[data-new]')?.click();
    else return;
    event.preventDefault();
  });
}

/** Whether a key is a shortcut and no text. @param {KeyboardEvent} event */
function meant(event) {
  const { target: at } = event;
  const typing = at instanceof HTMLElement
    && (at.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName));
  return !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !event.defaultPrevented
    && !document.querySelector('dialog[open]') && stored('keys') !== 'off';
}

/** @param {string} selector @returns {HTMLElement | null} */
function target(selector) {
  return document.querySelector(`main ${selector}`);
}

/** The focus one row further. @param {1 | -1} step */
function move(step) {
  const row = document.activeElement?.closest('tr');
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main tbody tr')])
    .filter((one) => one.querySelector(STOPS));
  const at = row ? rows.indexOf(row) + step : 0;
  /** @type {HTMLElement | null | undefined} */ (rows[at]?.querySelector(STOPS))?.focus();
}

const STOPS = 'a, button';

/** Tells what keys there are. */
export function help() {
  const keys = [
    ...PLACES.map(([key, name]) => [['g', key], name]),
    [['/'], 'Search on this page'],
    [['n'], 'New: create a topic, add a gateway, produce a record'],
    [['j'], 'Next row'],
    [['k'], 'Row before'],
    [['t'], 'Theme: system, light, dark'],
    [['?'], 'This help'],
    [['Esc'], 'Close a dialog'],
  ];
  const on = h('input', { type: 'checkbox', checked: stored('keys') !== 'off' });
  on.addEventListener('change', () => store('keys', on.checked ? null : 'off'));
  dialog('Keys', () => [
    h('dl', { class: 'keys' }, ...keys.map(([names, what]) => h('div', {},
      h('dt', {}, .../** @type {string[]} */ (names).map((key) => h('kbd', {}, key))),
      h('dd', {}, /** @type {string} */ (what))))),
    field('Keys without Ctrl or Alt do these things', on),
  ]);
}
