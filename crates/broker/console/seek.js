// Where to begin: an end of the topic, an offset, or a time.

import { h } from './dom.js';
import { field, select } from './form.js';

/**
 * The fields of a position, as the address of the page has it.
 * @param {string} from
 */
export function positionFields(from) {
  const named = from === 'latest' || from === 'earliest';
  const timed = from.startsWith('time:');
  const first = named ? from : timed ? 'time' : 'offset';
  const kind = select({ name: 'from', value: first }, [['latest', 'the newest'],
    ['earliest', 'the oldest'], ['offset', 'an offset'], ['time', 'a time']]);
  const offset = field('Offset', h('input', { name: 'offset', inputmode: 'numeric',
    pattern: '[0-9]+', value: first === 'offset' ? from : '' }));
  const time = field('Time', h('input', { name: 'time', type: 'datetime-local', step: 1,
    value: timed ? local(Number(from.slice(5))) : '' }));
  const words = h('div', { class: 'position' }, offset, time);
  const follow = () => {
    offset.hidden = kind.value !== 'offset';
    time.hidden = kind.value !== 'time';
    words.hidden = offset.hidden && time.hidden;
    offset.querySelector('input').required = !offset.hidden;
    time.querySelector('input').required = !time.hidden;
  };
  kind.addEventListener('change', () => {
    follow();
    words.querySelector('.field:not([hidden]) input')?.focus();
  });
  follow();
  return { kind, words };
}

/** As the API has it. @param {string} kind @param {string} offset @param {string} time */
export function position(kind, offset, time) {
  if (kind === 'offset') return offset;
  return kind === 'time' ? `time:${new Date(time).getTime()}` : kind;
}

/** For an input of local time. @param {number} ms */
function local(ms) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return '';
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
