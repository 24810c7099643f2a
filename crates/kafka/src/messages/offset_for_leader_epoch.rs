//! OffsetForLeaderEpoch (23): where a leader epoch ended, to find out what was truncated (KIP-320).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(OffsetForLeaderEpoch: Request<'a> => Response<'r>);

message! {
    api OffsetForLeaderEpoch;

    /// Asks about epochs.
    pub struct Request<'a> {
        /// -1: a consumer, -2: not said.
        replica_id: i32 [3+] = -2,
        topics: Vec<RequestTopic<'a>> [0+],
    }

    /// The partitions of a topic asked about.
    pub struct RequestTopic<'a> {
        topic: &'a str [0+],
        partitions: Vec<RequestPartition> [0+],
    }

    /// A partition asked about.
    pub struct RequestPartition {
        partition: i32 [0+],
        /// -1: not checked.
        current_leader_epoch: i32 [2+] = -1,
        leader_epoch: i32 [0+],
    }

    /// Where the epochs ended.
    pub struct Response<'a> {
        throttle_time_ms: i32 [2+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        topic: &'a str [0+],
        partitions: Vec<Partition> [0+],
    }

    /// Where the epoch ended in a partition.
    pub struct Partition {
        error_code: ErrorCode [0+],
        partition: i32 [0+],
        /// The largest epoch up to the one asked for; -1: none.
        leader_epoch: i32 [1+] = -1,
        /// -1: none.
        end_offset: i64 [0+] = -1,
    }
}
