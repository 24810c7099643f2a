//! CreatePartitions (37): more partitions for topics (KIP-195).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(CreatePartitions: Request<'a> => Response<'r>);

message! {
    api CreatePartitions;

    /// How many partitions topics are to have.
    pub struct Request<'a> {
        topics: Vec<RequestTopic<'a>> [0+],
        timeout_ms: i32 [0+],
        validate_only: bool [0+],
    }

    /// A topic to enlarge.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        /// Partitions in the end, old ones included.
        count: i32 [0+],
        /// The brokers of each new partition; None: as the broker likes.
        assignments: Option<Vec<Assignment>> [0+],
    }

    /// The brokers that are to hold a partition.
    pub struct Assignment {
        broker_ids: Vec<i32> [0+],
    }

    /// What became of the topics.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        results: Vec<Topic<'a>> [0+],
    }

    /// What became of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [0+],
    }
}
