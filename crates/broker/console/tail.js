// The live tail: records as they come, with an honest account of those that are not shown.
//
// The broker sends no more than it may and says how many it left out; a lost connection is told,
// since what came meanwhile was neither shown nor counted.

import { path, search } from './api.js';
import { h, say } from './dom.js';
import { count, some } from './format.js';
import { stream } from './stream.js';

/** Rows kept; older ones give way. */
const KEPT_MAX = 300;
/** How often a screen reader is told the counts. */
const TOLD_MS = 10_000;

/**
 * @param {string} topic
 * @param {Record<string, string>} query
 * @param {ReturnType<typeof import('./records.js').recordList>} rows
 * @param {HTMLElement} place where the counts stand
 * @param {AbortSignal} signal ends it
 */
export function tail(topic, query, rows, place, signal) {
  const counts = { shown: 0, dropped: 0, unseen: 0, gaps: 0 };
  const filtered = query.filter !== '' || query.key !== '';
  const words = h('span', {}, 'Connecting');
  const told = h('span', { class: 'sr', role: 'status' });
  place.replaceChildren(words, told);
  /** @type {import('./records.js').Message[]} */
  let waiting = [];
  let drawing = 0;
  let open = false;

  function draw() {
    drawing = 0;
    const fresh = waiting.slice(-KEPT_MAX).reverse();
    waiting = [];
    rows.prepend(fresh, KEPT_MAX);
    account();
  }

  function account() {
    say(words, sentence(counts, open, filtered));
    words.classList.toggle('dropping', counts.dropped > 0 || counts.gaps > 0);
  }

  const telling = setInterval(() => say(told, sentence(counts, open, filtered)), TOLD_MS);
  signal.addEventListener('abort', () => {
    clearInterval(telling);
    cancelAnimationFrame(drawing);
    draw();
    say(words, `Stopped. ${sentence(counts, true, filtered)}`);
  });

  stream(path('topics', topic, 'tail') + search(query), signal, {
    event(name, data) {
      if (name === 'dropped') {
        counts.dropped += data.count;
        counts.unseen += data.unseen ?? 0;
      }
      if (name === 'message') {
        counts.shown += 1;
        waiting.push(data);
      }
      if (name !== 'ping') drawing ||= requestAnimationFrame(draw);
    },
    state(state, { error }) {
      open = state === 'open';
      if (state === 'lost') counts.gaps += 1;
      account();
      if (state === 'refused' && error) say(words, error.message);
    },
  });
}

/**
 * @param {{shown: number, dropped: number, unseen: number, gaps: number}} counts
 * @param {boolean} open @param {boolean} filtered
 */
function sentence({ shown, dropped, unseen, gaps }, open, filtered) {
  const parts = [`${count(shown)} shown`,
    `${count(dropped)} left out${dropped > 0 ? ': more came than can be shown' : ''}`];
  if (filtered && unseen > 0) parts.push(`${count(unseen)} of these not even looked at`);
  if (gaps > 0) parts.push(`lost the connection ${some(gaps, 'time')}, what came then is missing`);
  return `${open ? '' : 'Connecting. '}${parts.join(' \u00b7 ')}`;
}
