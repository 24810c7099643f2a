// Rows that the broker hands out in pages, of which only those in sight are asked for and kept.

/** Rows of a page. */
const ROWS = 100;
/** Pages kept at most; the ones farthest from sight are forgotten first. */
const PAGES_MAX = 30;
/** While somebody scrolls nothing is asked until the hand rests. */
const REST_MS = 60;

/**
 * @template R
 * @typedef {(from: number, rows: number, signal: AbortSignal) =>
 *   Promise<{total: number, rows: R[]}>} Ask
 */

/** @template R */
export class Pages {
  /** @param {Ask<R>} ask */
  constructor(ask) {
    this.ask = ask;
    /** @type {Map<number, R[]>} */
    this.pages = new Map();
    /** Rows came that had been missing. */
    this.onrows = () => {};
    this.from = 0;
    this.to = ROWS;
    this.asking = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {number} at @returns {R | undefined} */
  row(at) {
    return this.pages.get(Math.floor(at / ROWS))?.[at % ROWS];
  }

  /** These rows are in sight now. @param {number} from @param {number} to */
  sight(from, to) {
    this.from = from;
    this.to = Math.max(to, from + 1);
    clearTimeout(this.timer);
    if (this.inSight().some((page) => !this.pages.has(page))) {
      this.timer = setTimeout(() => this.fetch(), REST_MS);
    }
  }

  /** @returns {number[]} */
  inSight() {
    const first = Math.floor(this.from / ROWS);
    const last = Math.floor((this.to - 1) / ROWS);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  }

  /** Asks for what is in sight and missing. */
  async fetch() {
    const { signal } = this.asking;
    const missing = this.inSight().filter((page) => !this.pages.has(page));
    try {
      await Promise.all(missing.map((page) => this.load(page, signal)));
      if (!signal.aborted) this.onrows();
    } catch {
      // The next refresh asks for the same, and shows what is wrong.
    }
  }

  /**
   * Asks again for what is in sight.
   * @param {AbortSignal} signal @returns {Promise<number>} how many rows there are in all
   */
  async refresh(signal) {
    const until = AbortSignal.any([signal, this.asking.signal]);
    try {
      const totals = await Promise.all(this.inSight().map((page) => this.load(page, until)));
      return totals[0];
    } catch (error) {
      // Search or order changed meanwhile: what was asked for is no longer wanted.
      if (until.aborted && !signal.aborted) return this.refresh(signal);
      throw error;
    }
  }

  /** @param {number} page @param {AbortSignal} signal @returns {Promise<number>} */
  async load(page, signal) {
    const { total, rows } = await this.ask(page * ROWS, ROWS, signal);
    signal.throwIfAborted();
    this.pages.set(page, rows);
    this.trim();
    return total;
  }

  trim() {
    const middle = (this.from + this.to) / 2 / ROWS;
    while (this.pages.size > PAGES_MAX) {
      const far = [...this.pages.keys()].reduce((a, b) => (
        Math.abs(a - middle) > Math.abs(b - middle) ? a : b));
      this.pages.delete(far);
    }
  }

  /** Search or order changed: nothing known holds. */
  forget() {
    this.stop();
    this.asking = new AbortController();
    this.from = 0;
    this.to = ROWS;
    this.pages.clear();
  }

  stop() {
    clearTimeout(this.timer);
    this.asking.abort();
  }
}
