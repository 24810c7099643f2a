// The bytes of a key, a value or a header, as the API tells them: text, JSON, hex, base64 or null.
// They reach the document as text nodes and in no other way.

import { h } from './dom.js';
import { bytes as sized, some } from './format.js';
import { jsonView } from './json_view.js';
import { visible } from './visible.js';

/**
 * @typedef {{text?: string, json?: any, hex?: string, base64?: string, cut?: number} | null} Bytes
 */

/** Characters of a value in its row. */
const LINE_MAX = 240;

/** A JSON document as text, whichever way it came. @param {any} json */
const written = (json) => (typeof json === 'string' ? json : JSON.stringify(json));

/**
 * What kind of thing it is, and its text.
 * @param {Bytes | undefined} bytes
 * @returns {{kind: 'null' | 'text' | 'json' | 'hex' | 'base64', text: string}}
 */
export function told(bytes) {
  if (bytes === null || bytes === undefined) return { kind: 'null', text: 'null' };
  if (bytes.json !== undefined) return { kind: 'json', text: written(bytes.json) };
  if (bytes.hex !== undefined) return { kind: 'hex', text: bytes.hex };
  if (bytes.base64 !== undefined) return { kind: 'base64', text: bytes.base64 };
  return { kind: 'text', text: bytes.text ?? '' };
}

/** On one line, cut where it is long. @param {Bytes | undefined} bytes */
export function preview(bytes) {
  const { kind, text } = told(bytes);
  if (kind === 'null') return h('span', { class: 'mark-null' }, 'null');
  if (text === '') return h('span', { class: 'mark-null' }, 'empty');
  const shown = kind === 'hex' ? pairs(text.slice(0, LINE_MAX)) : text.slice(0, LINE_MAX);
  const line = h('span', { class: 'bytes' }, visible(shown, { line: true }),
    text.length > LINE_MAX && '\u2026');
  return kind === 'hex' || kind === 'base64' ? [h('span', { class: 'tag' }, kind), ' ', line]
    : line;
}

/** The whole, laid out. @param {Bytes | undefined} bytes @param {string} label */
export function whole(bytes, label) {
  const { kind, text } = told(bytes);
  if (kind === 'null') return h('p', {}, h('span', { class: 'mark-null' }, 'null'));
  if (text === '') return h('p', {}, h('span', { class: 'mark-null' }, 'empty'));
  const content = { json: jsonView, hex: dump, text: visible, base64: visible }[kind](text);
  const cut = bytes?.cut ?? 0;
  return [
    h('pre', { class: `bytes ${kind}`, tabindex: 0, role: 'region', 'aria-label': label }, content),
    cut > 0 && h('p', { class: 'hint' }, `${sized(cut)} (${some(cut, 'byte')}) more are not shown; `
      + 'the command line prints them.'),
  ];
}

/** `00 ff 10`. @param {string} hex */
function pairs(hex) {
  return hex.replace(/..(?=.)/g, '$& ');
}

const COLUMNS = 16;

/** Offset, bytes and their characters, sixteen a line. @param {string} hex */
function dump(hex) {
  const lines = [];
  for (let at = 0; at < hex.length; at += COLUMNS * 2) {
    const row = hex.slice(at, at + COLUMNS * 2);
    const characters = (row.match(/../g) ?? []).map((pair) => {
      const code = parseInt(pair, 16);
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '.';
    });
    const offset = (at / 2).toString(16).padStart(6, '0');
    lines.push(`${offset}  ${pairs(row).padEnd(COLUMNS * 3 - 1)}  ${characters.join('')}`);
  }
  return document.createTextNode(lines.join('\n'));
}
