//! Metadata (3): brokers, topics, partitions and who leads them.

use uuid::Uuid;

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(Metadata: Request<'a> => Response<'r>);

/// The value of `*_authorized_operations` when nobody asked for it.
pub const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

message! {
    api Metadata;

    /// Asks about topics.
    pub struct Request<'a> {
        /// None: all topics. Version 0 knows no null and means all topics by an empty list.
        topics: Option<Vec<RequestTopic<'a>>> [0+] null [1+],
        allow_auto_topic_creation: bool [4+] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8+],
    }

    /// A topic asked about: by name, or from version 10 by id.
    pub struct RequestTopic<'a> {
        topic_id: Uuid [10+],
        name: Option<&'a str> [0+] null [10+],
    }

    /// The cluster as far as it was asked about.
    pub struct Response<'a> {
        throttle_time_ms: i32 [3+],
        brokers: Vec<Broker<'a>> [0+],
        cluster_id: Option<&'a str> [2+],
        controller_id: i32 [1+] = -1,
        topics: Vec<Topic<'a>> [0+],
        cluster_authorized_operations: i32 [8..=10] = OPERATIONS_NOT_ASKED,
    }

    /// A broker and where it listens.
    pub struct Broker<'a> {
        node_id: i32 [0+],
        host: &'a str [0+],
        port: i32 [0+],
        rack: Option<&'a str> [1+],
    }

    /// A topic.
    pub struct Topic<'a> {
        error_code: ErrorCode [0+],
        /// None only if it was asked about by an id that no topic has.
        name: Option<&'a str> [0+] null [12+],
        topic_id: Uuid [10+],
        is_internal: bool [1+],
        partitions: Vec<Partition> [0+],
        topic_authorized_operations: i32 [8+] = OPERATIONS_NOT_ASKED,
    }

    /// A partition.
    pub struct Partition {
        error_code: ErrorCode [0+],
        partition_index: i32 [0+],
        /// -1: none.
        leader_id: i32 [0+],
        leader_epoch: i32 [7+] = -1,
        replica_nodes: Vec<i32> [0+],
        isr_nodes: Vec<i32> [0+],
        offline_replicas: Vec<i32> [5+],
    }
}
