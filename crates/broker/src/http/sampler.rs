//! Once a second: what was counted becomes rates, and what has changed is told to who listens.
//!
//! What a second costs does not grow with topics or groups. Looking at all of these happens every
//! few seconds at most, less often the longer it takes, and topics only while somebody watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::View;
use super::api::overview;
use super::extract::Live;
use super::history::{History, Point, Told};
use crate::cluster::Cluster;
use crate::groups::Counts;
use crate::metrics::{Latency, Metrics};
use crate::shard::now_ms;

/// From one sample to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// How often all groups, or all topics, are looked at; or after so many times what it took.
const LOOK_AGE: Duration = Duration::from_secs(5);
const LOOK_REST: u32 = 100;

/// Produce latency is judged over so many samples.
const JUDGED: u64 = 60;

/// What happened in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) in_records_s: f64,
    pub(super) in_bytes_s: f64,
    pub(super) out_bytes_s: f64,
    pub(super) requests_s: f64,
}

/// What a shard did in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ShardRates {
    /// From 0 to 1.
    pub(super) busy: f64,
    pub(super) turns_s: f64,
    pub(super) in_bytes_s: f64,
    pub(super) out_bytes_s: f64,
}

/// The last sample.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    at: Instant,
    pub(super) metrics: Arc<Metrics>,
    pub(super) rates: Rates,
    pub(super) shards: Vec<ShardRates>,
    /// Produce latency over the last minute or two.
    pub(super) produce: Latency,
}

pub(super) struct Samples {
    state: Mutex<State>,
    overview: watch::Sender<Arc<str>>,
    topology: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    sample: Option<Sample>,
    history: History,
    count: u64,
    /// Produce latency up to a minute ago, and two.
    earlier: [Latency; 2],
}

impl Samples {
    pub(super) fn new() -> Samples {
        Samples {
            state: Mutex::default(),
            overview: watch::Sender::new("".into()),
            topology: watch::Sender::new(0),
        }
    }

    /// The last sample; None: there is none yet.
    pub(super) fn last(&self) -> Option<Sample> {
        self.lock().sample.clone()
    }

    pub(super) fn history(&self, since_ms: i64) -> Told {
        self.lock().history.since(since_ms)
    }

    /// The overview as JSON, once a second while somebody listens.
    pub(super) fn overviews(&self) -> watch::Receiver<Arc<str>> {
        self.overview.subscribe()
    }

    /// Counts up when topics, groups or gateways come or go.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.topology.subscribe()
    }

    /// Whether anybody listens.
    fn is_watched(&self) -> bool {
        self.overview.receiver_count() > 0
    }

    /// Takes a sample now if the last is not of now.
    pub(super) fn refresh(&self, live: &Live) {
        let is_old = |sample: &Sample| sample.at.elapsed() > PERIOD * 2;
        if self.last().as_ref().is_none_or(is_old) {
            self.take(live);
        }
    }

    fn take(&self, live: &Live) {
        let metrics = Arc::new(live.client.metrics());
        let now = Instant::now();
        let mut state = self.lock();
        let (rates, shards) = match &state.sample {
            Some(before) => {
                let seconds = now.duration_since(before.at).as_secs_f64().max(0.001);
                (
                    rates(&before.metrics, &metrics, seconds),
                    busy(&before.metrics, &metrics, seconds),
                )
            }
            None => (Rates::default(), vec![ShardRates::default(); metrics.shards.len()]),
        };
        if state.count.is_multiple_of(JUDGED) {
            state.earlier.swap(0, 1);
            state.earlier[1] = metrics.latency.produce.clone();
        }
        state.count += 1;
        let produce = metrics.latency.produce.since(&state.earlier[0]);
        state.sample = Some(Sample { at: now, metrics, rates, shards, produce });
    }

    /// Notes a point of the history, if one is due.
    fn note(&self, lag: Option<i64>) {
        let mut state = self.lock();
        let now = now_ms();
        let Some(sample) = state.sample.as_ref().filter(|_| state.history.is_due(now)) else {
            return;
        };
        let rates = sample.rates;
        let point = Point {
            in_records_s: Some(rates.in_records_s),
            in_bytes_s: Some(rates.in_bytes_s),
            out_bytes_s: Some(rates.out_bytes_s),
            connections: Some(sample.metrics.shards.iter().map(|shard| shard.connections).sum()),
            lag,
            busy: sample.shards.iter().map(|shard| shard.busy).collect(),
        };
        state.history.push(now, point);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rates(then: &Metrics, now: &Metrics, seconds: f64) -> Rates {
    let rate = |read: fn(&Metrics) -> u64| read(now).saturating_sub(read(then)) as f64 / seconds;
    Rates {
        in_records_s: rate(|m| {
            m.clients.produced_records + m.inside.produced_records + m.local.produced_records
        }),
        in_bytes_s: rate(|m| {
            m.clients.produced_bytes + m.inside.produced_bytes + m.local.produced_bytes
        }),
        out_bytes_s: rate(|m| m.clients.fetched_bytes + m.inside.fetched_bytes),
        requests_s: rate(|m| m.requests.iter().map(|(_, count)| count).sum()),
    }
}

fn busy(then: &Metrics, now: &Metrics, seconds: f64) -> Vec<ShardRates> {
    let pairs = then.shards.iter().zip(&now.shards);
    let rate = |then: u64, now: u64| now.saturating_sub(then) as f64 / seconds;
    pairs
        .map(|(then, now)| ShardRates {
            busy: (now.busy.saturating_sub(then.busy).as_secs_f64() / seconds).min(1.0),
            turns_s: rate(then.turns, now.turns),
            in_bytes_s: rate(then.received_bytes, now.received_bytes),
            out_bytes_s: rate(then.sent_bytes, now.sent_bytes),
        })
        .collect()
}

/// What is compared to see whether something came or went.
#[derive(Default)]
struct Known {
    cluster: Arc<Cluster>,
    groups: Arc<Counts>,
    gateways: Vec<String>,
}

impl Known {
    /// Whether it is not as it was.
    fn follow(&mut self, live: &Live) -> bool {
        let (cluster, groups) = (live.broker.cluster.load_full(), live.broker.groups.load_full());
        let gateways: Vec<String> =
            live.client.gateways().glance().into_iter().map(|one| one.name).collect();
        let same = Arc::ptr_eq(&cluster, &self.cluster)
            && *groups == *self.groups
            && gateways == self.gateways;
        (self.cluster, self.groups, self.gateways) = (cluster, groups, gateways);
        !same
    }
}

/// Samples until it is dropped.
pub(super) async fn run(view: Arc<View>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = Known::default();
    let mut first = true;
    loop {
        ticks.tick().await;
        let Some(live) = Live::of(&view) else { continue };
        if live.client.has_stopped() {
            return;
        }
        view.samples.take(&live);
        if known.follow(&live) && !std::mem::take(&mut first) {
            view.samples.topology.send_modify(|count| *count += 1);
        }
        look(&live).await;
        view.samples.note(view.lags.last().and_then(|seen| seen.total));
        if view.samples.is_watched()
            && let Ok(text) = serde_json::to_string(&overview::of(&live))
        {
            view.samples.overview.send_replace(text.into());
        }
    }
}

/// Looks at all groups, and at all topics while somebody watches, if that is due. It is done when
/// it is done: samples do not wait for it.
async fn look(live: &Live) {
    let lags = live.clone();
    tokio::spawn(async move {
        if let Err(error) = lags.view.lags.keep(&lags, LOOK_AGE, LOOK_REST).await {
            tracing::debug!(%error, "cannot look at the groups");
        }
    });
    let view = &live.view;
    if view.samples.is_watched() && view.census.is_due(LOOK_AGE, LOOK_REST) {
        let (view, broker) = (view.clone(), live.broker.clone());
        tokio::spawn(async move {
            let count = {
                let view = view.clone();
                move || {
                    view.census.keep(&broker, LOOK_AGE, LOOK_REST);
                    Ok(())
                }
            };
            let _ = view.workers.run(count).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ShardMetrics;

    #[test]
    fn rates_are_of_the_time_between() {
        let mut then = Metrics::default();
        then.shards.push(ShardMetrics { busy: Duration::from_secs(1), ..Default::default() });
        let mut now = then.clone();
        now.clients.produced_records = 30;
        now.inside.produced_records = 10;
        now.inside.fetched_bytes = 100;
        now.shards[0].busy = Duration::from_secs(2);
        now.shards[0].turns = 8;
        let told = rates(&then, &now, 2.0);
        assert_eq!((told.in_records_s, told.out_bytes_s, told.requests_s), (20.0, 50.0, 0.0));
        let shards = busy(&then, &now, 2.0);
        assert_eq!((shards[0].busy, shards[0].turns_s), (0.5, 4.0));
    }
}
