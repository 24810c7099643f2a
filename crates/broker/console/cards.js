// Cards that are kept while what they show changes: one each for gateways, sockets and rings.

import { fill, h } from './dom.js';
import { failureNote } from './page.js';

/**
 * @template T
 * @typedef {{element: HTMLElement, show: (thing: T) => void}} Card
 */

/**
 * @template T
 * @param {(thing: T) => string} key
 * @param {(thing: T) => Card<T>} make
 * @param {() => Node} empty
 */
export function cards(key, make, empty) {
  const element = h('div', { class: 'cards' }, h('div', { class: 'card waiting' },
    h('span', { class: 'bone' })));
  /** @type {Map<string, Card<T>>} */
  let made = new Map();
  return {
    element,
    /** @param {T[]} things */
    show(things) {
      const kept = new Map(things.map((thing) => [key(thing),
        made.get(key(thing)) ?? make(thing)]));
      things.forEach((thing) => kept.get(key(thing))?.show(thing));
      const same = kept.size === made.size && [...kept.keys()].every((one) => made.has(one));
      if (!same || kept.size === 0) {
        fill(element, kept.size === 0 ? empty() : [...kept.values()].map((one) => one.element));
      }
      made = kept;
    },
    /** @param {any} error */
    fail(error) {
      if (made.size === 0) fill(element, failureNote(error));
    },
  };
}
