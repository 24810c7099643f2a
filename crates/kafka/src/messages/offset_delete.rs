//! OffsetDelete (47): forgets committed offsets of a group (KIP-496).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(OffsetDelete: Request<'a> => Response<'r>);

message! {
    api OffsetDelete;

    /// Offsets to forget.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        topics: Vec<RequestTopic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        partitions: Vec<RequestPartition> [0+],
    }

    /// A partition.
    pub struct RequestPartition {
        partition_index: i32 [0+],
    }

    /// What became of the offsets.
    pub struct Response<'a> {
        error_code: ErrorCode [0+],
        throttle_time_ms: i32 [0+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        partitions: Vec<Partition> [0+],
    }

    /// What became of the offset of a partition.
    pub struct Partition {
        partition_index: i32 [0+],
        error_code: ErrorCode [0+],
    }
}
