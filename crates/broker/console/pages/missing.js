// No such page.

import { h } from '../dom.js';
import { emptyNote, heading } from '../page.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('No such page');
  view.root.append(
    heading('No such page'),
    emptyNote('This address means nothing here.', 'What there is stands in the menu; ',
      h('a', { href: '/' }, 'Overview'), ' is the first.'),
  );
}
