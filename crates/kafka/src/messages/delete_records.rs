//! DeleteRecords (21): moves the start of partitions up.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DeleteRecords: Request<'a> => Response<'r>);

message! {
    api DeleteRecords;

    /// Where to cut.
    pub struct Request<'a> {
        topics: Vec<RequestTopic<'a>> [0+],
        timeout_ms: i32 [0+],
    }

    /// The partitions of a topic to cut.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        partitions: Vec<RequestPartition> [0+],
    }

    /// A partition to cut.
    pub struct RequestPartition {
        partition_index: i32 [0+],
        /// Becomes the oldest offset; -1: the high watermark.
        offset: i64 [0+],
    }

    /// What was cut.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        partitions: Vec<Partition> [0+],
    }

    /// A partition after the cut.
    pub struct Partition {
        partition_index: i32 [0+],
        /// The oldest offset; -1 if there is an error.
        low_watermark: i64 [0+],
        error_code: ErrorCode [0+],
    }
}
