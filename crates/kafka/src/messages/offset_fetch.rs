//! OffsetFetch (9): how far a group has come; from version 8 many groups at once.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(OffsetFetch: Request<'a> => Response<'r>);

message! {
    api OffsetFetch;

    /// Asks for committed offsets.
    pub struct Request<'a> {
        group_id: &'a str [0..=7],
        /// None: all topics of the group.
        topics: Option<Vec<RequestTopic<'a>>> [0..=7] null [2..=7],
        groups: Vec<RequestGroup<'a>> [8+],
        /// Refuse offsets that an open transaction may still change (KIP-447).
        require_stable: bool [7+],
    }

    /// The partitions of a topic asked about.
    pub struct RequestTopic<'a> {
        name: &'a str [0..=9],
        partition_indexes: Vec<i32> [0+],
    }

    /// A group asked about.
    pub struct RequestGroup<'a> {
        group_id: &'a str [8+],
        member_id: Option<&'a str> [9+],
        /// -1: the group is of the classic protocol.
        member_epoch: i32 [9+] = -1,
        /// None: all topics of the group.
        topics: Option<Vec<RequestTopic<'a>>> [8+],
    }

    /// The committed offsets.
    pub struct Response<'a> {
        throttle_time_ms: i32 [3+],
        topics: Vec<Topic<'a>> [0..=7],
        error_code: ErrorCode [2..=7],
        groups: Vec<Group<'a>> [8+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0..=9],
        partitions: Vec<Partition<'a>> [0+],
    }

    /// The committed offset of a partition.
    pub struct Partition<'a> {
        partition_index: i32 [0+],
        /// -1: none was committed.
        committed_offset: i64 [0+],
        committed_leader_epoch: i32 [5+] = -1,
        metadata: Option<&'a str> [0+],
        error_code: ErrorCode [0+],
    }

    /// The committed offsets of a group.
    pub struct Group<'a> {
        group_id: &'a str [8+],
        topics: Vec<Topic<'a>> [8+],
        error_code: ErrorCode [8+],
    }
}
