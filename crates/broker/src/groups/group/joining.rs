//! How members come, come back, and take the place of their former selves.

use std::collections::BTreeSet;
use std::time::Duration;

use chaski_kafka::ErrorCode;

use super::{Answer, Group, Joined, Opening, Phase, Turn};
use crate::groups::limits::Limits;
use crate::groups::member::{self, Member, MemberId, Protocol, Waiting};
use crate::groups::subscription;

/// A request to join.
#[derive(Debug, Clone)]
pub(crate) struct Join<'a> {
    /// Empty for a member that has none yet.
    pub(crate) member_id: &'a str,
    /// `group.instance.id` of a static member.
    pub(crate) instance: Option<&'a str>,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: &'a str,
    /// Most preferred first.
    pub(crate) protocols: Vec<Protocol>,
    /// The id it gets if it needs one.
    pub(crate) new_id: MemberId,
    /// It must come back with its id before it is let in (KIP-394), so that a client that gives up
    /// half way leaves no member behind.
    pub(crate) id_first: bool,
    /// It understands that a leader need not assign (KIP-814).
    pub(crate) can_skip_assignment: bool,
}

impl<P: Copy> Group<P> {
    /// Lets a member in, or back in. `waiter` is answered in this call or, once the rebalance is
    /// over, in a later one.
    pub(crate) fn join(&mut self, turn: &mut Turn<'_, P>, mut join: Join<'_>, waiter: P) {
        let mut names = BTreeSet::new();
        join.protocols.retain(|p| names.insert(p.name.clone()));
        let former = join.instance.and_then(|instance| self.instances.get(instance)).cloned();
        if !self.has_room(turn.limits, join.member_id) {
            self.turn_away(turn, &join, waiter);
        } else if let Err(error) = self.check_join(turn.limits, &join, former.as_ref()) {
            turn.refuse_join(waiter, error, join.member_id.into());
        } else if !join.member_id.is_empty() {
            self.join_known(turn, join, waiter);
        } else if let Some(former) = former {
            self.replace_static(turn, &former, join, waiter);
        } else if join.id_first && join.instance.is_none() {
            self.hand_out_id(turn, join, waiter);
        } else {
            let id = join.new_id.clone();
            self.admit(turn, id, join, waiter);
        }
        self.settle(turn);
    }

    /// A join by somebody who says who he is.
    fn join_known(&mut self, turn: &mut Turn<'_, P>, join: Join<'_>, waiter: P) {
        let id = MemberId::from(join.member_id);
        if join.instance.is_none() && self.pending.remove(&id).is_some() {
            return self.admit(turn, id, join, waiter);
        }
        if let Err(error) = self.check_member(&id, join.instance) {
            return turn.refuse_join(waiter, error, id);
        }
        let unchanged = self.members.get(&id).is_some_and(|m| m.protocols == join.protocols);
        let leads = self.leader.as_ref() == Some(&id);
        match self.phase {
            // The first answer was lost on the way, or a member of a group at rest asks again.
            Phase::Completing { .. } if unchanged => self.repeat_place(turn, &id, waiter),
            Phase::Stable { .. } if unchanged && !leads => self.repeat_place(turn, &id, waiter),
            // A leader that joins again has seen a change of the topics and wants to assign anew.
            _ => {
                self.update(&id, join);
                self.await_join(turn, &id, waiter);
            }
        }
    }

    fn repeat_place(&mut self, turn: &mut Turn<'_, P>, id: &MemberId, waiter: P) {
        turn.answers.push((waiter, Answer::Join(Ok(self.place(id)))));
        self.touch(id, turn.now.at);
    }

    /// Refuses the join and keeps an id for it.
    fn hand_out_id(&mut self, turn: &mut Turn<'_, P>, join: Join<'_>, waiter: P) {
        let until = turn.now.at + join.session_timeout;
        self.pending.insert(join.new_id.clone(), until);
        self.wake_by(until);
        turn.refuse_join(waiter, ErrorCode::MEMBER_ID_REQUIRED, join.new_id);
    }

    /// Adds a new member, which rebalances the group.
    fn admit(&mut self, turn: &mut Turn<'_, P>, id: MemberId, join: Join<'_>, waiter: P) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.into());
        }
        if let Phase::Preparing { opening: Some(Opening { company, .. }), .. } = &mut self.phase {
            *company = true;
        }
        let member = Member {
            instance: join.instance.map(Into::into),
            client_id: join.client_id.to_owned(),
            client_host: join.client_host.to_owned(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: [].into(),
            waiting: Waiting::Nothing,
            fresh: true,
            owes_sync: false,
            deadline: turn.now.at,
        };
        self.count_protocols(&member);
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id.clone(), member);
        self.await_join(turn, &id, waiter);
    }

    /// Puts a static member that has restarted in the place of its former self, under a new id,
    /// and fences the old one (KIP-345). If the group is at rest and the member asks for what it
    /// asked for before, it finds its assignment waiting and nobody else notices.
    ///
    /// Kafka only asks whether the chosen protocol stays. A member that comes back with another
    /// subscription would then never see its new topics, hence topics are compared as well.
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_, P>,
        former: &MemberId,
        join: Join<'_>,
        waiter: P,
    ) {
        self.answer(turn, former, ErrorCode::FENCED_INSTANCE_ID);
        let Some(member) = self.members.remove(former) else { return };
        let same = self.asks_the_same(&member, &join);
        let id = join.new_id.clone();
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.insert(id.clone(), member);
        let led = self.leader.as_ref() == Some(former);
        if led {
            self.leader = Some(id.clone());
        }
        let can_skip = join.can_skip_assignment;
        self.update(&id, join);
        let at_rest = matches!(self.phase, Phase::Stable { .. });
        if at_rest && same && self.choose_protocol() == self.protocol {
            let place = self.resumed_place(&id, led.then_some(former), can_skip);
            turn.answers.push((waiter, Answer::Join(Ok(place))));
            self.touch(&id, turn.now.at);
        } else {
            self.await_join(turn, &id, waiter);
        }
    }

    /// The place of a static member that resumes. A former leader must not assign, since a group
    /// at rest would ignore it: it is told so, or if too old to understand (before JoinGroup 9),
    /// is told that its former self still leads.
    fn resumed_place(&self, id: &MemberId, led_as: Option<&MemberId>, can_skip: bool) -> Joined {
        let place = self.place(id);
        match led_as {
            Some(_) if can_skip => Joined { skip_assignment: true, ..place },
            Some(former) => Joined { leader: former.clone(), members: Vec::new(), ..place },
            None => place,
        }
    }

    /// Whether a join asks for the topics that the member asked for, in the protocol in use.
    fn asks_the_same(&self, member: &Member<P>, join: &Join<'_>) -> bool {
        let protocol = self.protocol();
        let Some(new) = join.protocols.iter().find(|p| *p.name == *protocol) else { return false };
        let old = member.metadata(protocol);
        if self.is_consumer() {
            subscription::same_topics(&old, &new.metadata)
        } else {
            old == new.metadata
        }
    }

    /// Takes over what a member says of itself this time.
    fn update(&mut self, id: &MemberId, join: Join<'_>) {
        let Some(mut member) = self.members.remove(id) else { return };
        self.forget_protocols(&member);
        member.client_id = join.client_id.to_owned();
        member.client_host = join.client_host.to_owned();
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.protocols = join.protocols;
        self.count_protocols(&member);
        self.members.insert(id.clone(), member);
    }

    /// Makes a member wait for the next generation, which begins to be prepared now unless it is
    /// already. A request the member still had open has been given up by its client.
    fn await_join(&mut self, turn: &mut Turn<'_, P>, id: &MemberId, waiter: P) {
        self.answer(turn, id, ErrorCode::REBALANCE_IN_PROGRESS);
        let Some(member) = self.members.get_mut(id) else { return };
        member.waiting = Waiting::Join(waiter);
        self.joining += 1;
        let patience =
            if member.fresh { turn.limits.new_member_timeout } else { member.session_timeout };
        member.deadline = turn.now.at + patience;
        let deadline = member.deadline;
        self.wake_by(deadline);
        if !matches!(self.phase, Phase::Preparing { .. }) {
            self.prepare(turn);
        }
    }

    /// Refuses a member for which there is no room, and forgets it if it was one (KIP-389).
    fn turn_away(&mut self, turn: &mut Turn<'_, P>, join: &Join<'_>, waiter: P) {
        self.pending.remove(join.member_id);
        if self.check_member(join.member_id, join.instance).is_ok() {
            self.remove(turn, &join.member_id.into(), ErrorCode::UNKNOWN_MEMBER_ID);
        }
        turn.refuse_join(waiter, ErrorCode::GROUP_MAX_SIZE_REACHED, "".into());
    }

    /// Whether one more fits. While a rebalance is prepared only those who have come count: the
    /// others may have gone for good.
    fn has_room(&self, limits: &Limits, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        if member_id.is_empty() && self.pending.len() >= limits.members_max {
            return false;
        }
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing { .. } => {
                member.is_some_and(Member::is_joining) || self.joining < limits.members_max
            }
            _ => member.is_some() || self.members.len() < limits.members_max,
        }
    }

    /// Checks what can be checked of a join before it is known whose it is.
    fn check_join(
        &self,
        limits: &Limits,
        join: &Join<'_>,
        former: Option<&MemberId>,
    ) -> Result<(), ErrorCode> {
        let names = join.protocols.iter().map(|p| &*p.name);
        let mut names = names.chain(join.instance).chain([join.protocol_type]);
        let bytes = member::metadata_bytes(&join.protocols);
        if names.any(|name| name.len() > limits.name_bytes_max)
            || join.protocols.len() > limits.protocols_max
            || bytes > limits.metadata_bytes_max
        {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let same = former.and_then(|id| self.members.get(id));
        let same = same.or_else(|| self.members.get(join.member_id));
        if !self.agrees(join, same) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let held = self.metadata_bytes - same.map_or(0, Member::metadata_bytes);
        if held + bytes > limits.group_metadata_bytes_max {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        Ok(())
    }

    /// Whether all members would still have a protocol in common. `same` is the member that this
    /// join is about to change: its former protocols do not count.
    fn agrees(&self, join: &Join<'_>, same: Option<&Member<P>>) -> bool {
        let others = self.members.len() - usize::from(same.is_some());
        let is_common = |protocol: &Protocol| {
            let supporters = self.supporters.get(&protocol.name).copied().unwrap_or(0);
            let counted = same.is_some_and(|m| m.supports(&protocol.name));
            supporters - usize::from(counted) == others
        };
        let type_fits =
            self.members.is_empty() || self.protocol_type.as_deref() == Some(join.protocol_type);
        type_fits && !join.protocol_type.is_empty() && join.protocols.iter().any(is_common)
    }
}
