//! OffsetCommit (8): how far a group has come.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(OffsetCommit: Request<'a> => Response<'r>);

message! {
    api OffsetCommit;

    /// Brings offsets to keep.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        /// -1: not a member's commit.
        generation_id_or_member_epoch: i32 [1+] = -1,
        member_id: &'a str [1+],
        group_instance_id: Option<&'a str> [7+],
        /// -1: as the broker has it.
        retention_time_ms: i64 [2..=4] = -1,
        topics: Vec<RequestTopic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct RequestTopic<'a> {
        name: &'a str [0..=9],
        partitions: Vec<RequestPartition<'a>> [0+],
    }

    /// The offset to keep for a partition.
    pub struct RequestPartition<'a> {
        partition_index: i32 [0+],
        /// The next offset to read.
        committed_offset: i64 [0+],
        committed_leader_epoch: i32 [6+] = -1,
        committed_metadata: Option<&'a str> [0+],
    }

    /// What became of the offsets.
    pub struct Response<'a> {
        throttle_time_ms: i32 [3+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0..=9],
        partitions: Vec<Partition> [0+],
    }

    /// What became of the offset of a partition.
    pub struct Partition {
        partition_index: i32 [0+],
        error_code: ErrorCode [0+],
    }
}
