//! DescribeProducers (61): the producers a partition remembers (KIP-664).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DescribeProducers: Request<'a> => Response<'r>);

message! {
    api DescribeProducers;

    /// Asks about partitions.
    pub struct Request<'a> {
        topics: Vec<RequestTopic<'a>> [0+],
    }

    /// The partitions of a topic asked about.
    pub struct RequestTopic<'a> {
        name: &'a str [0+],
        partition_indexes: Vec<i32> [0+],
    }

    /// The producers.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        topics: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0+],
        partitions: Vec<Partition<'a>> [0+],
    }

    /// The producers of a partition.
    pub struct Partition<'a> {
        partition_index: i32 [0+],
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [0+],
        active_producers: Vec<ProducerState> [0+],
    }

    /// A producer.
    pub struct ProducerState {
        producer_id: i64 [0+],
        producer_epoch: i32 [0+],
        last_sequence: i32 [0+] = -1,
        last_timestamp: i64 [0+] = -1,
        coordinator_epoch: i32 [0+],
        /// -1: no transaction is open.
        current_txn_start_offset: i64 [0+] = -1,
    }
}
