// Real URLs with the history API: which page an address means, and links that do not load anew.

/**
 * @typedef {object} View what a page is given
 * @property {HTMLElement} root where it goes
 * @property {Record<string, string>} params parts of the path
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal aborts when the page is left: every request, stream and listener
 *   of the page hangs on it
 * @property {(title: string) => void} title
 * @property {(href: string) => void} go to another page of the console
 * @property {(query: Record<string, string | null | undefined>) => void} remember puts choices into
 *   the address, so that it can be copied, reloaded and come back to
 *
 * @typedef {{open: (view: View) => void}} Page
 */

/** @typedef {[RegExp, string[], Page]} Route */

/**
 * A route from a path like `/topics/:topic`.
 * @param {string} path @param {Page} page @returns {Route}
 */
export function route(path, page) {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1]);
  return [new RegExp(`^${path.replace(/:\w+/g, '([^/]+)')}/?$`), names, page];
}

/** Shows the page of the current address, and of every later one. */
export class Router extends EventTarget {
  /** @param {HTMLElement} root @param {Route[]} routes @param {Page} elsewhere */
  constructor(root, routes, elsewhere) {
    super();
    this.root = root;
    this.routes = routes;
    this.elsewhere = elsewhere;
    this.leaving = new AbortController();
    /** The address that is shown. */
    this.shown = '';
  }

  start() {
    // To a place on the same page, as by the skip link, is no other page.
    window.addEventListener('popstate', () => here() !== this.shown && this.show());
    document.addEventListener('click', (event) => this.clicked(event));
    this.show(false);
  }

  /** Goes to an address of the console. @param {string} href */
  go(href) {
    if (href !== here()) history.pushState(null, '', href);
    this.show();
  }

  /** @param {boolean} [move] the focus to the heading: not where the document was just loaded */
  show(move = true) {
    const { page, params } = this.find(location.pathname);
    this.shown = here();
    this.leave();
    const { signal } = this.leaving;
    this.root.replaceChildren();
    this.root.className = '';
    page.open({
      root: this.root,
      params,
      query: new URLSearchParams(location.search),
      signal,
      title: (title) => {
        document.title = `${title} \u00b7 Chaski`;
      },
      go: (href) => this.go(href),
      remember: (query) => {
        remember(query);
        this.shown = here();
      },
    });
    window.scrollTo(0, 0);
    if (move) this.root.querySelector('h1')?.focus({ preventScroll: true });
    this.dispatchEvent(new Event('shown'));
  }

  /** Ends what the present page has under way. */
  leave() {
    this.leaving.abort();
    this.leaving = new AbortController();
  }

  /** @param {string} path @returns {{page: Page, params: Record<string, string>}} */
  find(path) {
    for (const [pattern, names, page] of this.routes) {
      const parts = pattern.exec(path)?.slice(1).map(decoded);
      if (parts && parts.every((part) => part !== null)) {
        const params = Object.fromEntries(names.map((name, at) => [name, String(parts[at])]));
        return { page, params };
      }
    }
    return { page: this.elsewhere, params: {} };
  }

  /** A plain click on a link of the console. @param {MouseEvent} event */
  clicked(event) {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey
      && !event.altKey && !event.defaultPrevented;
    if (!link || !plain || link.target !== '' || link.origin !== location.origin) return;
    if (link.hash !== '' || /^\/(api|metrics|assets|healthz|readyz)\b/.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

function here() {
  return location.pathname + location.search;
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** @param {Record<string, string | null | undefined>} query */
function remember(query) {
  const all = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') all.delete(name);
    else all.set(name, value);
  }
  const text = all.toString();
  history.replaceState(null, '', location.pathname + (text === '' ? '' : `?${text}`));
}

/**
 * An address of the console, each part of it escaped.
 * @param {...string} parts
 */
export function address(...parts) {
  return `/${parts.map(encodeURIComponent).join('/')}`;
}
