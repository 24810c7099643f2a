// Server-sent events that come back by themselves. Not EventSource: that one tells neither why a
// connection failed nor when it will be tried again, and both are shown here.

import { failure } from './api.js';

/** Silence after which a connection counts as lost; the broker speaks every 15 s at least. */
const SILENCE_MS = 40_000;
/** Between two attempts, growing from the first to the second. */
const PAUSE_MS = [1_000, 10_000];
/** The longest event taken. */
const EVENT_CHARS_MAX = 16 << 20;

/**
 * @typedef {'connecting' | 'open' | 'lost' | 'refused'} State
 * @typedef {object} Listener
 * @property {(name: string, data: any) => void} event
 * @property {(state: State, detail: {retryAt?: number, error?: Error}) => void} state
 * @property {EventTarget} [impatience] `now` on it ends a pause
 */

/**
 * Listens until the signal aborts, or the broker refuses for good.
 * @param {string} where @param {AbortSignal} signal @param {Listener} listener
 */
export async function stream(where, signal, listener) {
  for (let pause = PAUSE_MS[0]; !signal.aborted; pause = Math.min(pause * 2, PAUSE_MS[1])) {
    listener.state('connecting', {});
    try {
      const heard = await listen(where, signal, listener);
      if (heard) pause = PAUSE_MS[0];
    } catch (error) {
      if (signal.aborted) return;
      if (/** @type {any} */ (error).status >= 400 && /** @type {any} */ (error).status < 500) {
        listener.state('refused', { error: /** @type {Error} */ (error) });
        return;
      }
    }
    if (signal.aborted) return;
    listener.state('lost', { retryAt: Date.now() + pause });
    await rest(pause, signal, listener.impatience);
  }
}

/**
 * One connection, to its end.
 * @param {string} where @param {AbortSignal} signal @param {Listener} listener
 * @returns {Promise<boolean>} whether anything came
 */
async function listen(where, signal, listener) {
  const silence = new AbortController();
  const until = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const headers = { accept: 'text/event-stream' };
    const response = await fetch(where, { signal: until, headers, cache: 'no-store' });
    if (!response.ok || !response.body) throw await failure(response);
    listener.state('open', {});
    const parser = new Parser(listener.event);
    const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let heard = false; ; heard = true) {
      const { done, value } = await text.read();
      if (done || signal.aborted) return heard;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      parser.take(value);
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** Cuts a stream of text into events. */
class Parser {
  /** @param {(name: string, data: any) => void} event */
  constructor(event) {
    this.event = event;
    this.rest = '';
    this.name = 'message';
    /** @type {string[]} */
    this.data = [];
  }

  /** @param {string} text */
  take(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = /** @type {string} */ (lines.pop());
    if (this.rest.length > EVENT_CHARS_MAX) throw new Error('an event is too long');
    for (const line of lines) this.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  /** @param {string} line */
  line(line) {
    if (line === '') return this.finish();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.name = value;
    else if (field === 'data') this.data.push(value);
    return undefined;
  }

  finish() {
    if (this.data.length > 0) this.event(this.name, JSON.parse(this.data.join('\n')));
    this.name = 'message';
    this.data = [];
  }
}

/**
 * Waits, unless something makes it worth trying at once.
 * @param {number} ms @param {AbortSignal} signal @param {EventTarget} [impatience]
 * @returns {Promise<void>}
 */
function rest(ms, signal, impatience) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = () => {
      clearTimeout(timer);
      over.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { signal: over.signal });
    window.addEventListener('online', end, { signal: over.signal });
    impatience?.addEventListener('now', end, { signal: over.signal });
  });
}
