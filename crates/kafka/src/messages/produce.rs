//! Produce (0): record batches into partitions.
//!
//! A broker decodes requests with [`decode_ranges`]: positions instead of slices, so that it may
//! patch the batches where they lie. [`Request`] is for clients.

use std::ops::Range;

use crate::ErrorCode;
use crate::schema::{exchange, message};
use crate::wire::{DecodeError, Reader};

exchange!(Produce: Request<'a> => Response<'r>);

message! {
    api Produce;

    /// Brings records.
    pub struct Request<'a> {
        transactional_id: Option<&'a str> [3+],
        /// 0: no response wanted, 1: once the leader has them, -1: once all in-sync replicas do.
        acks: i16 [0+],
        timeout_ms: i32 [0+],
        topic_data: Vec<RequestTopic<'a>> [0+],
    }

    /// The records for a topic.
    pub struct RequestTopic<'a> {
        name: &'a str [0..=12],
        partition_data: Vec<RequestPartition<'a>> [0+],
    }

    /// The records for a partition: one batch.
    pub struct RequestPartition<'a> {
        index: i32 [0+],
        records: Option<&'a [u8]> [0+],
    }

    /// What became of the records.
    pub struct Response<'a> {
        responses: Vec<Topic<'a>> [0+],
        throttle_time_ms: i32 [1+],
        node_endpoints: Vec<NodeEndpoint<'a>> [10+] tag 0,
    }

    /// The partitions of a topic.
    pub struct Topic<'a> {
        name: &'a str [0..=12],
        partition_responses: Vec<Partition<'a>> [0+],
    }

    /// What became of the records for a partition.
    pub struct Partition<'a> {
        index: i32 [0+],
        error_code: ErrorCode [0+],
        /// Offset of the first record; -1 if there is an error.
        base_offset: i64 [0+],
        /// -1 unless the topic has the broker's clock.
        log_append_time_ms: i64 [2+] = -1,
        log_start_offset: i64 [5+] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage<'a>> [8+],
        error_message: Option<&'a str> [8+],
        current_leader: LeaderIdAndEpoch [10+] tag 0,
    }

    /// A record that was refused, and its batch with it (KIP-467).
    pub struct BatchIndexAndErrorMessage<'a> {
        batch_index: i32 [8+],
        batch_index_error_message: Option<&'a str> [8+],
    }

    /// The leader as the broker knows it (KIP-951).
    pub struct LeaderIdAndEpoch {
        leader_id: i32 [10+] = -1,
        leader_epoch: i32 [10+] = -1,
    }

    /// Where a leader listens (KIP-951).
    pub struct NodeEndpoint<'a> {
        node_id: i32 [10+],
        host: &'a str [10+],
        port: i32 [10+],
        rack: Option<&'a str> [10+],
    }
}

/// A request decoded into positions within its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct RequestRanges {
    pub transactional_id: Option<Range<usize>>,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topics: Vec<TopicRanges>,
}

/// The records for a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicRanges {
    /// UTF-8, checked.
    pub name: Range<usize>,
    /// The partitions.
    pub partitions: Vec<PartitionRanges>,
}

/// The records for a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionRanges {
    /// Partition number.
    pub index: i32,
    /// The batch, not looked at.
    pub records: Option<Range<usize>>,
}

/// Decodes the body of a Produce request without taking hold of it.
///
/// Ranges rise and do not overlap; all lie within `body`.
pub fn decode_ranges(body: &[u8], version: i16) -> Result<RequestRanges, DecodeError> {
    let flexible = crate::ApiKey::Produce.is_flexible(version);
    let mut r = Reader::new(body);
    let transactional_id = if version >= 3 {
        r.nullable_string(flexible)?.map(|id| range_before(&r, id.len()))
    } else {
        None
    };
    let acks = r.i16()?;
    let timeout_ms = r.i32()?;
    let count = r.count::<TopicRanges>(flexible, topic_len_min(flexible))?;
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        topics.push(topic_ranges(&mut r, flexible)?);
    }
    if flexible {
        r.skip_tags()?;
    }
    Ok(RequestRanges { transactional_id, acks, timeout_ms, topics })
}

fn topic_ranges(r: &mut Reader<'_>, flexible: bool) -> Result<TopicRanges, DecodeError> {
    let name = r.string(flexible)?.len();
    let name = range_before(r, name);
    let count = r.count::<PartitionRanges>(flexible, partition_len_min(flexible))?;
    let mut partitions = Vec::with_capacity(count);
    for _ in 0..count {
        let index = r.i32()?;
        let records = r.nullable_bytes(flexible)?.map(|bytes| range_before(r, bytes.len()));
        if flexible {
            r.skip_tags()?;
        }
        partitions.push(PartitionRanges { index, records });
    }
    if flexible {
        r.skip_tags()?;
    }
    Ok(TopicRanges { name, partitions })
}

/// The last `len` bytes read.
fn range_before(r: &Reader<'_>, len: usize) -> Range<usize> {
    r.position() - len..r.position()
}

/// Length of a name and count of partitions; tags.
fn topic_len_min(flexible: bool) -> usize {
    if flexible { 1 + 1 + 1 } else { 2 + 4 }
}

/// Index and length of records; tags.
fn partition_len_min(flexible: bool) -> usize {
    if flexible { 4 + 1 + 1 } else { 4 + 4 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sampler;
    use crate::wire::{Field, Wire};
    use crate::{ApiKey, Message, Writer};

    /// The request that ranges stand for.
    fn resolve<'a>(ranges: &RequestRanges, body: &'a [u8]) -> Request<'a> {
        let text = |range: &Range<usize>| str::from_utf8(&body[range.clone()]).unwrap();
        let partition = |p: &PartitionRanges| RequestPartition {
            index: p.index,
            records: p.records.clone().map(|range| &body[range]),
        };
        let topic = |t: &TopicRanges| RequestTopic {
            name: text(&t.name),
            partition_data: t.partitions.iter().map(partition).collect(),
        };
        Request {
            transactional_id: ranges.transactional_id.as_ref().map(text),
            acks: ranges.acks,
            timeout_ms: ranges.timeout_ms,
            topic_data: ranges.topics.iter().map(topic).collect(),
        }
    }

    #[test]
    fn both_decoders_say_the_same() {
        for version in 3..=ApiKey::Produce.max_version() {
            for seed in 0..50 {
                let wire = Wire { version, flexible: version >= 9 };
                let request = Request::sample(&mut Sampler::varied(seed), wire, false);
                let mut w = Writer::new();
                request.encode(&mut w, version);
                let (body, _) = w.into_parts();
                let ranges = decode_ranges(&body, version).unwrap();
                assert_eq!(resolve(&ranges, &body), request);
                for end in 0..body.len() {
                    assert!(decode_ranges(&body[..end], version).is_err(), "cut at {end}");
                }
            }
        }
    }
}
