// What the broker tells once a second, and whether it still does. One stream for all pages.
//
// A hidden tab listens to nothing: a browser opens six connections to a host, and a row of
// forgotten tabs would use them up.

import { stream } from './stream.js';

/** How long a tab may be hidden before its stream ends. */
const HIDDEN_MS = 5_000;

/** Tells `overview` (its `latest` is new), `topology` and `state`. */
class Live extends EventTarget {
  constructor() {
    super();
    /** @type {any} the last overview, or null before the first */
    this.latest = null;
    /** @type {import('./stream.js').State} */
    this.state = 'connecting';
    /** When the next attempt is made, if lost. */
    this.retryAt = 0;
    this.impatience = new EventTarget();
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.hiding = undefined;
  }

  /** Begins to listen, and follows the tab's visibility from then on. */
  start() {
    this.listen();
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.hiding);
      if (document.hidden) this.hiding = setTimeout(() => this.stop(), HIDDEN_MS);
      else this.listen();
    });
  }

  listen() {
    if (this.running) return;
    this.running = new AbortController();
    stream('/api/events', this.running.signal, {
      event: (name, data) => this.heard(name, data),
      state: (state, detail) => this.changed(state, detail.retryAt ?? 0),
      impatience: this.impatience,
    });
  }

  /** Ends the stream; `listen` begins another. @param {import('./stream.js').State} [state] */
  stop(state = 'connecting') {
    this.running?.abort();
    this.running = null;
    this.changed(state, 0);
  }

  /** Begins anew: after a login. */
  restart() {
    this.stop();
    this.listen();
  }

  /** Ends a pause between two attempts. */
  hurry() {
    this.impatience.dispatchEvent(new Event('now'));
  }

  /** @param {string} name @param {any} data */
  heard(name, data) {
    if (name === 'overview') this.latest = data;
    if (name === 'overview' || name === 'topology') this.dispatchEvent(new Event(name));
  }

  /** @param {import('./stream.js').State} state @param {number} retryAt */
  changed(state, retryAt) {
    this.state = state;
    this.retryAt = retryAt;
    this.dispatchEvent(new Event('state'));
  }
}

export const live = new Live();
