//! CreateTopics (19).

use uuid::Uuid;

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(CreateTopics: Request<'a> => Response<'r>);

message! {
    api CreateTopics;

    /// Topics to create.
    pub struct Request<'a> {
        topics: Vec<RequestTopic<'a>> [0+],
        timeout_ms: i32 [0+] = 60_000,
        validate_only: bool [1+],
    }

    /// A topic to create.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        /// -1: as the broker has it, or as assigned.
        num_partitions: i32 [0+],
        /// -1: as the broker has it, or as assigned.
        replication_factor: i16 [0+],
        assignments: Vec<ReplicaAssignment> [0+],
        configs: Vec<RequestConfig<'a>> [0+],
    }

    /// The brokers that are to hold a partition.
    pub struct ReplicaAssignment {
        partition_index: i32 [0+],
        broker_ids: Vec<i32> [0+],
    }

    /// A setting of a topic to create.
    pub struct RequestConfig<'a> {
        name: &'a str [0+],
        value: Option<&'a str> [0+],
    }

    /// What became of the topics.
    pub struct Response<'a> {
        throttle_time_ms: i32 [2+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// What became of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        topic_id: Uuid [7+],
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [1+],
        /// Why `configs` is None (KIP-525).
        topic_config_error_code: ErrorCode [5+] tag 0,
        num_partitions: i32 [5+] = -1,
        replication_factor: i16 [5+] = -1,
        configs: Option<Vec<Config<'a>>> [5+],
    }

    /// A setting of a topic created.
    pub struct Config<'a> {
        name: &'a str [5+],
        value: Option<&'a str> [5+],
        read_only: bool [5+],
        /// One of the sources of [`crate::describe_configs`].
        config_source: i8 [5+] = -1,
        is_sensitive: bool [5+],
    }
}
