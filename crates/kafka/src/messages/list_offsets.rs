//! ListOffsets (2): which offset belongs to a time, or to the ends of a partition.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(ListOffsets: Request<'a> => Response<'r>);

/// Timestamp that asks for the high watermark.
pub const LATEST: i64 = -1;
/// Timestamp that asks for the oldest offset kept.
pub const EARLIEST: i64 = -2;
/// Timestamp that asks for the record with the largest timestamp; from version 7 (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// Timestamp that asks for the oldest offset on the broker's own disk; from version 8 (KIP-405).
pub const EARLIEST_LOCAL: i64 = -4;

message! {
    api ListOffsets;

    /// Asks for offsets.
    pub struct Request<'a> {
        /// -1: a consumer.
        replica_id: i32 [0+] = -1,
        /// 0: read uncommitted, 1: read committed.
        isolation_level: i8 [2+],
        topics: Vec<RequestTopic<'a>> [0+],
    }

    /// The partitions of a topic asked about.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        partitions: Vec<RequestPartition> [0+],
    }

    /// A partition asked about.
    pub struct RequestPartition {
        partition_index: i32 [0+],
        /// -1: not checked.
        current_leader_epoch: i32 [4+] = -1,
        /// Milliseconds since the epoch, or one of the negative constants of this module.
        timestamp: i64 [0+],
    }

    /// The offsets found.
    pub struct Response<'a> {
        throttle_time_ms: i32 [2+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        partitions: Vec<Partition> [0+],
    }

    /// What was found in a partition.
    pub struct Partition {
        partition_index: i32 [0+],
        error_code: ErrorCode [0+],
        /// Of the record found; -1 if the question was not about a time.
        timestamp: i64 [1+] = -1,
        /// -1: no such record.
        offset: i64 [1+] = -1,
        leader_epoch: i32 [4+] = -1,
    }
}
