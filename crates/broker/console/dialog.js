// Dialogs: the browser's own, which keeps the focus inside and gives it back, and ends by Escape.

import { fill, h } from './dom.js';
import { field, form } from './form.js';

/** @typedef {import('./dom.js').Child} Child */

/**
 * @param {string} title
 * @param {(close: () => void) => Child[]} content
 * @param {{wide?: boolean}} [as]
 */
export function dialog(title, content, { wide = false } = {}) {
  const made = h('dialog', { class: wide ? 'wide' : null, 'aria-labelledby': 'dialog-title' });
  const close = () => made.close();
  const end = h('button', { type: 'button', class: 'quiet', onclick: close }, 'Close');
  fill(made,
    h('header', {}, h('h2', { id: 'dialog-title' }, title), end),
    h('div', { class: 'content' }, ...content(close)));
  made.addEventListener('close', () => made.remove());
  // A press on the backdrop is a press on the dialog itself, outside its box.
  made.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (event.target === made && outside(made, event)) close();
  });
  document.body.append(made);
  made.showModal();
  made.querySelector('input, select, textarea')?.focus();
  return made;
}

/** @param {HTMLElement} box @param {PointerEvent} event */
function outside(box, event) {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  return event.clientX < left || event.clientX > right || event.clientY < top
    || event.clientY > bottom;
}

/** Closes whatever dialog is open: before another page is shown. */
export function closeDialogs() {
  for (const open of document.querySelectorAll('dialog[open]')) {
    /** @type {HTMLDialogElement} */ (open).close();
  }
}

/**
 * Asks before something is lost for good: its name has to be typed.
 * @param {string} title @param {string} name @param {string} button @param {Child} effect
 * @param {() => Promise<void>} act
 */
export function confirmByName(title, name, button, effect, act) {
  dialog(title, (close) => {
    const input = h('input', {
      name: 'name', required: true, spellcheck: 'false', autocapitalize: 'off',
    });
    const check = () => input.setCustomValidity(input.value === name ? '' : `Type ${name}`);
    input.addEventListener('input', check);
    check();
    return [form({
      submit: button,
      danger: true,
      fields: [h('p', {}, effect), field('Name', input,
        ['Type ', h('code', {}, name), ' to confirm.'])],
      async send() {
        await act();
        close();
      },
      beside: [h('button', { type: 'button', onclick: close }, 'Cancel')],
    })];
  });
}
