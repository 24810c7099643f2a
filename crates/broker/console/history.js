// The hour that the broker remembers, kept up to date by asking only for what is new.

import { get } from './api.js';

/** Points of an hour, one every five seconds. */
const POINTS_MAX = 720;

/** Columns of equal length: times, and a value or null of each series at that time. */
export class History {
  constructor() {
    /** @type {number[]} in seconds */
    this.times = [];
    /** @type {Map<string, (number | null)[]>} */
    this.columns = new Map();
    this.step = 5_000;
    /** The first instant not yet known, in milliseconds; 0: nothing is known. */
    this.since = 0;
  }

  /** Takes what `/api/history` answered. @param {any} answer */
  take(answer) {
    const series = flat(answer.series);
    const added = Math.max(0, ...[...series.values()].map((values) => values.length));
    if (answer.step_ms !== this.step || (this.since > 0 && answer.from_ms !== this.since)) {
      // Another grid, or a gap: what was known does not line up any more.
      if (added === 0) return;
      this.times = [];
      this.columns.clear();
    }
    this.step = answer.step_ms;
    for (let n = 0; n < added; n += 1) this.times.push((answer.from_ms + n * this.step) / 1000);
    const length = this.times.length;
    for (const name of series.keys()) if (!this.columns.has(name)) this.columns.set(name, []);
    for (const [name, column] of this.columns) {
      const values = series.get(name) ?? [];
      while (column.length < length - added) column.push(null);
      for (let n = 0; n < added; n += 1) column.push(values[n] ?? null);
      column.splice(0, column.length - POINTS_MAX);
    }
    this.times.splice(0, length - POINTS_MAX);
    if (added > 0) this.since = answer.from_ms + added * this.step;
  }

  /** @param {string} name @returns {(number | null)[]} */
  column(name) {
    return this.columns.get(name) ?? this.times.map(() => null);
  }

  /** Asks for what is not known yet. @param {AbortSignal} signal */
  ask(signal) {
    return get('/api/history', signal, { since_ms: this.since || null });
  }

  /** How many shards there are. */
  get shards() {
    return [...this.columns.keys()].filter((name) => name.startsWith('busy ')).length;
  }
}

/**
 * A list of series a shard becomes a series each: `busy 0`, `busy 1`.
 * @param {Record<string, any>} series @returns {Map<string, (number | null)[]>}
 */
function flat(series) {
  const all = new Map();
  for (const [name, values] of Object.entries(series)) {
    if (name === 'busy') values.forEach((/** @type {any} */ one, n) => all.set(`busy ${n}`, one));
    else all.set(name, values);
  }
  return all;
}
