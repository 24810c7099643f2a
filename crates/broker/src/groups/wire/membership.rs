//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use chaski_kafka::{ErrorCode, heartbeat, join_group, leave_group, sync_group};

use super::{Call, code, encode, millis};
use crate::groups::answer::{Answer, Candidate, Joined, NotJoined, Synced};
use crate::groups::group::{Join, Sync};
use crate::groups::member::{MemberId, Protocol};
use crate::groups::{Coordinator, Effects};

impl<T: Copy> Coordinator<T> {
    pub(super) fn join_group(
        &mut self,
        call: &Call<'_, T>,
        request: &join_group::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        if let Err(error) = self.open_group(request) {
            let refused = NotJoined { error, member_id: request.member_id.into() };
            return call.reply(&refused_join(&refused), fx);
        }
        let join = self.read_join(call, request);
        let waiter = call.waiter();
        self.with_group(request.group_id, call.now, fx, |group, turn| {
            group.join(turn, join, waiter);
        });
    }

    pub(super) fn sync_group(
        &mut self,
        call: &Call<'_, T>,
        request: &sync_group::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let assignments = request.assignments.iter().map(|a| (a.member_id, a.assignment));
        let sync = Sync {
            generation: request.generation_id,
            member_id: request.member_id,
            instance: request.group_instance_id,
            protocol_type: request.protocol_type,
            protocol: request.protocol_name,
            assignments: assignments.collect(),
        };
        let waiter = call.waiter();
        let known = self.check_group_id(request.group_id, false).and_then(|()| {
            self.with_group(request.group_id, call.now, fx, |group, turn| {
                group.sync(turn, &sync, waiter);
            })
            .ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
        });
        if let Err(error) = known {
            call.reply(&refused_sync(error), fx);
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        call: &Call<'_, T>,
        request: &heartbeat::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let alive = self.check_group_id(request.group_id, false).and_then(|()| {
            self.with_group(request.group_id, call.now, fx, |group, turn| {
                let (member_id, instance) = (request.member_id, request.group_instance_id);
                group.heartbeat(turn.now.at, request.generation_id, member_id, instance)
            })
            .unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID))
        });
        let response = heartbeat::Response { error_code: code(alive), ..Default::default() };
        call.reply(&response, fx);
    }

    pub(super) fn leave_group(
        &mut self,
        call: &Call<'_, T>,
        request: &leave_group::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        if let Err(error_code) = self.check_group_id(request.group_id, false) {
            return call.reply(&leave_group::Response { error_code, ..Default::default() }, fx);
        }
        if call.version < 3 {
            let outcome = self.leave(call, request.group_id, &[(request.member_id, None)], fx);
            let error_code = outcome.first().copied().unwrap_or_default();
            return call.reply(&leave_group::Response { error_code, ..Default::default() }, fx);
        }
        let leaving = request.members.iter().map(|m| (m.member_id, m.group_instance_id));
        let leaving: Vec<_> = leaving.collect();
        let outcomes = self.leave(call, request.group_id, &leaving, fx);
        let members = leaving.into_iter().zip(outcomes).map(|(who, error_code)| {
            let (member_id, group_instance_id) = who;
            leave_group::Member { member_id, group_instance_id, error_code }
        });
        let members = members.collect();
        call.reply(&leave_group::Response { members, ..Default::default() }, fx);
    }

    /// Lets members leave together, so that those who stay rebalance once. One outcome each.
    fn leave(
        &mut self,
        call: &Call<'_, T>,
        group_id: &str,
        leaving: &[(&str, Option<&str>)],
        fx: &mut Effects<T>,
    ) -> Vec<ErrorCode> {
        self.with_group(group_id, call.now, fx, |group, turn| {
            let before = group.member_count();
            let outcomes = leaving.iter().map(|(id, instance)| group.leave(turn, id, *instance));
            let outcomes = outcomes.map(code).collect();
            let departed = group.member_count() < before;
            group.regroup(turn, departed);
            outcomes
        })
        .unwrap_or_else(|| vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()])
    }

    /// Checks a join as far as the group does not matter, and finds or makes the group. A member
    /// that has an id must have got it from a group that exists.
    fn open_group(&mut self, request: &join_group::Request<'_>) -> Result<(), ErrorCode> {
        self.check_group_id(request.group_id, false)?;
        let session = millis(request.session_timeout_ms);
        if session < self.limits.session_timeout_min || session > self.limits.session_timeout_max {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        if request.member_id.is_empty() {
            return self.create_group(request.group_id);
        }
        let exists = self.groups.contains_key(request.group_id);
        if exists { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn read_join<'a>(&mut self, call: &Call<'a, T>, request: &join_group::Request<'a>) -> Join<'a> {
        let session_timeout = millis(request.session_timeout_ms);
        let protocol = |p: &join_group::Protocol<'_>| Protocol {
            name: p.name.into(),
            metadata: p.metadata.into(),
        };
        let max = self.limits.client_bytes_max;
        let client_id = cut(call.caller.client_id, max);
        let prefix = request.group_instance_id.unwrap_or(client_id);
        Join {
            member_id: request.member_id,
            instance: request.group_instance_id,
            client_id,
            client_host: cut(call.caller.client_host, max),
            session_timeout,
            // Version 0 has no rebalance timeout; the session served as one.
            rebalance_timeout: match request.rebalance_timeout_ms {
                0.. => millis(request.rebalance_timeout_ms),
                _ => session_timeout,
            },
            protocol_type: request.protocol_type,
            protocols: request.protocols.iter().map(protocol).collect(),
            new_id: MemberId::from(format!("{prefix}-{}", (self.new_uuid)())),
            id_first: call.version >= 4,
            can_skip_assignment: call.version >= 9,
        }
    }
}

/// The response body for an answer that a group gave, then or later.
pub(in crate::groups) fn encode_answer(answer: &Answer, version: i16) -> Vec<u8> {
    match answer {
        Answer::Join(Ok(joined)) => encode(&accepted_join(joined), version),
        Answer::Join(Err(refused)) => encode(&refused_join(refused), version),
        Answer::Sync(Ok(synced)) => encode(&accepted_sync(synced), version),
        Answer::Sync(Err(error)) => encode(&refused_sync(*error), version),
    }
}

fn accepted_join(joined: &Joined) -> join_group::Response<'_> {
    join_group::Response {
        generation_id: joined.generation,
        protocol_type: Some(&joined.protocol_type),
        protocol_name: Some(&joined.protocol),
        leader: &joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: &joined.member_id,
        members: joined.members.iter().map(candidate).collect(),
        ..Default::default()
    }
}

fn candidate(candidate: &Candidate) -> join_group::Member<'_> {
    join_group::Member {
        member_id: &candidate.member_id,
        group_instance_id: candidate.instance.as_deref(),
        metadata: &candidate.metadata,
    }
}

fn refused_join(refused: &NotJoined) -> join_group::Response<'_> {
    join_group::Response {
        error_code: refused.error,
        generation_id: -1,
        member_id: &refused.member_id,
        ..Default::default()
    }
}

fn accepted_sync(synced: &Synced) -> sync_group::Response<'_> {
    sync_group::Response {
        protocol_type: Some(&synced.protocol_type),
        protocol_name: Some(&synced.protocol),
        assignment: &synced.assignment,
        ..Default::default()
    }
}

fn refused_sync(error: ErrorCode) -> sync_group::Response<'static> {
    sync_group::Response { error_code: error, ..Default::default() }
}

/// The text, or as many whole characters of it as fit in `bytes_max`.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
