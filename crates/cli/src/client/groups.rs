//! Questions about consumer groups.

use std::collections::BTreeMap;

use chaski_broker::nearest;
use chaski_kafka::consumer_protocol::Assignment;
use chaski_kafka::{describe_groups, list_groups, offset_fetch};

use super::{Client, ClientError, Refusal};

/// First version of OffsetFetch that asks about many groups.
const MANY_GROUPS_FROM: i16 = 8;
/// Groups described by one request.
const GROUPS_PER_REQUEST: usize = 1000;
/// The protocol type of consumers.
const CONSUMER: &str = "consumer";
/// The state of a group that is not there.
const DEAD: &str = "Dead";

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(crate) name: String,
    /// Empty, PreparingRebalance, CompletingRebalance, Stable or Dead.
    pub(crate) state: String,
    /// `consumer` for consumers.
    pub(crate) protocol_type: String,
    /// How partitions are assigned.
    pub(crate) assignor: String,
    pub(crate) members: Vec<MemberState>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberState {
    pub(crate) id: String,
    /// Only a static member has one.
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    /// Topic and partition; None if the group is not one of consumers, or they cannot be read.
    pub(crate) assigned: Option<Vec<(String, i32)>>,
}

/// How far a group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// What the committer wanted to remember.
    pub(crate) metadata: String,
}

impl GroupState {
    /// Whether there is no such group.
    pub(crate) fn is_dead(&self) -> bool {
        self.state == DEAD
    }
}

impl Client {
    /// The names of all groups, in order.
    pub(crate) fn group_names(&mut self) -> Result<Vec<String>, ClientError> {
        let mut buf = Vec::new();
        let response = self.call(&list_groups::Request::default(), &mut buf)?;
        Refusal::check(response.error_code, None)?;
        let mut names: Vec<String> =
            response.groups.iter().map(|group| group.group_id.to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Groups with their members; those that are not there are dead.
    pub(crate) fn groups(&mut self, names: &[String]) -> Result<Vec<GroupState>, ClientError> {
        let mut groups = Vec::with_capacity(names.len());
        for names in names.chunks(GROUPS_PER_REQUEST) {
            let request = describe_groups::Request {
                groups: names.iter().map(String::as_str).collect(),
                ..Default::default()
            };
            let mut buf = Vec::new();
            let response = self.call(&request, &mut buf)?;
            for group in &response.groups {
                Refusal::check(group.error_code, None)?;
                groups.push(GroupState::new(group));
            }
        }
        Ok(groups)
    }

    /// One group, dead or alive.
    pub(crate) fn group(&mut self, name: &str) -> Result<GroupState, ClientError> {
        let dead = || GroupState {
            name: name.to_owned(),
            state: DEAD.to_owned(),
            protocol_type: String::new(),
            assignor: String::new(),
            members: Vec::new(),
        };
        Ok(self.groups(&[name.to_owned()])?.pop().unwrap_or_else(dead))
    }

    /// The error for a group that is not there, with the name that may have been meant.
    pub(crate) fn unknown_group(&mut self, name: &str) -> Result<ClientError, ClientError> {
        let names = self.group_names()?;
        let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        Ok(ClientError::UnknownGroup { name: name.to_owned(), nearest })
    }

    /// What a group has committed, by topic and partition.
    pub(crate) fn committed(
        &mut self,
        group: &str,
    ) -> Result<BTreeMap<(String, i32), Committed>, ClientError> {
        let many = self.version(chaski_kafka::ApiKey::OffsetFetch)? >= MANY_GROUPS_FROM;
        let mut request = offset_fetch::Request::default();
        if many {
            let asked = offset_fetch::RequestGroup { group_id: group, ..Default::default() };
            request.groups = vec![asked];
        } else {
            request.group_id = group;
        }
        let mut buf = Vec::new();
        let response = self.call(&request, &mut buf)?;
        Refusal::check(response.error_code, None)?;
        let mut committed = BTreeMap::new();
        collect(&response.topics, &mut committed);
        for group in &response.groups {
            Refusal::check(group.error_code, None)?;
            collect(&group.topics, &mut committed);
        }
        Ok(committed)
    }
}

/// Takes the offsets that are there; -1 stands for none.
fn collect(topics: &[offset_fetch::Topic<'_>], into: &mut BTreeMap<(String, i32), Committed>) {
    for topic in topics {
        for partition in topic.partitions.iter().filter(|p| p.committed_offset >= 0) {
            let committed = Committed {
                offset: partition.committed_offset,
                metadata: partition.metadata.unwrap_or_default().to_owned(),
            };
            into.insert((topic.name.to_owned(), partition.partition_index), committed);
        }
    }
}

impl GroupState {
    fn new(group: &describe_groups::Group<'_>) -> GroupState {
        let of_consumers = group.protocol_type == CONSUMER;
        let member = |member: &describe_groups::Member<'_>| MemberState {
            id: member.member_id.to_owned(),
            instance: member.group_instance_id.map(str::to_owned),
            client: member.client_id.to_owned(),
            host: member.client_host.to_owned(),
            assigned: of_consumers.then(|| assigned(member.member_assignment)).flatten(),
        };
        GroupState {
            name: group.group_id.to_owned(),
            state: group.group_state.to_owned(),
            protocol_type: group.protocol_type.to_owned(),
            assignor: group.protocol_data.to_owned(),
            members: group.members.iter().map(member).collect(),
        }
    }
}

/// A member that joins has no assignment yet, which is as good as an empty one.
fn assigned(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let assignment = Assignment::from_bytes(bytes).ok()?;
    let mut assigned: Vec<(String, i32)> = assignment
        .assigned_partitions
        .iter()
        .flat_map(|of| of.partitions.iter().map(|&partition| (of.topic.to_owned(), partition)))
        .collect();
    assigned.sort_unstable();
    Some(assigned)
}
