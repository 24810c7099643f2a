//! Fetch (1): record batches from an offset on, whole and as they are stored.

use crate::ErrorCode;
use crate::schema::{exchange, message};
use crate::wire::{DecodeError, Field, Reader, Wire, Writer};

exchange!(Fetch: Request<'a> => Response<'r>);

message! {
    api Fetch;

    /// Asks for records, and waits for some if there are none yet.
    pub struct Request<'a> {
        cluster_id: Option<&'a str> [12+] tag 0,
        /// -1: a consumer.
        replica_id: i32 [0..=14] = -1,
        max_wait_ms: i32 [0+],
        min_bytes: i32 [0+],
        max_bytes: i32 [3+] = i32::MAX,
        /// 0: read uncommitted, 1: read committed.
        isolation_level: i8 [4+],
        /// 0: no session, or a new one (KIP-227).
        session_id: i32 [7+],
        /// 0 begins a session, -1 ends it or asks for none.
        session_epoch: i32 [7+] = -1,
        topics: Vec<RequestTopic<'a>> [0+],
        forgotten_topics_data: Vec<ForgottenTopic<'a>> [7+],
        rack_id: &'a str [11+],
    }

    /// The partitions of a topic to fetch from.
    pub struct RequestTopic<'a> {
        topic: &'a str [0..=12],
        partitions: Vec<RequestPartition> [0+],
    }

    /// A partition to fetch from.
    pub struct RequestPartition {
        partition: i32 [0+],
        /// -1: not checked.
        current_leader_epoch: i32 [9+] = -1,
        fetch_offset: i64 [0+],
        last_fetched_epoch: i32 [12+] = -1,
        /// Replicas only.
        log_start_offset: i64 [5+] = -1,
        partition_max_bytes: i32 [0+],
    }

    /// Partitions that the session is to forget.
    pub struct ForgottenTopic<'a> {
        topic: &'a str [7..=12],
        partitions: Vec<i32> [7+],
    }

    /// What was fetched.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [7+],
        /// 0: no session.
        session_id: i32 [7+],
        responses: Vec<Topic<'a>> [0+],
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        topic: &'a str [0..=12],
        partitions: Vec<Partition<'a>> [0+],
    }

    /// What was fetched from a partition.
    pub struct Partition<'a> {
        partition_index: i32 [0+],
        error_code: ErrorCode [0+],
        high_watermark: i64 [0+],
        last_stable_offset: i64 [4+] = -1,
        log_start_offset: i64 [5+] = -1,
        diverging_epoch: EpochEndOffset [12+] tag 0,
        current_leader: LeaderIdAndEpoch [12+] tag 1,
        snapshot_id: SnapshotId [12+] tag 2,
        /// None unless the request reads committed records only.
        aborted_transactions: Option<Vec<AbortedTransaction>> [4+],
        /// -1: none.
        preferred_read_replica: i32 [11+] = -1,
        records: Records<'a> [0+],
    }

    /// Where the logs of follower and leader part (KIP-595).
    pub struct EpochEndOffset {
        epoch: i32 [12+] = -1,
        end_offset: i64 [12+] = -1,
    }

    /// The leader as the broker knows it (KIP-951).
    pub struct LeaderIdAndEpoch {
        leader_id: i32 [12+] = -1,
        leader_epoch: i32 [12+] = -1,
    }

    /// A snapshot to fetch instead (KIP-630).
    pub struct SnapshotId {
        end_offset: i64 [0+] = -1,
        epoch: i32 [0+] = -1,
    }

    /// A transaction whose records are to be passed over (KIP-98).
    pub struct AbortedTransaction {
        producer_id: i64 [4+],
        first_offset: i64 [4+],
    }
}

/// The record batches of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records<'a> {
    /// In memory; what a decoder gives. Kafka's clients take null for no records.
    Bytes(Option<&'a [u8]>),
    /// So many bytes that the sender puts there; see [`Writer::splice`].
    Spliced(usize),
}

impl Default for Records<'_> {
    fn default() -> Self {
        Records::Bytes(None)
    }
}

impl Records<'_> {
    /// Bytes of records.
    pub fn len(&self) -> usize {
        match self {
            Records::Bytes(bytes) => bytes.map_or(0, <[u8]>::len),
            Records::Spliced(len) => *len,
        }
    }

    /// No records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Field<'a> for Records<'a> {
    fn len_min(wire: Wire) -> usize {
        <&[u8]>::len_min(wire)
    }

    fn read(r: &mut Reader<'a>, wire: Wire, _null: bool) -> Result<Self, DecodeError> {
        r.nullable_bytes(wire.flexible).map(Records::Bytes)
    }

    fn write(&self, w: &mut Writer, wire: Wire, _null: bool) {
        match self {
            Records::Bytes(bytes) => w.nullable_bytes(*bytes, wire.flexible),
            Records::Spliced(len) => w.spliced_bytes(*len, wire.flexible),
        }
    }

    #[cfg(test)]
    fn sample(s: &mut crate::sample::Sampler, wire: Wire, null: bool) -> Self {
        Records::Bytes(Field::sample(s, wire, null))
    }
}
