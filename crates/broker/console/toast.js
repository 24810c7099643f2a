// Short news at the edge of the screen, read out by screen readers, gone by themselves.

import { byId, h } from './dom.js';

/** Long enough to be read twice. */
const STAYS_MS = 7_000;
const SHOWN_MAX = 3;

/** @param {string} text */
export function toast(text) {
  const place = byId('toasts');
  const news = h('p', {}, text);
  place.append(news);
  while (place.children.length > SHOWN_MAX) place.firstElementChild.remove();
  setTimeout(() => news.remove(), STAYS_MS);
}
