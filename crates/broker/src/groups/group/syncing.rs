//! How the leader's assignments reach the members.

use std::collections::BTreeMap;
use std::sync::Arc;

use chaski_kafka::ErrorCode;

use super::{Answer, Group, Phase, Synced, Turn, shared};
use crate::groups::limits::Limits;
use crate::groups::member::{MemberId, Waiting};

/// A request for an assignment; the leader's brings everybody's.
#[derive(Debug, Clone)]
pub(crate) struct Sync<'a> {
    pub(crate) generation: i32,
    pub(crate) member_id: &'a str,
    /// `group.instance.id` of a static member.
    pub(crate) instance: Option<&'a str>,
    /// What the member believes the group's protocol type to be (SyncGroup 5).
    pub(crate) protocol_type: Option<&'a str>,
    /// Likewise for the protocol.
    pub(crate) protocol: Option<&'a str>,
    /// By member id.
    pub(crate) assignments: Vec<(&'a str, &'a [u8])>,
}

impl<P: Copy> Group<P> {
    /// Asks for an assignment. `waiter` is answered in this call or, once the leader has sent the
    /// assignments, in a later one.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_, P>, sync: &Sync<'_>, waiter: P) {
        if let Err(error) = self.check_sync(turn.limits, sync) {
            return turn.answers.push((waiter, Answer::Sync(Err(error))));
        }
        let id = MemberId::from(sync.member_id);
        // A request the member still had open has been given up by its client.
        self.answer(turn, &id, ErrorCode::REBALANCE_IN_PROGRESS);
        self.touch(&id, turn.now.at);
        self.owe_sync(&id, false);
        let Some(member) = self.members.get_mut(&id) else { return };
        member.waiting = Waiting::Sync(waiter);
        if matches!(self.phase, Phase::Stable { .. }) {
            self.give_assignment(turn, &id);
            self.note_synced();
        } else if self.leader.as_ref() == Some(&id) {
            self.assign(turn, &sync.assignments);
        }
    }

    /// Takes the leader's word, and passes it to those who have asked already. Members the leader
    /// left out get nothing to do, and ids it made up are ignored.
    fn assign(&mut self, turn: &mut Turn<'_, P>, assignments: &[(&str, &[u8])]) {
        let assignments: BTreeMap<&str, &[u8]> = assignments.iter().copied().collect();
        for (id, member) in &mut self.members {
            member.assignment = assignments.get(&**id).copied().unwrap_or_default().into();
        }
        if let Phase::Completing { until } = self.phase {
            self.phase = Phase::Stable { until: Some(until) };
        }
        for id in self.members_where(|m| matches!(m.waiting, Waiting::Sync(_))) {
            self.give_assignment(turn, &id);
        }
        self.note_synced();
    }

    /// Answers a waiting sync.
    fn give_assignment(&mut self, turn: &mut Turn<'_, P>, id: &MemberId) {
        let Waiting::Sync(waiter) = self.take_waiting(id) else { return };
        let assignment = self.members.get(id).map(|m| m.assignment.clone());
        let synced = Synced {
            protocol_type: shared(&self.protocol_type),
            protocol: shared(&self.protocol),
            assignment: assignment.unwrap_or_else(|| Arc::from([])),
        };
        turn.answers.push((waiter, Answer::Sync(Ok(synced))));
        self.touch(id, turn.now.at);
    }

    /// Stops the wait for syncs once there is none to come.
    fn note_synced(&mut self) {
        if self.unsynced == 0 && matches!(self.phase, Phase::Stable { .. }) {
            self.phase = Phase::Stable { until: None };
        }
    }

    fn check_sync(&self, limits: &Limits, sync: &Sync<'_>) -> Result<(), ErrorCode> {
        self.check_member(sync.member_id, sync.instance)?;
        self.check_generation(sync.generation)?;
        let differs = |said: Option<&str>, is: &str| said.is_some_and(|said| said != is);
        if differs(sync.protocol_type, self.protocol_type())
            || differs(sync.protocol, self.protocol())
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if matches!(self.phase, Phase::Preparing { .. }) {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let bytes: usize = sync.assignments.iter().map(|(_, bytes)| bytes.len()).sum();
        if bytes > limits.assignment_bytes_max {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        Ok(())
    }
}
