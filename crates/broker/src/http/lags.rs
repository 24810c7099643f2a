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
    /// Over all groups; None: there are some, and of none is it known.
    pub(super) total: Option<i64>,
    by_topic: HashMap<String, TopicLag>,
    /// The places farthest behind, the worst first.
    pub(super) worst: Vec<Behind>,
}

/// How far behind the groups of a topic are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TopicLag {
    /// Groups that have to do with it.
    pub(super) groups: usize,
    /// Of the one farthest behind; None: of none is it known.
    pub(super) largest: Option<i64>,
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
        let mut by_topic: HashMap<String, TopicLag> = HashMap::new();
        let mut worst = Vec::new();
        let mut total = None;
        for group in &groups {
            for (topic, lag) in topic_lags(&group.offsets) {
                match by_topic.get_mut(topic) {
                    Some(seen) => seen.add(lag),
                    None => drop(by_topic.insert(topic.to_owned(), TopicLag::of(lag))),
                }
                total = lag.map(|lag| lag.saturating_add(total.unwrap_or(0))).or(total);
            }
            worst.extend(group.offsets.iter().filter_map(|place| behind(&group.group, place)));
            if worst.len() > 100 * WORST_MAX {
                keep_worst(&mut worst);
            }
        }
        keep_worst(&mut worst);
        let total = total.or(by_topic.is_empty().then_some(0));
        Seen { at: Instant::now(), took: began.elapsed(), groups, total, by_topic, worst }
    }

    /// How far behind the groups of a topic are.
    pub(super) fn of_topic(&self, topic: &str) -> TopicLag {
        self.by_topic.get(topic).copied().unwrap_or_default()
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

impl TopicLag {
    /// Of one group.
    fn of(lag: Option<i64>) -> TopicLag {
        TopicLag { groups: 1, largest: lag }
    }

    fn add(&mut self, lag: Option<i64>) {
        self.groups += 1;
        self.largest = self.largest.max(lag);
    }
}

/// The sum of what is known of each topic. Offsets are in order of topics.
fn topic_lags(offsets: &[GroupOffset]) -> impl Iterator<Item = (&str, Option<i64>)> {
    offsets.chunk_by(|a, b| a.topic == b.topic).map(|places| {
        let known = places.iter().filter_map(|place| place.lag);
        (places[0].topic.as_str(), known.reduce(i64::saturating_add))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A group that is this far behind in a partition of each topic.
    fn group(name: &str, lags: &[(&str, Option<i64>)]) -> GroupDescription {
        let place = |(topic, lag): &(&str, Option<i64>)| GroupOffset {
            topic: (*topic).to_owned(),
            partition: 0,
            committed: None,
            high_watermark: None,
            lag: *lag,
            member: None,
        };
        GroupDescription {
            group: name.to_owned(),
            state: "Stable".to_owned(),
            protocol_type: "consumer".to_owned(),
            protocol: "range".to_owned(),
            members: Vec::new(),
            offsets: lags.iter().map(place).collect(),
        }
    }

    fn seen(groups: Vec<GroupDescription>) -> Seen {
        Seen::of(groups, Instant::now())
    }

    #[test]
    fn unknown_is_told_from_nobody_and_from_zero() {
        let seen = seen(vec![
            group("a", &[("both", Some(5)), ("both", None), ("new", None), ("zero", Some(0))]),
            group("b", &[("both", Some(7)), ("new", None)]),
        ]);
        let lag = |groups, largest| TopicLag { groups, largest };
        assert_eq!(seen.of_topic("both"), lag(2, Some(7)));
        assert_eq!(seen.of_topic("new"), lag(2, None));
        assert_eq!(seen.of_topic("zero"), lag(1, Some(0)));
        assert_eq!(seen.of_topic("unread"), lag(0, None));
        assert_eq!(seen.total, Some(12));
    }

    #[test]
    fn nobody_is_behind_where_there_is_nobody() {
        assert_eq!(seen(Vec::new()).total, Some(0));
        assert_eq!(seen(vec![group("a", &[])]).total, Some(0));
        assert_eq!(seen(vec![group("a", &[("new", None)])]).total, None);
    }
}
