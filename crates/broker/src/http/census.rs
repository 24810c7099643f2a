//! What partitions hold, summed by topic: looked at when somebody asks, and only where he looks.
//!
//! A topic's rate is what came between two looks. Nothing here is done for topics that nobody
//! looks at, so that ten thousand of them cost nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_log::store::FaultKind;
use uuid::Uuid;

use crate::Broker;
use crate::cluster::Topic;

/// Youngest look that is not used again.
const AGE_MIN: Duration = Duration::from_secs(1);

/// A look at all topics is used again for so many times the time it took.
const REST: u32 = 20;

/// Between two looks that are farther apart there is no rate of now.
const RATE_AGE_MAX: Duration = Duration::from_secs(60);

/// Places with a problem that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// What was seen of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    /// Offsets given out so far.
    end: i64,
    pub(super) records: i64,
    pub(super) bytes: u64,
    pub(super) unflushed_bytes: u64,
    /// None: nobody has looked before, or not for long.
    pub(super) rate: Option<f64>,
    pub(super) damaged: usize,
    pub(super) failed: usize,
}

/// What was seen of all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) damaged: Places,
    pub(super) failed: Places,
    /// Those not closed that take no records at present.
    pub(super) refusing: Places,
}

/// Partitions, the first few by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) count: usize,
    pub(super) named: Vec<(Arc<str>, usize)>,
    /// What the storage has to do with it, at the first of them.
    pub(super) kind: Option<FaultKind>,
}

impl Places {
    fn add(&mut self, topic: &Arc<str>, partition: usize, kind: Option<FaultKind>) {
        self.count += 1;
        self.kind = self.kind.or(kind);
        if self.named.len() < NAMED_MAX {
            self.named.push((topic.clone(), partition));
        }
    }
}

#[derive(Default)]
pub(super) struct Census {
    state: Mutex<State>,
    /// One looks at all at a time; the others wait for what it sees.
    counting: Mutex<()>,
}

#[derive(Default)]
struct State {
    looks: HashMap<Uuid, Look>,
    totals: Option<Totals>,
    /// When all were looked at, and how long that took.
    all: Option<(Instant, Duration)>,
}

impl Census {
    /// Looks at some topics; in their order.
    pub(super) fn look(&self, broker: &Broker, topics: &[Arc<Topic>]) -> Vec<Look> {
        topics.iter().map(|topic| self.look_at(broker, topic, None)).collect()
    }

    /// Looks at all topics, unless somebody has of late; what is then known of them by id.
    pub(super) fn look_at_all(&self, broker: &Broker) -> HashMap<Uuid, Look> {
        self.freshen(broker);
        self.lock().looks.clone()
    }

    /// Looks at all topics, unless somebody has of late.
    pub(super) fn freshen(&self, broker: &Broker) {
        self.count(broker, AGE_MIN * 2, REST);
    }

    /// The sums of the last look at all topics.
    pub(super) fn totals(&self) -> Option<Totals> {
        self.lock().totals.clone()
    }

    /// Whether it is long enough ago that all topics were looked at.
    pub(super) fn is_stale(&self) -> bool {
        self.is_due(AGE_MIN * 2, REST)
    }

    /// Whether a look at all topics would be worth its while.
    pub(super) fn is_due(&self, age: Duration, rest: u32) -> bool {
        self.lock().all.is_none_or(|(at, took)| at.elapsed() >= age.max(took * rest))
    }

    /// Looks at all topics, if that is due.
    pub(super) fn count(&self, broker: &Broker, age: Duration, rest: u32) {
        let _counting = lock(&self.counting);
        if self.is_due(age, rest) {
            self.count_now(broker);
        }
    }

    /// The same, unless somebody does so already.
    pub(super) fn keep(&self, broker: &Broker, age: Duration, rest: u32) {
        let Ok(_counting) = self.counting.try_lock() else { return };
        if self.is_due(age, rest) {
            self.count_now(broker);
        }
    }

    fn count_now(&self, broker: &Broker) {
        let began = Instant::now();
        let cluster = broker.cluster.load_full();
        let mut totals = Totals::default();
        for topic in cluster.by_name.values() {
            totals.bytes += self.look_at(broker, topic, Some(&mut totals)).bytes;
        }
        let mut state = self.lock();
        state.looks.retain(|id, _| cluster.by_id.contains_key(id));
        state.totals = Some(totals);
        state.all = Some((Instant::now(), began.elapsed()));
    }

    fn look_at(&self, broker: &Broker, topic: &Topic, totals: Option<&mut Totals>) -> Look {
        let before = self.lock().looks.get(&topic.id).copied();
        let is_young = before.is_some_and(|before| before.at.elapsed() < AGE_MIN);
        if let Some(before) = before.filter(|_| is_young && totals.is_none()) {
            return before;
        }
        let mut look = see(broker, topic, totals);
        match before {
            // Too short a time for a rate: the one before still holds.
            Some(before) if is_young => {
                look = Look { at: before.at, end: before.end, rate: before.rate, ..look };
            }
            Some(before) if before.at.elapsed() < RATE_AGE_MAX => {
                let seconds = look.at.duration_since(before.at).as_secs_f64();
                look.rate = Some((look.end - before.end).max(0) as f64 / seconds);
            }
            _ => {}
        }
        self.lock().looks.insert(topic.id, look);
        look
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn see(broker: &Broker, topic: &Topic, mut totals: Option<&mut Totals>) -> Look {
    let mut look = Look {
        at: Instant::now(),
        end: 0,
        records: 0,
        bytes: 0,
        unflushed_bytes: 0,
        rate: None,
        damaged: 0,
        failed: 0,
    };
    for (index, partition) in topic.partitions.iter().enumerate() {
        let Ok(stats) = broker.store.stats(*partition) else { continue };
        look.end += stats.offsets.log_end;
        look.records += stats.offsets.high_watermark - stats.offsets.log_start;
        look.bytes += stats.bytes;
        look.unflushed_bytes += stats.unflushed_bytes;
        let (damaged, failed) = (!stats.damaged.is_empty(), stats.failed.is_some());
        look.damaged += usize::from(damaged);
        look.failed += usize::from(failed);
        if let Some(totals) = &mut totals {
            if damaged {
                totals.damaged.add(&topic.name, index, Some(FaultKind::Damaged));
            }
            if let Some(fault) = &stats.failed {
                totals.failed.add(&topic.name, index, Some(fault.kind()));
            } else if stats.failing.is_some() {
                totals.refusing.add(&topic.name, index, stats.failing);
            }
        }
    }
    look
}
