// The JSON API. Every failure is an ApiError with a kind, a message and, where there is one, a
// hint: what went wrong and what to do next.

/** A request that did not succeed. */
export class ApiError extends Error {
  /**
   * @param {string} kind @param {string} message @param {string | null} hint
   * @param {number} [status] 0: the broker was not reached
   */
  constructor(kind, message, hint, status = 0) {
    super(message);
    this.kind = kind;
    this.hint = hint;
    this.status = status;
  }
}

/** Tells who listens that the broker wants a login: `needed`. */
export const login = new EventTarget();

/** An answer is at most waited for so long. */
const PATIENCE_MS = 30_000;

/**
 * A path of the API, each part of it escaped.
 * @param {...string} parts
 */
export function path(...parts) {
  return `/api/${parts.map(encodeURIComponent).join('/')}`;
}

/**
 * @param {string} where
 * @param {AbortSignal} [signal]
 * @param {Record<string, string | number | null | undefined>} [query] null and '' are left out
 * @returns {Promise<any>}
 */
export function get(where, signal, query = {}) {
  return ask(where + search(query), { headers: { accept: 'application/json' } }, signal);
}

/**
 * Changes something. Who may only read is told so by the broker.
 * @param {'POST' | 'PATCH' | 'DELETE'} method
 * @param {string} where @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function change(method, where, body = {}, signal) {
  const headers = { 'content-type': 'application/json', 'x-chaski': '1' };
  return ask(where, { method, headers, body: JSON.stringify(body) }, signal);
}

/** @param {Record<string, string | number | null | undefined>} query */
export function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined
    && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

/**
 * @param {string} where @param {RequestInit} init @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function ask(where, init, signal) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const until = signal ? AbortSignal.any([signal, patience]) : patience;
  let response;
  try {
    response = await fetch(where, { ...init, signal: until, cache: 'no-store' });
    if (response.ok) return await body(response);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ApiError) throw error;
    throw unreachable();
  }
  throw await failure(response);
}

/** @param {Response} response @returns {Promise<any>} */
async function body(response) {
  const text = await response.text();
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('protocol', 'the answer is not JSON', 'Is another program in between?',
      response.status);
  }
}

function unreachable() {
  return new ApiError('unreachable', 'the broker does not answer',
    'Is `chaski serve` running? This page tries again by itself.');
}

/**
 * What a refused request said.
 * @param {Response} response @returns {Promise<ApiError>}
 */
export async function failure(response) {
  if (response.status === 401) login.dispatchEvent(new Event('needed'));
  let error;
  try {
    error = (await response.json()).error;
  } catch {
    // Not one of the broker's own errors; the status is all there is.
  }
  const { kind = 'http', message = `the broker answered ${response.status}`, hint = null } =
    error ?? {};
  return new ApiError(String(kind), String(message), hint === null ? null : String(hint),
    response.status);
}
