// JSON as it was written, laid out and coloured. It is never parsed into numbers: those past 2^53
// stay what they are, and so do the order and repetition of keys.

import { h } from './dom.js';
import { visible } from './visible.js';

/** Tokens beyond this are one piece of text: a page must not stall on one record. */
const TOKENS_MAX = 20_000;
const DEPTH_MAX = 200;

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]|[^\s"{}[\],:]+|"/gsuy;

/**
 * @param {string} text a document
 * @returns {DocumentFragment}
 */
export function jsonView(text) {
  const out = document.createDocumentFragment();
  let depth = 0;
  let tokens = 0;
  /** The line begins with the next token. */
  let fresh = false;
  let before = '';
  TOKEN.lastIndex = 0;
  const line = () => {
    out.append(`\n${'  '.repeat(Math.min(depth, DEPTH_MAX))}`);
    fresh = false;
  };
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const token = match[0];
    if (/^\s/.test(token)) continue;
    tokens += 1;
    if (tokens > TOKENS_MAX) {
      out.append(visible(text.slice(match.index)));
      break;
    }
    const closes = token === '}' || token === ']';
    if (closes) {
      depth -= 1;
      if (before !== '{' && before !== '[') line();
    } else if (fresh) {
      line();
    }
    fresh = false;
    out.append(piece(token, text, TOKEN.lastIndex));
    if (token === '{' || token === '[') depth += 1;
    if (token === '{' || token === '[' || token === ',') fresh = true;
    if (token === ':') out.append(' ');
    before = token;
  }
  return out;
}

/** @param {string} token @param {string} text @param {number} end */
function piece(token, text, end) {
  if ('{}[],:'.includes(token)) return h('span', { class: 'punct' }, token);
  if (token.startsWith('"')) {
    const key = /^\s*:/.test(text.slice(end, end + 20));
    return h('span', { class: key ? 'key' : 'string' }, visible(token, { line: true }));
  }
  return h('span', { class: /^[-\d]/.test(token) ? 'number' : 'word' }, visible(token));
}
