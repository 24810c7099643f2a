// Who is at the screen: what this browser may do, and the form by which it gets there.

import { change, get, login } from './api.js';
import { byId, fill, h, say } from './dom.js';
import { field, form } from './form.js';
import { heading } from './page.js';
import { toast } from './toast.js';

/** @type {{login: boolean, role: 'admin' | 'read' | null}} */
const session = { login: false, role: 'admin' };

/** Whether this browser may change things. */
export function mayWrite() {
  return session.role !== 'read';
}

/** Finds out what this browser may do, and shows it. */
export async function refresh() {
  try {
    Object.assign(session, await get('/api/session'));
  } catch {
    // The stream tells that the broker is away; the role is asked for again when it is back.
    return;
  }
  const role = byId('role');
  role.hidden = mayWrite();
  say(role, mayWrite() ? '' : 'read-only');
  byId('logout').hidden = !(session.login && session.role);
  if (session.login && !session.role) login.dispatchEvent(new Event('needed'));
}

/** Forgets this browser's token. */
export async function leave() {
  await change('DELETE', '/api/session');
  location.assign('/');
}

/**
 * The login instead of a page.
 * @param {HTMLElement} root @param {() => void} done
 */
export function askForToken(root, done) {
  if (root.querySelector('form.login')) return;
  document.title = 'Log in \u00b7 Chaski';
  const token = field('Token', h('input', {
    type: 'password', name: 'token', autocomplete: 'current-password', required: true,
    spellcheck: 'false',
  }), 'The value of http.token in the broker\u2019s configuration, or of http.read.token to look '
    + 'without touching.');
  const ask = form({
    class: 'login card',
    submit: 'Log in',
    fields: [token],
    async send(data) {
      await change('POST', '/api/session', { token: data.get('token') });
      await refresh();
      done();
    },
  });
  fill(root, heading('Log in'), ask);
  ask.querySelector('input')?.focus();
}

/**
 * A button that changes something. Who may only read keeps it in sight, and is told why it does
 * nothing.
 * @param {string} label @param {() => void} act @param {Record<string, any>} [given]
 */
export function writeButton(label, act, given = {}) {
  const pressed = () => (mayWrite() ? act() : toast('This token may only read. Log in with the '
    + 'value of http.token to change things.'));
  return h('button', { type: 'button', onclick: pressed, 'data-write': true, ...given }, label);
}
