// Text from outside, with what would mislead the eye made visible: control characters, marks that
// turn the direction of writing, and characters without width are shown as their escapes. A name
// that reads `exe.png` on the screen is `exe.png` in the record.

import { h } from './dom.js';

/** Controls but tab and line feed; bidirectional marks; no width; lone halves of a pair. */
const HIDDEN = new RegExp(
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u1160\\u180e'
    + '\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\ufff9-\\ufffb]'
    + '|[\\u{e0000}-\\u{e007f}]|\\p{Cs}',
  'gu',
);

/**
 * The text as nodes. Escapes are elements of their own, so that they cannot be taken for text.
 * @param {string} text
 * @param {{line?: boolean}} [as] on one line: line feeds and tabs are escapes too
 * @returns {DocumentFragment}
 */
export function visible(text, { line = false } = {}) {
  const nodes = document.createDocumentFragment();
  let from = 0;
  const pattern = line ? LINE : HIDDEN;
  for (const match of text.matchAll(pattern)) {
    if (match.index > from) nodes.append(text.slice(from, match.index));
    nodes.append(escape(match[0]));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.append(text.slice(from));
  return nodes;
}

const LINE = new RegExp(`[\\n\\t]|${HIDDEN.source}`, 'gu');

const SHORT = new Map([['\n', '\\n'], ['\t', '\\t'], ['\r', '\\r'], ['\u001b', '\\e'],
  ['\u0000', '\\0']]);

/** @param {string} character */
function escape(character) {
  const hex = /** @type {number} */ (character.codePointAt(0)).toString(16).padStart(4, '0');
  const shown = SHORT.get(character) ?? `\\u${hex.length > 4 ? `{${hex}}` : hex}`;
  return h('span', { class: 'esc', title: `U+${hex.toUpperCase()}` }, shown);
}

/**
 * A name from outside, in a direction of its own.
 * @param {string} text
 */
export function name(text) {
  return h('bdi', { class: 'name' }, visible(text, { line: true }));
}
