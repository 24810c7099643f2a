// The console: joins the pages, the stream and the frame around them.

import { login } from './api.js';
import { themed } from './chart.js';
import { closeDialogs } from './dialog.js';
import { byId, fill, h, say } from './dom.js';
import { help, startKeys } from './keys.js';
import { live } from './live.js';
import * as config from './pages/config.js';
import * as gateways from './pages/gateways.js';
import * as group from './pages/group.js';
import * as groups from './pages/groups.js';
import * as messages from './pages/messages.js';
import * as missing from './pages/missing.js';
import * as overview from './pages/overview.js';
import * as rings from './pages/rings.js';
import * as shards from './pages/shards.js';
import * as sockets from './pages/sockets.js';
import * as topic from './pages/topic.js';
import * as topics from './pages/topics.js';
import { Router, route } from './router.js';
import { askForToken, leave, refresh } from './session.js';
import { store, stored } from './store.js';

const main = byId('main');

const router = new Router(main, [
  route('/', overview),
  route('/topics', topics),
  route('/topics/:topic', topic),
  route('/topics/:topic/messages', messages),
  route('/groups', groups),
  route('/groups/:group', group),
  route('/gateways', gateways),
  route('/sockets', sockets),
  route('/rings', rings),
  route('/shards', shards),
  route('/config', config),
], missing);

/** The menu says where one is. */
function markPlace() {
  closeDialogs();
  const [, first] = location.pathname.split('/');
  for (const link of document.querySelectorAll('#nav a')) {
    const here = link.getAttribute('href') === `/${first}`;
    if (!here) link.removeAttribute('aria-current');
    else link.setAttribute('aria-current', 'page');
    if (here) link.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }
}

const STATES = {
  connecting: 'connecting', open: 'live', lost: 'no answer', refused: 'not logged in',
};

/** Tells whether what is on the screen is still true. */
function showState() {
  const mark = byId('live');
  mark.dataset.state = live.state;
  say(byId('live-text'), STATES[live.state]);
  const note = byId('lost');
  if (live.state === 'open' || live.state === 'refused') note.hidden = true;
  if (live.state !== 'lost') return;
  // Said once and not counted down aloud: the next attempt is never far.
  if (note.hidden) {
    fill(note, h('span', {}, 'The broker does not answer. What is shown here is as it was; this '
      + 'page connects again by itself.'), h('button', {
      type: 'button', onclick: () => live.hurry(),
    }, 'Try now'));
    note.hidden = false;
  }
}

const THEMES = /** @type {Record<string, string>} */ ({ system: 'light', light: 'dark',
  dark: 'system' });

/** From the system's theme to light, to dark, and round again. */
function nextTheme() {
  const theme = THEMES[stored('theme') ?? 'system'] ?? 'system';
  store('theme', theme === 'system' ? null : theme);
  showTheme();
  themed.dispatchEvent(new Event('theme'));
}

function showTheme() {
  const theme = stored('theme') ?? 'system';
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(byId('theme'), `Theme: ${theme}`);
}

router.addEventListener('shown', markPlace);
live.addEventListener('state', showState);
live.addEventListener('state', () => live.state === 'open' && refresh());
login.addEventListener('needed', () => {
  router.leave();
  live.stop('refused');
  askForToken(main, () => {
    live.restart();
    router.show();
  });
});
byId('theme').addEventListener('click', nextTheme);
byId('keys').addEventListener('click', help);
byId('logout').addEventListener('click', leave);
startKeys((href) => router.go(href), nextTheme);
showTheme();
router.start();
refresh();
live.start();
