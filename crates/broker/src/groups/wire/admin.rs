//! ListGroups, DescribeGroups, DeleteGroups.

use std::collections::BTreeSet;
use std::sync::Arc;

use chaski_kafka::{ErrorCode, delete_groups, describe_groups, list_groups};

use super::{Call, code};
use crate::groups::answer::{DescribedMember, Description};
use crate::groups::group::State;
use crate::groups::{Coordinator, Effects, Entry};

/// What ListGroups calls groups of this protocol (KIP-848).
const TYPE: &str = "classic";

impl<T: Copy> Coordinator<T> {
    pub(super) fn list_groups(
        &mut self,
        call: &Call<'_, T>,
        request: &list_groups::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let wanted = |(_, entry): &(&Arc<str>, &Entry<T>)| {
            allows(&request.states_filter, entry.group.state().name())
                && allows(&request.types_filter, TYPE)
        };
        let groups = self.groups.iter().filter(wanted).map(|(id, entry)| list_groups::Group {
            group_id: id,
            protocol_type: entry.group.protocol_type(),
            group_state: entry.group.state().name(),
            group_type: TYPE,
        });
        let groups = groups.collect();
        call.reply(&list_groups::Response { groups, ..Default::default() }, fx);
    }

    pub(super) fn describe_groups(
        &mut self,
        call: &Call<'_, T>,
        request: &describe_groups::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        // Each once: a description may be far longer than its question.
        let asked: BTreeSet<&str> = request.groups.iter().copied().collect();
        let described: Vec<(&str, Option<Description>)> =
            asked.into_iter().map(|id| (id, self.describe(id))).collect();
        let groups = described.iter().map(|(id, description)| match description {
            Some(description) => described_group(id, description),
            None => describe_groups::Group {
                group_id: id,
                group_state: State::Dead.name(),
                ..Default::default()
            },
        });
        let groups = groups.collect();
        call.reply(&describe_groups::Response { groups, ..Default::default() }, fx);
    }

    pub(super) fn delete_groups(
        &mut self,
        call: &Call<'_, T>,
        request: &delete_groups::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for group_id in &request.groups_names {
            let error_code = code(self.delete_group(group_id, fx));
            results.push(delete_groups::Group { group_id, error_code });
        }
        call.reply(&delete_groups::Response { results, ..Default::default() }, fx);
    }

    fn describe(&self, id: &str) -> Option<Description> {
        self.groups.get(id).map(|entry| entry.group.describe())
    }
}

/// Whether a filter lets a name pass; an empty one lets all pass.
fn allows(filter: &[&str], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

fn described_group<'a>(
    group_id: &'a str,
    description: &'a Description,
) -> describe_groups::Group<'a> {
    describe_groups::Group {
        error_code: ErrorCode::NONE,
        group_id,
        group_state: description.state.name(),
        protocol_type: &description.protocol_type,
        protocol_data: &description.protocol,
        members: description.members.iter().map(described_member).collect(),
        // There are no ACLs yet: the client is told that nothing is known, not that it may all.
        authorized_operations: i32::MIN,
    }
}

fn described_member(member: &DescribedMember) -> describe_groups::Member<'_> {
    describe_groups::Member {
        member_id: &member.member_id,
        group_instance_id: member.instance.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    }
}
