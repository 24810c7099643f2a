// What every page is made of: its heading, notes where something is missing or wrong, copying.

import { h, icon, say } from './dom.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * The top of a page.
 * @param {Child} title
 * @param {{path?: [string, string][], about?: Child, actions?: Child[]}} [more] `path`: links to
 *   what this is part of
 */
export function heading(title, { path = [], about = null, actions = [] } = {}) {
  const crumbs = path.map(([text, href]) => [h('a', { href }, text), h('span', {
    'aria-hidden': 'true',
  }, '/')]);
  return h('header', { class: 'head' },
    h('div', { class: 'titles' },
      path.length > 0 && h('p', { class: 'crumbs' }, ...crumbs),
      h('h1', { tabindex: -1 }, title),
      about && h('p', { class: 'about' }, about)),
    actions.length > 0 && h('div', { class: 'actions' }, ...actions));
}

/**
 * A part of a page. No landmark: its heading is found as easily, and there would be many.
 * @param {string} title @param {...Child} children
 */
export function section(title, ...children) {
  return h('section', {}, h('h2', {}, title), ...children);
}

/**
 * What went wrong and what to do about it.
 * @param {any} error @param {() => void} [again]
 */
export function failureNote(error, again) {
  return h('div', { class: 'note error', role: 'alert' },
    h('p', {}, h('strong', {}, coded(sentence(error.message)))),
    error.hint && h('p', {}, coded(sentence(error.hint))),
    again && h('button', { type: 'button', onclick: again }, 'Try again'));
}

/** The broker's messages begin in lower case and end without a stop. @param {string} text */
function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}

/**
 * There is nothing here, and this is how there would be.
 * @param {string} what @param {...Child} next
 */
export function emptyNote(what, ...next) {
  return h('div', { class: 'note' }, h('p', {}, h('strong', {}, what)),
    next.length > 0 && h('p', {}, ...next));
}

/**
 * Text in which what stands between backquotes is code.
 * @param {string} text @returns {Child[]}
 */
export function coded(text) {
  return text.split('`').map((part, at) => (at % 2 === 1 ? h('code', {}, part) : part));
}

const COPY = 'M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z';
const DONE = 'M3 8.5l3.5 3.5L13 4.5';

/**
 * A button that copies what `text` returns.
 * @param {string} label @param {() => string} text
 */
export function copyButton(label, text) {
  const word = h('span', {}, label);
  const button = h('button', { type: 'button', class: 'quiet copy' }, icon(COPY), word);
  button.addEventListener('click', async () => {
    const done = await copy(text());
    button.firstElementChild.replaceWith(icon(done ? DONE : COPY));
    say(word, done ? 'Copied' : 'Select and copy it');
    setTimeout(() => {
      button.firstElementChild.replaceWith(icon(COPY));
      say(word, label);
    }, 2_000);
  });
  return button;
}

/**
 * The clipboard's own interface is there only on localhost and over TLS.
 * @param {string} text @returns {Promise<boolean>}
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { class: 'offscreen', value: text, 'aria-hidden': 'true' });
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return done;
  }
}

/**
 * A command to run, with a button that copies it.
 * @param {string} text
 */
export function command(text) {
  return h('div', { class: 'command' }, h('code', { tabindex: 0 }, text),
    copyButton('Copy', () => text));
}

/**
 * A bar that fills from left to right, with its value beside it.
 * @param {number | null} fraction @param {string} text
 */
export function meter(fraction, text) {
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' }, h('span', {}));
  const node = h('span', { class: 'meter' }, bar, h('span', { class: 'num' }, text));
  const full = fraction === null ? 0 : Math.max(0, Math.min(1, fraction));
  bar.firstElementChild.style.transform = `scaleX(${full})`;
  if (full > 0.9) node.classList.add('high');
  return node;
}

/**
 * Words and values, a line each.
 * @param {[string, Child][]} entries
 */
export function facts(entries) {
  return h('dl', { class: 'facts' },
    ...entries.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}
