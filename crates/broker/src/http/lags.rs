//! How far behind consumer groups are: looked at now and then, and shared by all who ask.
//!
//! The control thread has to be asked, and what it tells grows with the groups. So a look is used
//! again for a second, and for longer where it takes long: however many watch, looking takes a
//! twentieth of the time at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::ApiError;
use super::extract::Live;
use crate::client::{ClientError, GroupDescription, GroupOffset};

/// Youngest look that is not used again.
const AGE_MIN: Duration = Duration::from_secs(1);

/// A look is used again for so many times the time it took.
const REST: u32 = 20;

/// The worst places that are named.
const WORST_MAX: usize = 20;

#[derive(Default)]
pub(super) struct Lags {
    last: Mutex<Option<Arc<Seen>>>,
    /// One looks at a time; the others wait for what it sees.
    looking: tokio::sync::Mutex<()>,
}

/// All groups as they were at a time.
pub(super) struct Seen {
    at: Instant,
    took: Duration,
    /// By id.
    pub(super) groups: Vec<GroupDescription>,
    /// Over all groups; None: of none is it known.
    pub(super) total: Option<i64>,
    /// The largest of any group, by topic.
    by_topic: HashMap<String, i64>,
    /// The places farthest behind, the worst first.
    pub(super) worst: Vec<Behind>,
}

/// A group that is behind in a partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Behind {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) lag: i64,
}

impl Lags {
    /// What was seen last, if anything.
    pub(super) fn last(&self) -> Option<Arc<Seen>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has been seen of late, or is now.
    pub(super) async fn fresh(&self, live: &Live) -> Result<Arc<Seen>, ApiError> {
        let young = |seen: &Arc<Seen>| seen.is_young(AGE_MIN, REST);
        if let Some(seen) = self.last().filter(young) {
            return Ok(seen);
        }
        let _looking = self.looking.lock().await;
        if let Some(seen) = self.last().filter(young) {
            return Ok(seen);
        }
        self.look(live).await
    }

    /// Looks if that is due, and nobody does already.
    pub(super) async fn keep(&self, live: &Live, age: Duration, rest: u32) -> Result<(), ApiError> {
        let Ok(_looking) = self.looking.try_lock() else { return Ok(()) };
        if self.last().is_none_or(|seen| !seen.is_young(age, rest)) {
            self.look(live).await?;
        }
        Ok(())
    }

    async fn look(&self, live: &Live) -> Result<Arc<Seen>, ApiError> {
        let look = |client: &crate::Client| {
            let began = Instant::now();
            let groups = client.describe_all_groups()?;
            Ok::<_, ClientError>(Arc::new(Seen::of(groups, began)))
        };
        let seen = live.run(look).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }

    /// A change has been made: the next who asks is to see it.
    pub(super) fn forget(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Seen {
    fn is_young(&self, age: Duration, rest: u32) -> bool {
        self.at.elapsed() < age.max(self.took * rest)
    }

    fn of(groups: Vec<GroupDescription>, began: Instant) -> Seen {
        let mut by_topic: HashMap<String, i64> = HashMap::new();
        let mut worst = Vec::new();
        let mut total = None;
        for group in &groups {
            for (topic, lag) in topic_lags(&group.offsets) {
                match by_topic.get_mut(topic) {
                    Some(largest) => *largest = lag.max(*largest),
                    None => drop(by_topic.insert(topic.to_owned(), lag)),
                }
                total = Some(lag.saturating_add(total.unwrap_or(0)));
            }
            worst.extend(group.offsets.iter().filter_map(|place| behind(&group.group, place)));
            if worst.len() > 100 * WORST_MAX {
                keep_worst(&mut worst);
            }
        }
        keep_worst(&mut worst);
        Seen { at: Instant::now(), took: began.elapsed(), groups, total, by_topic, worst }
    }

    /// The lag of the group farthest behind in a topic; None: of none is it known.
    pub(super) fn of_topic(&self, topic: &str) -> Option<i64> {
        self.by_topic.get(topic).copied()
    }

    /// The groups that have to do with a topic, each with its lag.
    pub(super) fn groups_of<'a>(
        &'a self,
        topic: &'a str,
    ) -> impl Iterator<Item = (&'a str, Option<i64>)> {
        self.groups.iter().filter_map(move |group| {
            let mut places = group.offsets.iter().filter(|place| place.topic == topic).peekable();
            places.peek()?;
            let known = places.filter_map(|place| place.lag);
            Some((group.group.as_str(), known.reduce(i64::saturating_add)))
        })
    }
}

/// The sum of what is known of each topic. Offsets are in order of topics.
fn topic_lags(offsets: &[GroupOffset]) -> impl Iterator<Item = (&str, i64)> {
    offsets.chunk_by(|a, b| a.topic == b.topic).filter_map(|places| {
        let known = places.iter().filter_map(|place| place.lag);
        Some((places[0].topic.as_str(), known.reduce(i64::saturating_add)?))
    })
}

fn behind(group: &str, place: &GroupOffset) -> Option<Behind> {
    let lag = place.lag.filter(|lag| *lag > 0)?;
    let (group, topic) = (group.to_owned(), place.topic.clone());
    Some(Behind { group, topic, partition: place.partition, lag })
}

fn keep_worst(all: &mut Vec<Behind>) {
    all.sort_by(|a, b| b.lag.cmp(&a.lag).then_with(|| a.group.cmp(&b.group)));
    all.truncate(WORST_MAX);
}
