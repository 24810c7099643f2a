// Forms: labelled fields, one button that sends, errors read out where they happened.

import { fill, h } from './dom.js';
import { failureNote } from './page.js';

/** @typedef {import('./dom.js').Child} Child */

let serial = 0;

/**
 * A control with its label, and with what there is to know about it.
 * @param {string} label @param {any} control @param {Child} [about]
 */
export function field(label, control, about = null) {
  serial += 1;
  const id = `f${serial}`;
  control.id = id;
  if (about) control.setAttribute('aria-describedby', `${id}-about`);
  const note = about && h('p', { class: 'hint', id: `${id}-about` }, about);
  if (control.type === 'checkbox') {
    return h('div', { class: 'field check' }, control, h('label', { for: id }, label), note);
  }
  return h('div', { class: 'field' }, h('label', { for: id }, label), control, note);
}

/**
 * @param {Record<string, any>} given attributes; `value` chooses
 * @param {(string | [string, string])[]} options a value, or a value and its words
 */
export function select(given, options) {
  const { value, ...rest } = given;
  const items = options.map((option) => {
    const [code, words] = Array.isArray(option) ? option : [option, option];
    return h('option', { value: code }, words);
  });
  const control = h('select', rest, ...items);
  if (value !== undefined && value !== null) control.value = value;
  return control;
}

/**
 * @param {object} given
 * @param {string} given.submit words of the button
 * @param {Child[]} given.fields
 * @param {(data: FormData, form: HTMLFormElement) => Promise<void>} given.send
 * @param {string} [given.class]
 * @param {boolean} [given.danger]
 * @param {Child[]} [given.beside] other buttons
 * @returns {HTMLFormElement}
 */
export function form({ submit, fields, send, class: name = '', danger = false, beside = [] }) {
  const wrong = h('div', { class: 'wrong' });
  const button = h('button', { class: danger ? 'danger' : 'primary' }, submit);
  const made = h('form', { class: name, autocomplete: 'off' }, ...fields, wrong,
    h('div', { class: 'buttons' }, button, ...beside));
  made.addEventListener('submit', async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (made.getAttribute('aria-busy') === 'true') return;
    made.setAttribute('aria-busy', 'true');
    fill(wrong);
    try {
      await send(new FormData(made), made);
    } catch (error) {
      fill(wrong, failureNote(error));
    } finally {
      made.removeAttribute('aria-busy');
    }
  });
  return made;
}
