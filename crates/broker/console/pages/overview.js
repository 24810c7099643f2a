// Overview: what the broker does now and did in the last hour, what is slow, what is wrong and how
// to mend it.

import { get } from '../api.js';
import { chart } from '../chart.js';
import { fill, h, say } from '../dom.js';
import { feed } from '../feed.js';
import { bytes, count, duration, micros, percent, short, some } from '../format.js';
import { History } from '../history.js';
import { live } from '../live.js';
import { coded, command, copyButton, facts, failureNote, heading, meter, section }
  from '../page.js';
import { address } from '../router.js';
import { nothing, table } from '../table.js';
import { name } from '../visible.js';

/** @param {import('../router.js').View} view */
export function open(view) {
  view.title('Overview');
  const about = h('span', {}, '\u00a0');
  const wrong = h('div', {});
  const figures = figureRow();
  const findings = findingList();
  const latency = latencyTable();
  const slow = slowTable();
  const disk = h('div', { class: 'disk' });
  const broker = h('div', {});
  const charts = chartGrid(view.signal);

  view.root.classList.add('loading');
  view.root.append(
    heading('Overview', { about }),
    wrong,
    figures.element,
    findings.element,
    section('Last hour', charts.element),
    h('div', { class: 'columns' },
      section('Latency', latency.element),
      section('Slow consumers', slow.element)),
    h('div', { class: 'columns' }, section('Disk', disk), section('Broker', broker)),
  );

  /** @param {any} now */
  function show(now) {
    view.root.classList.remove('loading');
    fill(wrong);
    say(about, `${now.version}, up ${duration(now.uptime_s)}`);
    figures.show(now);
    findings.show(now.findings);
    latency.show(now.latency);
    slow.show(now.slow);
    showDisk(disk, now);
    showBroker(broker, now);
  }

  if (live.latest) show(live.latest);
  live.addEventListener('overview', () => show(live.latest), { signal: view.signal });
  get('/api/overview', view.signal).then(show, (error) => {
    if (!view.signal.aborted && !live.latest) fill(wrong, failureNote(error));
  });
  const past = new History();
  feed(view.signal, 5_000, (signal) => past.ask(signal),
    (answer) => {
      past.take(answer);
      charts.show(past);
    }, () => {});
}

/** The numbers one looks at first. */
function figureRow() {
  /** @type {[string, string | null, (now: any) => string][]} */
  const all = [
    ['Records in', '/s', (now) => short(now.rates.in_records_s)],
    ['Bytes in', '/s', (now) => bytes(now.rates.in_bytes_s)],
    ['Bytes out', '/s', (now) => bytes(now.rates.out_bytes_s)],
    ['Requests', '/s', (now) => short(now.rates.requests_s)],
    ['Connections', null, (now) => count(now.connections)],
    ['Topics', null, (now) => count(now.topics)],
    ['Groups', null, (now) => count(now.groups)],
  ];
  const values = all.map(() => h('span', { class: 'num' }, '\u2013'));
  return {
    element: h('dl', { class: 'figures' }, ...all.map(([label, unit], at) => h('div', {},
      h('dt', {}, label), h('dd', {}, values[at], unit && h('span', { class: 'unit' }, unit))))),
    show: (/** @type {any} */ now) => all.forEach(([, , text], at) => say(values[at], text(now))),
  };
}

const SEVERITY = { error: 'Error', warning: 'Warning', info: 'Note' };

/** What is wrong; drawn again only when it changes, and then read out. */
function findingList() {
  const items = h('ul', { class: 'findings', 'aria-live': 'polite' });
  const element = section('Findings', items);
  element.classList.add('finding-section');
  let memo = '';
  return {
    element,
    show(/** @type {any[]} */ findings) {
      const now = JSON.stringify(findings);
      if (now === memo) return;
      memo = now;
      fill(items, ...(findings.length > 0 ? findings.map(finding)
        : [h('li', { class: 'well' }, 'Nothing is wrong.')]));
    },
  };
}

/** @param {any} found */
function finding(found) {
  const severity = found.severity in SEVERITY ? found.severity : 'info';
  return h('li', { class: severity },
    h('p', {},
      h('span', { class: `badge ${severity}` }, SEVERITY[/** @type {'info'} */ (severity)]), ' ',
      h('strong', {}, ...coded(found.what))),
    found.effect && h('p', {}, ...coded(found.effect)),
    found.command && command(found.command));
}

function latencyTable() {
  return table({
    caption: 'Latency by path, since the start',
    key: (row) => row.path,
    columns: [
      { label: 'Path', head: true, text: (row) => row.path },
      { label: 'p50', class: 'num', text: (row) => micros(row.p50_us) },
      { label: 'p99', class: 'num', text: (row) => micros(row.p99_us) },
      { label: 'p99.9', class: 'num', text: (row) => micros(row.p999_us) },
      { label: 'Requests', class: 'num wide', text: (row) => count(row.count) },
    ],
    empty: nothing('Nothing was measured yet.', 'Produce or consume something.'),
  });
}

function slowTable() {
  return table({
    caption: 'Slow consumers',
    key: (row) => JSON.stringify([row.group, row.topic, row.partition]),
    columns: [
      { label: 'Group', head: true, memo: (row) => row.group,
        node: (row) => h('a', { href: address('groups', row.group) }, name(row.group)) },
      { label: 'Topic', memo: (row) => row.topic,
        node: (row) => h('a', { href: address('topics', row.topic) }, row.topic) },
      { label: 'Partition', class: 'num', text: (row) => String(row.partition) },
      { label: 'Lag', class: 'num', text: (row) => count(row.lag) },
    ],
    empty: nothing('Nobody falls behind.'),
  });
}

/** @param {HTMLElement} place @param {any} now */
function showDisk(place, { disk }) {
  const { used_bytes: used, free_bytes: free, total_bytes: total } = disk;
  const taken = total ? 1 - free / total : null;
  const memo = [bytes(used), bytes(free), bytes(total)].join();
  if (place.dataset.memo === memo) return;
  place.dataset.memo = memo;
  if (taken === null) fill(place, facts([['The log', bytes(used)], ['Kept', 'in memory']]));
  else {
    fill(place, meter(taken, `${percent(taken)} of ${bytes(total)}`),
      facts([['The log', bytes(used)], ['Free', bytes(free)]]));
  }
}

/** @param {HTMLElement} place @param {any} now */
function showBroker(place, now) {
  const memo = [now.kafka, now.http, now.data_dir, now.cluster_id, now.node_id, now.partitions,
    now.gateways].join();
  if (place.dataset.memo === memo) return;
  place.dataset.memo = memo;
  const address = (/** @type {string | null} */ text) => (text ? h('span', { class: 'with-copy' },
    h('code', {}, text), copyButton('Copy', () => text)) : 'not served');
  fill(place, facts([
    ['Kafka', address(now.kafka)],
    ['HTTP', address(now.http)],
    ['Data', h('code', {}, now.data_dir ?? 'in memory')],
    ['Cluster', h('code', {}, now.cluster_id)],
    ['Node', String(now.node_id)],
    ['Holds', `${some(now.partitions, 'partition')}, ${some(now.gateways, 'gateway')}`],
  ]));
}

/** @param {AbortSignal} signal */
function chartGrid(signal) {
  const one = (/** @type {string} */ title, /** @type {any} */ format, /** @type {any[]} */ series,
    top = 1) => chart({ title, format, series, signal, top });
  const whole = (/** @type {number | null} */ n) => short(n);
  const all = [
    { made: one('Records in per second', whole, [{ label: 'in', tone: 'c1' }], 10),
      columns: ['in_records_s'] },
    { made: one('Bytes per second', bytes, [{ label: 'in', tone: 'c1' },
      { label: 'out', tone: 'c2', dash: true }], 1024), columns: ['in_bytes_s', 'out_bytes_s'] },
    { made: one('Lag of all groups', whole, [{ label: 'lag', tone: 'c1' }], 10),
      columns: ['lag'] },
    { made: one('Connections', whole, [{ label: 'connections', tone: 'c1' }], 10),
      columns: ['connections'] },
  ];
  return {
    element: h('div', { class: 'charts' }, ...all.map(({ made }) => made.element)),
    show: (/** @type {History} */ past) => all.forEach(({ made, columns }) => {
      made.show(past.times, columns.map((name) => past.column(name)));
    }),
  };
}
