//! How one generation follows another: the phases of a rebalance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chaski_kafka::ErrorCode;

use super::{Answer, Candidate, Group, Joined, Opening, Phase, Turn, shared};
use crate::groups::member::{Member, MemberId, Waiting};

impl<P: Copy> Group<P> {
    /// Begins a rebalance: whoever waited for an assignment is sent to join again.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_, P>) {
        for id in self.members_where(|m| matches!(m.waiting, Waiting::Sync(_))) {
            self.answer(turn, &id, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let longest = self.rebalance_timeout();
        let delay = turn.limits.initial_rebalance_delay.min(longest);
        let opens = matches!(self.phase, Phase::Empty) && !delay.is_zero();
        let opening = opens.then(|| Opening { left: longest - delay, company: false });
        let until = turn.now.at + if opens { delay } else { longest };
        self.phase = Phase::Preparing { until, opening };
        self.wake_by(until);
    }

    /// Ends Preparing early if nobody is missing, or nobody is left.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_, P>) {
        let Phase::Preparing { opening, .. } = self.phase else { return };
        let all_here = self.joining == self.members.len() && self.pending.is_empty();
        if self.members.is_empty() || (all_here && opening.is_none()) {
            self.complete(turn);
        }
    }

    /// Ends the present phase if its time is up.
    pub(super) fn end_wait(&mut self, turn: &mut Turn<'_, P>) {
        let now = turn.now.at;
        match self.phase {
            Phase::Preparing { until, opening } if until <= now => match opening {
                Some(Opening { left, company: true }) if !left.is_zero() => {
                    let delay = turn.limits.initial_rebalance_delay.min(left);
                    let opening = Some(Opening { left: left - delay, company: false });
                    self.phase = Phase::Preparing { until: now + delay, opening };
                }
                _ => self.complete(turn),
            },
            Phase::Completing { until } | Phase::Stable { until: Some(until) } if until <= now => {
                let late = self.members_where(|m| m.owes_sync);
                for id in &late {
                    self.remove(turn, id, ErrorCode::UNKNOWN_MEMBER_ID);
                }
                self.regroup(turn, true);
            }
            _ => {}
        }
    }

    /// Ends Preparing: the members who are here are the next generation, and each is told so.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_, P>) {
        for id in self.members_where(|m| !m.is_joining() && m.instance.is_none()) {
            self.remove(turn, &id, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if self.members.is_empty() {
            return self.become_empty(turn.now.ms);
        }
        if !self.elect() {
            // Static members only, all of them away: until one is back or its session ends there
            // is nobody to lead.
            let until = turn.now.at + self.rebalance_timeout().max(Duration::from_secs(1));
            self.phase = Phase::Preparing { until, opening: None };
            return self.wake_by(until);
        }
        self.next_generation();
        self.empty_since_ms = None;
        self.protocol = self.choose_protocol();
        let until = turn.now.at + self.rebalance_timeout();
        self.phase = Phase::Completing { until };
        self.wake_by(until);
        for member in self.members.values_mut() {
            // Static members who are away owe nothing: their session alone bounds their absence.
            member.owes_sync = false;
            member.assignment = Arc::from([]);
        }
        self.unsynced = 0;
        for id in self.members_where(Member::is_joining) {
            self.welcome(turn, &id);
        }
    }

    /// Answers a waiting join with the member's place in the present generation.
    pub(super) fn welcome(&mut self, turn: &mut Turn<'_, P>, id: &MemberId) {
        let Waiting::Join(waiter) = self.take_waiting(id) else { return };
        turn.answers.push((waiter, Answer::Join(Ok(self.place(id)))));
        if let Some(member) = self.members.get_mut(id) {
            member.fresh = false;
        }
        self.owe_sync(id, true);
        self.touch(id, turn.now.at);
    }

    /// A member's place in the present generation.
    pub(super) fn place(&self, id: &MemberId) -> Joined {
        let leader = self.leader.clone().unwrap_or_else(|| Arc::from(""));
        let leads = *id == leader;
        Joined {
            generation: self.generation,
            protocol_type: shared(&self.protocol_type),
            protocol: shared(&self.protocol),
            leader,
            skip_assignment: false,
            member_id: id.clone(),
            members: if leads { self.candidates() } else { Vec::new() },
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let protocol = self.protocol();
        let candidate = |(id, member): (&MemberId, &Member<P>)| Candidate {
            member_id: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.iter().map(candidate).collect()
    }

    fn become_empty(&mut self, now_ms: i64) {
        self.next_generation();
        self.phase = Phase::Empty;
        self.protocol = None;
        self.leader = None;
        self.empty_since_ms = Some(now_ms);
    }

    fn next_generation(&mut self) {
        // Negative generations mean "none" on the wire, so that the end of the numbers leads back
        // to the first one.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.unsaved = true;
    }

    /// Makes sure that a member who is here leads; false if nobody is here.
    fn elect(&mut self) -> bool {
        let is_here = |id: &MemberId| self.members.get(id).is_some_and(Member::is_joining);
        if !self.leader.as_ref().is_some_and(is_here) {
            let mut here = self.members.iter().filter(|(_, m)| m.is_joining());
            self.leader = here.next().map(|(id, _)| id.clone());
        }
        self.leader.is_some()
    }

    /// The protocol most members prefer among those that all support; of equals, the first by
    /// name.
    pub(super) fn choose_protocol(&self) -> Option<Arc<str>> {
        let all = self.members.len();
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|p| &p.name);
            if let Some(name) = names.find(|name| self.supporters.get(*name) == Some(&all)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| Arc::clone(name))
    }
}
