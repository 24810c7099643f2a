//! The coordinator of consumer groups, classic protocol: who is in which group, who reads what,
//! and how far each has read.
//!
//! ```text
//!   request (bytes, time, ticket)                           tick (time)
//!        |                                                      |
//!        v                                                      v
//!     wire/  decode -> Coordinator -> Group (who)  <- timers, one a group
//!                                  -> Offsets (how far)
//!        ^                |
//!        | encode         v
//!     Effects { replies: by ticket, changes: for the MetaStore }
//! ```
//! A state machine: no I/O, no thread, no clock, no randomness but member ids. One thread owns it.
//!
//! - A reply may only be sent once the changes in the same [`Effects`], and those of all calls
//!   before, are committed: a member must not see a generation, nor a client a commit, that a
//!   restart takes back.
//! - Every ticket given to [`Coordinator::request`] that returned Ok is answered exactly once, at
//!   once or by a later call, unless it is abandoned.
//! - Whatever clients send, memory is bounded by [`Limits`].

mod answer;
mod group;
mod limits;
mod member;
mod offsets;
mod saved;
mod subscription;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_kafka::ErrorCode;
use chaski_log::store::Change;
use uuid::Uuid;

use answer::Answer;
use group::{Group, Now, Turn};
use offsets::{Committed, Offsets};
use saved::Pair;

pub(crate) use group::State;
pub(crate) use limits::Limits;
pub(crate) use saved::KEY_PREFIX;

/// All groups of this broker. `T` is the caller's ticket for a request, given back with its reply.
pub(crate) struct Coordinator<T> {
    limits: Limits,
    groups: BTreeMap<Arc<str>, Entry<T>>,
    /// When each group next has something to do, or earlier. May name groups that are gone.
    timers: BTreeSet<(Instant, Arc<str>)>,
    /// Committed offsets over all groups.
    offsets_held: usize,
    /// Next search for offsets past their retention; None until the first tick.
    retention_due: Option<Instant>,
    new_uuid: Box<dyn FnMut() -> Uuid + Send>,
    /// What groups answer during one call, before it is encoded.
    answers: Vec<(Waiter<T>, Answer)>,
}

/// What a call wants done. The caller commits `changes`, then sends `replies`, and clears both.
#[derive(Debug)]
pub(crate) struct Effects<T> {
    /// Encoded response bodies, without the response header.
    pub(crate) replies: Vec<(T, Vec<u8>)>,
    /// For the MetaStore, in order.
    pub(crate) changes: Vec<Change>,
}

/// Which partitions there are.
pub(crate) trait Topics {
    /// Does the topic exist, and have this partition?
    fn has(&self, topic: &str, partition: i32) -> bool;
}

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// From the request header.
    pub(crate) client_id: &'a str,
    /// Its address, as DescribeGroups shows it (`/127.0.0.1`).
    pub(crate) client_host: &'a str,
}

/// How many groups there are, and members in them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Groups by state, as in [`State::ALL`].
    pub(crate) groups: [usize; State::ALL.len()],
    pub(crate) members: usize,
    /// Partitions with a committed offset, over all groups.
    pub(crate) offsets: usize,
}

/// A group in a few words.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSummary {
    pub(crate) group_id: String,
    pub(crate) state: State,
    /// Empty if the group has only ever held offsets.
    pub(crate) protocol_type: String,
    /// How partitions are assigned; empty if no generation is in being.
    pub(crate) protocol: String,
    pub(crate) generation: i32,
    pub(crate) members: usize,
    /// Partitions with a committed offset.
    pub(crate) offsets: usize,
}

/// A request that may wait, and the version its answer must be written in.
#[derive(Debug, Clone, Copy)]
struct Waiter<T> {
    ticket: T,
    version: i16,
}

struct Entry<T> {
    group: Group<Waiter<T>>,
    offsets: Offsets,
    /// The one entry in `timers` that counts.
    timer: Option<Instant>,
    /// The group itself, apart from its offsets, has a key in the store.
    stored: bool,
}

impl<T> Default for Effects<T> {
    fn default() -> Self {
        Effects { replies: Vec::new(), changes: Vec::new() }
    }
}

impl<T: Copy> Coordinator<T> {
    /// The coordinator as it was stored, less the members. `pairs` are all pairs whose keys begin
    /// with [`KEY_PREFIX`], in any order; one that cannot be read is skipped and logged. To be
    /// followed by a first [`Coordinator::tick`], which starts the clock of offset retention.
    pub(crate) fn restore(limits: Limits, pairs: Vec<(String, Vec<u8>)>) -> Self {
        let mut coordinator = Coordinator {
            limits,
            groups: BTreeMap::new(),
            timers: BTreeSet::new(),
            offsets_held: 0,
            retention_due: None,
            new_uuid: Box::new(Uuid::new_v4),
            answers: Vec::new(),
        };
        for (key, value) in pairs {
            match saved::parse(&key, &value) {
                Some(pair) => coordinator.restore_pair(pair),
                None => tracing::warn!(key, "stored group state cannot be read, skipped"),
            }
        }
        coordinator
    }

    /// Does what is due: ends sessions and waits, forgets offsets past their retention.
    pub(crate) fn tick(&mut self, now: Instant, now_ms: i64, fx: &mut Effects<T>) {
        let now = Now { at: now, ms: now_ms };
        // Each group once: one that is due again at once has its turn at the next tick.
        for id in self.due(now.at) {
            self.with_group(&id, now, fx, |group, turn| group.expire(turn));
        }
        if self.retention_due.is_none_or(|due| due <= now.at) {
            self.retention_due = Some(now.at + self.limits.retention_interval);
            self.retain(now_ms, fx);
        }
    }

    /// When [`Coordinator::tick`] should be called next; earlier and later do no harm. None before
    /// the first tick if nothing else is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at);
        first.into_iter().chain(self.retention_due).min()
    }

    /// What deletes the offsets of a topic, to be committed with whatever deletes the topic.
    pub(crate) fn offset_deletes(&self, topic: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for (id, entry) in &self.groups {
            let partitions = entry.offsets.of_topic(topic);
            changes.extend(partitions.map(|at| saved::delete_offset(id, topic, at)));
        }
        changes
    }

    /// Forgets the offsets of a topic that is no more, lest one created anew under its name
    /// inherit them.
    pub(crate) fn topic_deleted(&mut self, topic: &str) {
        for entry in self.groups.values_mut() {
            self.offsets_held -= entry.offsets.remove_topic(topic);
        }
        self.groups.retain(|_, entry| !entry.is_vacant());
    }

    /// Drops the waiting requests whose tickets are `gone`, because their connection is: nobody
    /// would read the answer. Their senders stay members for another session, as long as it takes
    /// them to connect again.
    pub(crate) fn abandon(&mut self, now: Instant, gone: impl Fn(&T) -> bool) {
        for (id, entry) in &mut self.groups {
            if entry.group.has_waiters() {
                entry.group.abandon(now, |waiter| gone(&waiter.ticket));
                entry.set_timer(id, &mut self.timers);
            }
        }
    }

    /// Counts them.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { offsets: self.offsets_held, ..Counts::default() };
        for entry in self.groups.values() {
            counts.groups[entry.group.state() as usize] += 1;
            counts.members += entry.group.member_count();
        }
        counts
    }

    /// All groups, by id.
    #[cfg(test)]
    pub(crate) fn summary(&self) -> Vec<GroupSummary> {
        let summarize = |(id, entry): (&Arc<str>, &Entry<T>)| GroupSummary {
            group_id: id.to_string(),
            state: entry.group.state(),
            protocol_type: entry.group.protocol_type().to_string(),
            protocol: entry.group.protocol().to_string(),
            generation: entry.group.generation(),
            members: entry.group.member_count(),
            offsets: entry.offsets.len(),
        };
        self.groups.iter().map(summarize).collect()
    }

    fn restore_pair(&mut self, pair: Pair) {
        match pair {
            Pair::Group { id, saved } => {
                let entry = self.groups.entry(id.into()).or_insert_with(Entry::new);
                entry.group = Group::restored(&saved);
                entry.stored = true;
            }
            Pair::Offset { id, topic, partition, committed } => {
                let entry = self.groups.entry(id.into()).or_insert_with(Entry::new);
                let new = entry.offsets.insert(&topic, partition, committed);
                self.offsets_held += usize::from(new);
            }
        }
    }

    /// Makes sure that a group exists.
    fn create_group(&mut self, id: &str) -> Result<(), ErrorCode> {
        if !self.groups.contains_key(id) {
            if self.groups.len() >= self.limits.groups_max {
                return Err(ErrorCode::POLICY_VIOLATION);
            }
            self.groups.insert(id.into(), Entry::new());
        }
        Ok(())
    }

    /// Lets a group act and sees to what follows: its answers are encoded, what has changed is
    /// stored, its timer is set; a group with nothing worth keeping is forgotten. None if there is
    /// no such group.
    fn with_group<R>(
        &mut self,
        id: &str,
        now: Now,
        fx: &mut Effects<T>,
        act: impl FnOnce(&mut Group<Waiter<T>>, &mut Turn<'_, Waiter<T>>) -> R,
    ) -> Option<R> {
        let entry = self.groups.get_mut(id)?;
        let mut turn = Turn { now, limits: &self.limits, answers: &mut self.answers };
        let result = act(&mut entry.group, &mut turn);
        for (waiter, answer) in self.answers.drain(..) {
            fx.replies.push((waiter.ticket, wire::encode_answer(&answer, waiter.version)));
        }
        entry.store(id, fx);
        entry.set_timer(id, &mut self.timers);
        self.forget_if_vacant(id);
        Some(result)
    }

    fn forget_if_vacant(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Entry::is_vacant) {
            self.groups.remove(id);
        }
    }

    /// Takes the groups whose time has come off the timers.
    fn due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((at, id)) = self.timers.pop_first() else { break };
            if let Some(entry) = self.groups.get_mut(&id)
                && entry.timer == Some(at)
            {
                entry.timer = None;
                due.push(id);
            }
        }
        due
    }

    /// Forgets offsets that nobody has used for their retention time, and groups that have been
    /// left with neither members nor offsets for a while (KIP-211).
    fn retain(&mut self, now_ms: i64, fx: &mut Effects<T>) {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let retention_ms = millis(self.limits.offsets_retention);
        let idle_since_ms = now_ms.saturating_sub(millis(self.limits.retention_interval));
        self.groups.retain(|id, entry| {
            entry.group.date_emptiness(now_ms);
            let gone = entry.offsets.expire(now_ms, retention_ms, entry.group.unused_since());
            self.offsets_held -= gone.len();
            for (topic, partition) in gone {
                fx.changes.push(saved::delete_offset(id, &topic, partition));
            }
            entry.store(id, fx);
            let ended = entry.group.is_idle_since(idle_since_ms) && entry.offsets.is_empty();
            if ended && entry.stored {
                fx.changes.push(saved::delete_group(id));
            }
            !ended
        });
    }

    /// Stores an offset, if there is room for one more or the partition has one already.
    fn put_offset(
        &mut self,
        id: &str,
        topic: &str,
        partition: i32,
        committed: Committed,
        fx: &mut Effects<T>,
    ) -> Result<(), ErrorCode> {
        let full = self.offsets_held >= self.limits.offsets_max;
        let entry = self.groups.get_mut(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        if full && !entry.offsets.contains(topic, partition) {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        fx.changes.push(saved::put_offset(id, topic, partition, &committed));
        let new = entry.offsets.insert(topic, partition, committed);
        self.offsets_held += usize::from(new);
        Ok(())
    }

    /// Removes a group and all that is stored of it.
    fn delete_group(&mut self, id: &str, fx: &mut Effects<T>) -> Result<(), ErrorCode> {
        let entry = self.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        if entry.group.state() != State::Empty {
            return Err(ErrorCode::NON_EMPTY_GROUP);
        }
        for (topic, partitions) in entry.offsets.topics() {
            let keys = partitions.keys().map(|p| saved::delete_offset(id, topic, *p));
            fx.changes.extend(keys);
        }
        if entry.stored {
            fx.changes.push(saved::delete_group(id));
        }
        self.offsets_held -= entry.offsets.len();
        self.groups.remove(id);
        Ok(())
    }
}

impl<T: Copy> Entry<T> {
    fn new() -> Self {
        Entry { group: Group::new(), offsets: Offsets::default(), timer: None, stored: false }
    }

    /// Stores the group's facts if they have changed.
    fn store(&mut self, id: &str, fx: &mut Effects<T>) {
        if let Some(saved) = self.group.take_unsaved() {
            self.stored = true;
            fx.changes.push(saved::put_group(id, &saved));
        }
    }

    fn set_timer(&mut self, id: &str, timers: &mut BTreeSet<(Instant, Arc<str>)>) {
        let wake = self.group.wake();
        if self.timer == wake {
            return;
        }
        let id: Arc<str> = id.into();
        if let Some(at) = self.timer {
            timers.remove(&(at, id.clone()));
        }
        if let Some(at) = wake {
            timers.insert((at, id));
        }
        self.timer = wake;
    }

    /// Nothing is known of the group that its next request would not tell.
    fn is_vacant(&self) -> bool {
        self.group.is_idle() && self.offsets.is_empty() && !self.stored
    }
}
