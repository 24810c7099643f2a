// Messages of a topic: sought by offset, time or key, filtered by the broker, or followed live.

import { get, path } from '../api.js';
import { recv } from '../cli.js';
import { fill, h, say } from '../dom.js';
import { field, select } from '../form.js';
import { count, some } from '../format.js';
import { coded, copyButton, emptyNote, failureNote, heading } from '../page.js';
import { produceDialog } from '../produce.js';
import { recordList } from '../records.js';
import { address } from '../router.js';
import { position, positionFields } from '../seek.js';
import { writeButton } from '../session.js';
import { tail } from '../tail.js';

/** Bytes of a key or value asked for; of longer ones the rest is left out. */
const BYTES_MAX = 65_536;

/** @param {import('../router.js').View} view */
export function open(view) {
  new Messages(view);
}

class Messages {
  /** @param {import('../router.js').View} view */
  constructor(view) {
    this.view = view;
    this.topic = view.params.topic;
    view.title(`Messages of ${this.topic}`);
    this.rows = recordList(this.topic);
    this.results = h('div', { class: 'results' });
    this.account = h('p', { class: 'account' });
    this.wrong = h('div', {});
    this.more = h('p', { class: 'buttons' });
    this.form = this.toolbar();
    /** What was read last. @type {any} */
    this.answer = null;
    /** @type {any[]} partitions of the topic, as the broker tells them */
    this.partitions = [];
    /** The time of the oldest record on the screen. @type {number | null} */
    this.oldest = null;
    /** How far back each partition was read. @type {Map<number, number>} */
    this.least = new Map();
    this.newestFirst = true;
    /** What is under way: a read or a tail. */
    this.doing = new AbortController();
    /** @type {boolean} */
    this.following = false;
    this.build();
    view.signal.addEventListener('abort', () => this.doing.abort());
    this.loadPartitions();
    this.read();
  }

  build() {
    const { topic } = this;
    this.view.root.append(
      heading('Messages', {
        path: [['Topics', '/topics'], [topic, address('topics', topic)]],
        actions: [
          copyButton('Copy as command', () => recv(topic, this.wish(), { oldest: this.oldest,
            follow: this.following })),
          writeButton('Produce', () => produceDialog(topic), { class: 'primary',
            'data-new': true, 'aria-keyshortcuts': 'n' }),
        ],
      }),
      this.form,
      this.account,
      this.wrong,
      this.results,
      this.more,
    );
  }

  toolbar() {
    const query = this.view.query;
    const { kind, words } = positionFields(query.get('from') ?? 'latest');
    const wanted = query.get('partition') ?? 'all';
    this.partition = select({ name: 'partition', value: wanted }, [...new Set(['all', wanted])]);
    this.live = h('button', { type: 'button', class: 'live-button', 'aria-pressed': 'false',
      onclick: () => this.toggle() }, 'Live');
    const made = h('form', { class: 'toolbar seek', role: 'search', 'aria-label': 'Records',
      autocomplete: 'off' },
    field('Partition', this.partition),
    field('From', kind), words,
    field('Key is', h('input', { name: 'key', value: query.get('key') ?? '',
      spellcheck: 'false' })),
    field('Contains', h('input', { name: 'filter', value: query.get('filter') ?? '',
      spellcheck: 'false', 'data-search': true, 'aria-keyshortcuts': '/' })),
    field('Show as', select({ name: 'decode', value: query.get('decode') ?? 'auto' }, [
      ['auto', 'what it looks like'], ['text', 'text'], ['json', 'JSON'], ['hex', 'hex'],
      ['base64', 'base64'], ['msgpack', 'MessagePack']])),
    field('At most', select({ name: 'limit', value: query.get('limit') ?? '50' }, ['50', '100',
      '200', '500'])),
    h('div', { class: 'buttons' }, h('button', { class: 'primary' }, 'Read'), this.live));
    made.addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.read();
    });
    return made;
  }

  /** What the toolbar asks for. */
  wish() {
    const data = new FormData(this.form);
    const text = (/** @type {string} */ name) => String(data.get(name) ?? '');
    return {
      partition: text('partition'),
      from: position(text('from'), text('offset'), text('time')),
      limit: text('limit'),
      filter: text('filter'),
      key: text('key'),
      decode: text('decode'),
    };
  }

  /** The choices of partitions; reading does not wait for them. */
  async loadPartitions() {
    try {
      const { partitions } = await get(path('topics', this.topic), this.view.signal);
      this.partitions = partitions;
    } catch {
      // The read says what is wrong.
      return;
    }
    const wanted = this.partition.value;
    fill(this.partition, h('option', { value: 'all' }, 'all'), ...this.partitions.map((one) => h(
      'option', { value: one.partition }, one.partition)));
    this.partition.value = this.partitions.some((one) => String(one.partition) === wanted)
      ? wanted : 'all';
    // Whether there are older records is known only now, if the read was quicker.
    if (this.answer && !this.following) fill(this.more, this.moreButton());
  }

  /** Ends what is under way and begins something else. */
  anew() {
    this.doing.abort();
    this.doing = new AbortController();
    this.following = false;
    this.live.setAttribute('aria-pressed', 'false');
    fill(this.wrong);
    fill(this.more);
    return this.doing.signal;
  }

  /** Reads from where the toolbar says, into an empty list. */
  async read() {
    const signal = this.anew();
    const wish = this.wish();
    this.view.remember({ ...wish, partition: plain(wish.partition, 'all'),
      from: plain(wish.from, 'latest'), limit: plain(wish.limit, '50'),
      decode: plain(wish.decode, 'auto') });
    say(this.account, 'Reading');
    const answer = await this.ask(wish, signal);
    if (!answer) return;
    this.rows.clear();
    this.oldest = null;
    this.newestFirst = wish.from === 'latest';
    this.least = lowest(answer.messages);
    this.show(answer, answer.messages);
  }

  /** @param {any} wish @param {AbortSignal} signal */
  async ask(wish, signal) {
    this.form.setAttribute('aria-busy', 'true');
    try {
      return await get(path('topics', this.topic, 'messages'), signal,
        { ...wish, max_bytes: BYTES_MAX });
    } catch (error) {
      if (signal.aborted) return null;
      say(this.account, '');
      fill(this.wrong, failureNote(error, () => this.read()));
      return null;
    } finally {
      if (!signal.aborted) this.form.removeAttribute('aria-busy');
    }
  }

  /** @param {any} answer @param {any[]} messages those of it that are new here */
  show(answer, messages) {
    this.answer = answer;
    const order = this.newestFirst ? -1 : 1;
    const sorted = [...messages].sort((a, b) => order * (a.timestamp_ms - b.timestamp_ms
      || a.partition - b.partition || a.offset - b.offset));
    this.rows.append(sorted);
    for (const { timestamp_ms: at } of sorted) this.oldest = Math.min(this.oldest ?? at, at);
    const shown = this.rows.length;
    say(this.account, `${some(shown, 'record')}, of ${count(answer.scanned)} looked at`
      + `${answer.reached_end ? ', to the end of the topic' : ''}.`);
    fill(this.wrong, (answer.problems ?? []).map((/** @type {any} */ one) => emptyNote(
      `Partition ${one.partition} cannot be read at offset ${count(one.offset)}.`,
      ...coded(one.what))));
    if (shown === 0) fill(this.results, this.nothing());
    else if (this.rows.element.parentNode !== this.results) fill(this.results, this.rows.element);
    fill(this.more, this.moreButton());
  }

  nothing() {
    const { filter, key } = this.wish();
    if (filter !== '' || key !== '') {
      return emptyNote('No record is like that.', 'Begin earlier, or ask for less.');
    }
    return emptyNote('There is no record from there on.', 'Begin earlier, produce one here, or: ',
      h('code', {}, `echo hello | chaski send kafka://HOST:PORT/${this.topic}`));
  }

  moreButton() {
    const button = (/** @type {string} */ words, /** @type {() => void} */ act) => h('button',
      { type: 'button', onclick: act }, words);
    if (!this.newestFirst) return button('Read on', () => this.readOn());
    return this.answer.messages.length > 0
      && this.partitions.some(({ partition, log_start: start }) => this.end(partition) > start)
      && button('Older', () => this.readOlder());
  }

  async readOn() {
    const from = Object.entries(this.answer.next).map(([p, at]) => `${p}:${at}`).join(',');
    const answer = await this.ask({ ...this.wish(), from }, this.doing.signal);
    if (!answer) return;
    answer.scanned += this.answer.scanned;
    this.show(answer, answer.messages);
  }

  /** What is before this offset of a partition was not read yet. @param {number} partition */
  end(partition) {
    return this.least.get(partition) ?? this.answer.next[partition] ?? 0;
  }

  /** The newest of those that are older than what is shown. */
  async readOlder() {
    const ends = Object.keys(this.answer.next).map((p) => `${p}:${this.end(Number(p))}`);
    const answer = await this.ask({ ...this.wish(), before: ends.join(',') }, this.doing.signal);
    if (!answer) return;
    answer.scanned += this.answer.scanned;
    answer.next = this.answer.next;
    for (const [partition, offset] of lowest(answer.messages)) this.least.set(partition, offset);
    this.show(answer, answer.messages);
  }

  /** Begins or ends the live tail. */
  toggle() {
    const begin = !this.following;
    const signal = this.anew();
    if (!begin) return;
    this.following = true;
    this.live.setAttribute('aria-pressed', 'true');
    this.rows.clear();
    this.oldest = null;
    fill(this.results, this.rows.element);
    const { partition, filter, key, decode } = this.wish();
    tail(this.topic, { partition, filter, key, decode, max_bytes: String(BYTES_MAX) }, this.rows,
      this.account, signal);
  }
}

/** The lowest offset of each partition. @param {any[]} messages */
function lowest(messages) {
  const all = new Map();
  for (const { partition, offset } of messages) {
    all.set(partition, Math.min(all.get(partition) ?? offset, offset));
  }
  return all;
}

/** What needs no mention in the address. @param {string} value @param {string} usual */
function plain(value, usual) {
  return value === usual ? null : value;
}
