// Numbers, bytes and times as people read them. What is unknown is never shown as zero.

const WHOLE = new Intl.NumberFormat('en');
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** What stands where nothing is known. */
export const UNKNOWN = 'unknown';

/** @typedef {number | null | undefined} Maybe */

/** @param {Maybe} n @returns {n is null | undefined} */
const missing = (n) => n === null || n === undefined || Number.isNaN(n);

/** `1,234,567`. @param {Maybe} n */
export function count(n) {
  return missing(n) ? UNKNOWN : WHOLE.format(n);
}

/** `1.23M`. @param {Maybe} n */
export function short(n) {
  if (missing(n)) return UNKNOWN;
  return Math.abs(n) < 10_000 ? WHOLE.format(round(n)) : SHORT.format(n);
}

/** Three digits are enough for what changes every second. @param {number} n */
function round(n) {
  return Math.abs(n) < 100 ? Math.round(n * 10) / 10 : Math.round(n);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.2 MiB`. @param {Maybe} n */
export function bytes(n) {
  if (missing(n)) return UNKNOWN;
  let unit = 0;
  let size = n;
  while (Math.abs(size) >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && Math.abs(size) < 100 ? 1 : 0;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** Microseconds as `340 us`, `1.2 ms` or `2.5 s`. @param {Maybe} us */
export function micros(us) {
  if (missing(us)) return UNKNOWN;
  if (us < 1000) return `${round(us)} \u00b5s`;
  if (us < 1_000_000) return `${round(us / 1000)} ms`;
  return `${round(us / 1_000_000)} s`;
}

/** `30.5 %`. @param {Maybe} fraction from 0 to 1 */
export function percent(fraction) {
  return missing(fraction) ? UNKNOWN : `${(fraction * 100).toFixed(1)} %`;
}

/** `3 d 4 h`, the two largest units. @param {Maybe} seconds */
export function duration(seconds) {
  if (missing(seconds)) return UNKNOWN;
  const parts = [
    [Math.floor(seconds / 86400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [Math.floor(seconds) % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n !== 0);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2).map(([n, unit]) => `${n} ${unit}`).join(' ');
}

/** @param {number} n @param {number} [width] */
const padded = (n, width = 2) => String(n).padStart(width, '0');

/** `2026-08-01 12:00:00.123`, of this browser's time zone. @param {Maybe} ms */
export function time(ms) {
  if (missing(ms) || ms < 0) return 'no time';
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return `${ms} ms`;
  return `${day(at)} ${clock(at)}.${padded(at.getMilliseconds(), 3)}`;
}

/** @param {Date} at */
function day(at) {
  return `${at.getFullYear()}-${padded(at.getMonth() + 1)}-${padded(at.getDate())}`;
}

/** `12:00:00`. @param {Date} at */
export function clock(at) {
  return `${padded(at.getHours())}:${padded(at.getMinutes())}:${padded(at.getSeconds())}`;
}

/** The same instant for everybody, `2026-08-01T12:00:00.123Z`. @param {number} ms */
export function utc(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? `${ms} ms` : at.toISOString();
}

/** `1 topic`, `3 topics`. @param {number} n @param {string} noun */
export function some(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}
