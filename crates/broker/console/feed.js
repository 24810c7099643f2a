// Asks again and again, while somebody looks.

import { live } from './live.js';

/**
 * Asks now and then every `ms`, until the signal aborts. A hidden tab asks nothing; one that comes
 * back, or a broker that does, is asked at once. Answers never overtake each other.
 * @template T
 * @param {AbortSignal} signal @param {number} ms
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {(answer: T) => void} show @param {(error: any) => void} fail
 * @returns {{again: () => void}} `again` asks at once
 */
export function feed(signal, ms, ask, show, fail) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asking = false;
  let again = false;

  async function turn() {
    clearTimeout(timer);
    if (signal.aborted || document.hidden) return;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await ask(signal);
      if (!signal.aborted) show(answer);
    } catch (error) {
      if (signal.aborted) return;
      fail(error);
    } finally {
      asking = false;
    }
    timer = setTimeout(turn, again ? 0 : ms);
    again = false;
  }

  document.addEventListener('visibilitychange', turn, { signal });
  live.addEventListener('topology', turn, { signal });
  live.addEventListener('state', () => live.state === 'open' && turn(), { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
  turn();
  return { again: turn };
}
