// The same by the command line: what stands on the screen as a command to copy.

import { live } from './live.js';
import { utc } from './format.js';

/** Quotes for a POSIX shell, where needed. @param {string} text */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} topic */
function url(topic) {
  return quoted(`kafka://${live.latest?.kafka ?? '127.0.0.1:9092'}/${topic}`);
}

/** @param {string} topic @param {number} partition @param {number} offset */
export function recvOne(topic, partition, offset) {
  return `chaski recv ${url(topic)} --partition ${partition} --from ${offset} --count 1 -o json`;
}

/**
 * @param {string} topic
 * @param {{partition: string, from: string, limit: string, filter: string, key: string}} wish
 * @param {{oldest: number | null, follow: boolean}} shown the time of the oldest record on the
 *   screen, which is where a reader of the newest has to begin
 */
export function recv(topic, wish, { oldest, follow }) {
  const words = ['chaski recv', url(topic)];
  if (wish.partition !== 'all') words.push('--partition', wish.partition);
  if (follow) words.push('--follow');
  else words.push('--from', position(wish.from, oldest), '--count', wish.limit);
  words.push('-o json');
  const wanted = [wish.key, wish.filter].filter((text) => text !== '');
  return [words.join(' '), ...wanted.map((text) => `grep -F -- ${quoted(text)}`)].join(' | ');
}

/** @param {string} from @param {number | null} oldest */
function position(from, oldest) {
  if (from.startsWith('time:')) return utc(Number(from.slice(5)));
  if (from === 'latest' && oldest !== null && oldest >= 0) return utc(oldest);
  return from === 'latest' || from.includes(':') ? 'earliest' : from;
}

/**
 * @param {string} topic
 * @param {{key?: string | null, value: string | null, headers: {name: string, value: string}[],
 *   partition?: number, encoding: string}} record
 */
export function send(topic, { key, value, headers, partition, encoding }) {
  const text = (/** @type {string | null} */ one) => {
    if (one === null || encoding === 'text') return one;
    return { base64: encoding === 'hex' ? base64(one) : one };
  };
  const line = JSON.stringify({
    ...(key === undefined || key === null ? {} : { key: text(key) }),
    value: text(value),
    ...(headers.length > 0 ? { headers: headers.map((one) => ({ key: one.name,
      value: one.value })) } : {}),
    ...(partition === undefined ? {} : { partition }),
  });
  return `printf '%s\\n' ${quoted(line)} | chaski send ${url(topic)} --json`;
}

/** @param {string} hex */
function base64(hex) {
  const codes = (hex.match(/[0-9a-f]{2}/gi) ?? []).map((pair) => parseInt(pair, 16));
  return btoa(String.fromCharCode(...codes));
}
