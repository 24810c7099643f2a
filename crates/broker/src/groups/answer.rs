//! What a group says: answers to requests that may have waited, and descriptions.

use std::sync::Arc;

use chaski_kafka::ErrorCode;

use super::group::State;
use super::member::MemberId;

/// The answer to a request that may have waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Join(Result<Joined, NotJoined>),
    Sync(Result<Synced, ErrorCode>),
}

/// A place in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) generation: i32,
    pub(super) protocol_type: Arc<str>,
    pub(super) protocol: Arc<str>,
    pub(super) leader: MemberId,
    /// The leader is not to assign anything, only to watch (KIP-814).
    pub(super) skip_assignment: bool,
    pub(super) member_id: MemberId,
    /// Everybody, for the leader; nobody for the others.
    pub(super) members: Vec<Candidate>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) member_id: MemberId,
    pub(super) instance: Option<Arc<str>>,
    pub(super) metadata: Arc<[u8]>,
}

/// Why a join was refused, and under which id to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotJoined {
    pub(super) error: ErrorCode,
    pub(super) member_id: MemberId,
}

/// What the leader gave a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Synced {
    pub(super) protocol_type: Arc<str>,
    pub(super) protocol: Arc<str>,
    pub(super) assignment: Arc<[u8]>,
}

/// A group described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) state: State,
    pub(super) protocol_type: Arc<str>,
    /// Empty unless Stable.
    pub(super) protocol: Arc<str>,
    pub(super) members: Vec<DescribedMember>,
}

/// A member described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DescribedMember {
    pub(super) member_id: MemberId,
    pub(super) instance: Option<Arc<str>>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    /// Empty unless the group is Stable, as is the assignment.
    pub(super) metadata: Arc<[u8]>,
    pub(super) assignment: Arc<[u8]>,
}
