//! One group of the classic protocol: who is in it, in which generation, in which phase.
//!
//! ```text
//!            first join                    wait over, or all are here
//!   Empty ---------------> Preparing -------------------------------> Completing
//!     ^                     ^  |  ^                                       |
//!     |   nobody is left    |  |  |  somebody comes, goes or changes      | the leader has sent
//!     +---------------------|--+  +---------------------------------------+ the assignments
//!                           |                                             v
//!                           +------------------------------------------ Stable
//! ```
//! Invariants:
//! - the generation grows by one each time Preparing ends, and at no other time;
//! - a member waits for a join only in Preparing and for a sync only in Completing;
//! - every protocol set has a member in common: all members support some one protocol;
//! - a group without a member is Empty, or Preparing while ids handed out are awaited back.
//!
//! No clock, no I/O: each call brings the time and takes away the answers in a [`Turn`].
//! Source: Kafka protocol guide; KIP-62, 134, 211, 345, 394, 814.

mod joining;
mod rebalancing;
mod syncing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_kafka::ErrorCode;

use super::answer::{Answer, Candidate, DescribedMember, Description, Joined, NotJoined, Synced};
use super::limits::Limits;
use super::member::{Member, MemberId, Waiting};
use super::offsets::Committed;
use super::saved::SavedGroup;
use super::subscription;

pub(super) use joining::Join;
pub(super) use syncing::Sync;

/// One call into a group: when it is, what the bounds are, and where answers to waiting requests
/// go. `P` is the caller's handle on a request.
pub(super) struct Turn<'a, P> {
    pub(super) now: Now,
    pub(super) limits: &'a Limits,
    pub(super) answers: &'a mut Vec<(P, Answer)>,
}

/// The time, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// For deadlines.
    pub(super) at: Instant,
    /// For what outlives the process: wall-clock milliseconds since the epoch.
    pub(super) ms: i64,
}

/// Where a group stands, as clients name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// The leader is assigning.
    CompletingRebalance,
    /// Everybody has, or can have, an assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl State {
    /// All of them, in the order they are declared in.
    pub(crate) const ALL: [State; 5] = [
        State::Empty,
        State::PreparingRebalance,
        State::CompletingRebalance,
        State::Stable,
        State::Dead,
    ];

    /// The name in ListGroups and DescribeGroups.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Empty,
    /// Until everybody is back or the time is up; while `opening`, the time is always used.
    Preparing {
        until: Instant,
        opening: Option<Opening>,
    },
    /// Members that have not synced by `until` are removed.
    Completing {
        until: Instant,
    },
    /// Likewise; None once all have synced.
    Stable {
        until: Option<Instant>,
    },
}

/// The first rebalance of a group waits for company (KIP-134).
#[derive(Debug, Clone, Copy)]
struct Opening {
    /// How much longer than the present wait this may go on.
    left: Duration,
    /// Somebody has come during the present wait.
    company: bool,
}

/// One group. `P` is the caller's handle on a request that waits.
#[derive(Debug)]
pub(super) struct Group<P> {
    phase: Phase,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member<P>>,
    /// Static members by `group.instance.id`.
    instances: BTreeMap<Arc<str>, MemberId>,
    /// Ids handed out (KIP-394) and not yet used, with the end of their session.
    pending: BTreeMap<MemberId, Instant>,
    /// How many members support each protocol: joins are checked without asking all of them.
    supporters: BTreeMap<Arc<str>, usize>,
    /// Members that wait for a join.
    joining: usize,
    /// Members that owe a sync.
    unsynced: usize,
    metadata_bytes: usize,
    empty_since_ms: Option<i64>,
    /// Not later than the first deadline. Heartbeats only ever move deadlines back, so that they
    /// need not look for the new first one: [`Group::expire`] does, when this one has come.
    wake: Option<Instant>,
    unsaved: bool,
}

impl<P: Copy> Group<P> {
    /// A group that nobody has joined.
    pub(super) fn new() -> Self {
        Group::restored(&SavedGroup::default())
    }

    /// A group as stored: its members are gone, its generation is not.
    pub(super) fn restored(saved: &SavedGroup) -> Self {
        Group {
            phase: Phase::Empty,
            generation: saved.generation,
            protocol_type: saved.protocol_type.as_deref().map(Arc::from),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            supporters: BTreeMap::new(),
            joining: 0,
            unsynced: 0,
            metadata_bytes: 0,
            empty_since_ms: saved.empty_since_ms,
            wake: None,
            unsaved: false,
        }
    }

    /// A sign of life. Refused while the group rebalances, so that the member joins again.
    pub(super) fn heartbeat(
        &mut self,
        now: Instant,
        generation: i32,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(), ErrorCode> {
        self.check_member(member_id, instance)?;
        self.check_generation(generation)?;
        self.touch(member_id, now);
        match self.phase {
            Phase::Preparing { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// Whether this sender may commit offsets now. A commit is a sign of life.
    ///
    /// Anybody may while there are no members, for then the group merely stores offsets. Members
    /// may as long as they hold an assignment, which ends when the leader is making the next one.
    pub(super) fn check_commit(
        &mut self,
        now: Instant,
        generation: i32,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(), ErrorCode> {
        let empty = matches!(self.phase, Phase::Empty);
        if generation < 0 && empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_member(member_id, instance)?;
        self.check_generation(generation)?;
        self.touch(member_id, now);
        match self.phase {
            Phase::Completing { .. } => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// Removes one member, by its id or, if that is empty, by its instance id (KIP-345). To be
    /// followed by [`Group::regroup`] once all members that leave together have been removed.
    pub(super) fn leave(
        &mut self,
        turn: &mut Turn<'_, P>,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(), ErrorCode> {
        let id = if member_id.is_empty() {
            let found = instance.and_then(|i| self.instances.get(i));
            found.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?.clone()
        } else if instance.is_none() && self.pending.remove(member_id).is_some() {
            return Ok(());
        } else {
            self.check_member(member_id, instance)?;
            MemberId::from(member_id)
        };
        self.remove(turn, &id, ErrorCode::UNKNOWN_MEMBER_ID);
        Ok(())
    }

    /// Draws the conclusion after members or pending ids have gone: those who are left rebalance,
    /// or the rebalance under way may be complete now. `departed` says that a member has gone.
    pub(super) fn regroup(&mut self, turn: &mut Turn<'_, P>, departed: bool) {
        if departed && matches!(self.phase, Phase::Completing { .. } | Phase::Stable { .. }) {
            self.prepare(turn);
        }
        self.settle(turn);
    }

    /// Does what is due by now: sessions, pending ids, and the end of waits.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_, P>) {
        let now = turn.now.at;
        self.pending.retain(|_, deadline| *deadline > now);
        let dead = self.members_where(|m| m.expires().is_some_and(|at| at <= now));
        for id in &dead {
            self.remove(turn, id, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.regroup(turn, !dead.is_empty());
        self.end_wait(turn);
        self.wake = self.first_deadline();
    }

    /// Takes back the waiting requests that nobody wants answered any more. Their senders stay
    /// members for a session from now: time to connect again and repeat themselves.
    pub(super) fn abandon(&mut self, now: Instant, gone: impl Fn(&P) -> bool) {
        let left = self.members_where(|m| match &m.waiting {
            Waiting::Join(waiter) | Waiting::Sync(waiter) => gone(waiter),
            Waiting::Nothing => false,
        });
        for id in left {
            let waited = self.take_waiting(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.fresh = false;
            }
            self.owe_sync(&id, matches!(waited, Waiting::Sync(_)));
            self.touch(&id, now);
        }
    }

    /// The facts to store, if they have changed since they were last asked for.
    pub(super) fn take_unsaved(&mut self) -> Option<SavedGroup> {
        std::mem::take(&mut self.unsaved).then(|| SavedGroup {
            protocol_type: self.protocol_type.as_deref().map(str::to_owned),
            generation: self.generation,
            empty_since_ms: self.empty_since_ms,
        })
    }

    /// Notes that a group found empty after a restart is so from now on, unless it knows better.
    pub(super) fn date_emptiness(&mut self, now_ms: i64) {
        let empty = matches!(self.phase, Phase::Empty);
        if empty && self.protocol_type.is_some() && self.empty_since_ms.is_none() {
            self.empty_since_ms = Some(now_ms);
            self.unsaved = true;
        }
    }

    /// Not later than when [`Group::expire`] has something to do.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// The moment from which the retention of an offset counts (KIP-211): since nobody has been
    /// there to use it, but never before its commit. None while somebody is.
    pub(super) fn unused_since(&self) -> impl Fn(&str, &Committed) -> Option<i64> {
        let stable = matches!(self.phase, Phase::Stable { .. });
        let topics = if stable { self.subscribed_topics() } else { None };
        move |topic, committed| match (self.phase, &self.protocol_type) {
            (_, None) => Some(committed.commit_ms),
            (Phase::Empty, Some(_)) => self.empty_since_ms.map(|ms| ms.max(committed.commit_ms)),
            _ => topics.as_ref().filter(|t| !t.contains(topic)).map(|_| committed.commit_ms),
        }
    }

    /// All topics that members subscribe to; None if that cannot be told, because they are no
    /// consumers or do not write what consumers write.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<&str>> {
        if !self.is_consumer() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for protocol in self.members.values().flat_map(|m| &m.protocols) {
            topics.append(&mut subscription::topics(&protocol.metadata)?);
        }
        Some(topics)
    }

    /// Whether its members are consumers, whose metadata tells their topics.
    pub(super) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::CONSUMER)
    }

    /// Neither members nor anybody about to become one.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Empty) && self.pending.is_empty()
    }

    /// Idle, and for so long that the generation need not be remembered: nobody from then is
    /// still about.
    pub(super) fn is_idle_since(&self, then_ms: i64) -> bool {
        self.is_idle() && self.empty_since_ms.is_none_or(|ms| ms <= then_ms)
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Empty => State::Empty,
            Phase::Preparing { .. } => State::PreparingRebalance,
            Phase::Completing { .. } => State::CompletingRebalance,
            Phase::Stable { .. } => State::Stable,
        }
    }

    #[cfg(test)]
    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Whether a request may be waiting in this group.
    pub(super) fn has_waiters(&self) -> bool {
        matches!(self.phase, Phase::Preparing { .. } | Phase::Completing { .. })
    }

    /// Empty if nobody has ever joined.
    pub(super) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The protocol of the present generation; empty if there is none.
    pub(super) fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or_default()
    }

    pub(super) fn describe(&self) -> Description {
        let stable = matches!(self.phase, Phase::Stable { .. });
        let protocol = if stable { shared(&self.protocol) } else { Arc::from("") };
        let nothing: Arc<[u8]> = Arc::from([]);
        let describe = |(id, m): (&MemberId, &Member<P>)| DescribedMember {
            member_id: id.clone(),
            instance: m.instance.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            metadata: if stable { m.metadata(&protocol) } else { nothing.clone() },
            assignment: if stable { m.assignment.clone() } else { nothing.clone() },
        };
        Description {
            state: self.state(),
            protocol_type: shared(&self.protocol_type),
            members: self.members.iter().map(describe).collect(),
            protocol,
        }
    }

    /// Takes a member out, answering the request it has open.
    fn remove(&mut self, turn: &mut Turn<'_, P>, id: &MemberId, error: ErrorCode) {
        self.answer(turn, id, error);
        self.owe_sync(id, false);
        let Some(member) = self.members.remove(id) else { return };
        self.forget_protocols(&member);
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = None;
        }
    }

    /// Answers the request a member has open, if any, with an error.
    fn answer(&mut self, turn: &mut Turn<'_, P>, id: &MemberId, error: ErrorCode) {
        let member_id = id.clone();
        match self.take_waiting(id) {
            Waiting::Join(waiter) => turn.refuse_join(waiter, error, member_id),
            Waiting::Sync(waiter) => turn.answers.push((waiter, Answer::Sync(Err(error)))),
            Waiting::Nothing => return,
        }
        self.touch(id, turn.now.at);
    }

    fn take_waiting(&mut self, id: &MemberId) -> Waiting<P> {
        let Some(member) = self.members.get_mut(id) else { return Waiting::Nothing };
        let waited = std::mem::replace(&mut member.waiting, Waiting::Nothing);
        if matches!(waited, Waiting::Join(_)) {
            self.joining -= 1;
        }
        waited
    }

    fn owe_sync(&mut self, id: &str, owes: bool) {
        let Some(member) = self.members.get_mut(id) else { return };
        match (std::mem::replace(&mut member.owes_sync, owes), owes) {
            (false, true) => self.unsynced += 1,
            (true, false) => self.unsynced -= 1,
            _ => {}
        }
    }

    fn count_protocols(&mut self, member: &Member<P>) {
        self.metadata_bytes += member.metadata_bytes();
        for protocol in &member.protocols {
            *self.supporters.entry(protocol.name.clone()).or_default() += 1;
        }
    }

    fn forget_protocols(&mut self, member: &Member<P>) {
        self.metadata_bytes -= member.metadata_bytes();
        for protocol in &member.protocols {
            if let Some(count) = self.supporters.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supporters.remove(&protocol.name);
                }
            }
        }
    }

    /// A member has been heard from: its session begins anew.
    fn touch(&mut self, id: &str, now: Instant) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.deadline = now + member.session_timeout;
        let deadline = member.deadline;
        self.wake_by(deadline);
    }

    fn wake_by(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Whether this is a member: by its id, and by its instance id if it has one.
    fn check_member(&self, member_id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            let current = self.instances.get(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if **current != *member_id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        let known = self.members.contains_key(member_id);
        if known { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn check_generation(&self, generation: i32) -> Result<(), ErrorCode> {
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    fn members_where(&self, wanted: impl Fn(&Member<P>) -> bool) -> Vec<MemberId> {
        self.members.iter().filter(|(_, m)| wanted(m)).map(|(id, _)| id.clone()).collect()
    }

    /// How long a rebalance may take: the slowest member decides.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|m| m.rebalance_timeout).max().unwrap_or_default()
    }

    /// Checks the invariants that the fields keep between them.
    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        let members = || self.members.values();
        let waits = |wanted: fn(&Waiting<P>) -> bool| members().any(|m| wanted(&m.waiting));
        let preparing = matches!(self.phase, Phase::Preparing { .. });
        let completing = matches!(self.phase, Phase::Completing { .. });
        assert!(preparing || !waits(|w| matches!(w, Waiting::Join(_))), "join waits, none coming");
        assert!(completing || !waits(|w| matches!(w, Waiting::Sync(_))), "sync waits, none coming");
        assert_eq!(matches!(self.phase, Phase::Empty), self.members.is_empty());
        assert_eq!(self.joining, members().filter(|m| m.is_joining()).count());
        assert_eq!(self.unsynced, members().filter(|m| m.owes_sync).count());
        assert_eq!(self.metadata_bytes, members().map(Member::metadata_bytes).sum::<usize>());
        for (name, count) in &self.supporters {
            assert_eq!(*count, members().filter(|m| m.supports(name)).count(), "{name}");
        }
        let common = self.supporters.values().any(|count| *count == self.members.len());
        assert!(common || self.members.is_empty(), "no protocol in common");
        for (instance, id) in &self.instances {
            assert_eq!(self.members[id].instance.as_ref(), Some(instance));
        }
        assert_eq!(self.instances.len(), members().filter(|m| m.instance.is_some()).count());
        let led = self.leader.as_ref().is_some_and(|id| self.members.contains_key(id));
        assert!(led || preparing || self.members.is_empty(), "nobody leads");
        let first = self.first_deadline();
        assert!(first.is_none() || self.wake <= first && self.wake.is_some(), "would oversleep");
    }

    fn first_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Empty => None,
            Phase::Preparing { until, .. } | Phase::Completing { until } => Some(until),
            Phase::Stable { until } => until,
        };
        let pending = self.pending.values().copied();
        let sessions = self.members.values().filter_map(Member::expires);
        pending.chain(sessions).chain(phase).min()
    }
}

fn shared(name: &Option<Arc<str>>) -> Arc<str> {
    name.clone().unwrap_or_else(|| Arc::from(""))
}

impl<P> Turn<'_, P> {
    fn refuse_join(&mut self, waiter: P, error: ErrorCode, member_id: MemberId) {
        self.answers.push((waiter, Answer::Join(Err(NotJoined { error, member_id }))));
    }
}
