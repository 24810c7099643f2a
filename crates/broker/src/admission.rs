//! What a topic takes: the rules a batch must meet before it goes to the store, whoever brings it.
//!
//! [`check`] is about the bytes, for batches that come from elsewhere. [`fit`] is about the topic's
//! settings, for every batch; where the topic's clock is the broker's, it stamps the batch.

use chaski_batch::{BatchError, Codec, HEADER_LEN, Header, INFLATED_BYTES_MAX};
use chaski_kafka::ErrorCode;
use chaski_log::store::AppendError;

use crate::cluster::TopicConfig;
use crate::shard::now_ms;

/// Why a batch is refused before it reaches the store.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) ErrorCode, pub(crate) Option<String>);

impl Refusal {
    fn because(code: ErrorCode, why: impl Into<String>) -> Refusal {
        Refusal(code, Some(why.into()))
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal(code, None)
    }
}

impl From<BatchError> for Refusal {
    fn from(error: BatchError) -> Refusal {
        let code = match error {
            BatchError::Magic(_) => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            BatchError::Codec(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            BatchError::Count { .. } | BatchError::Record(_) | BatchError::TooLarge(_) => {
                ErrorCode::INVALID_RECORD
            }
            _ => ErrorCode::CORRUPT_MESSAGE,
        };
        Refusal::because(code, error.to_string())
    }
}

/// A batch that may be appended.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) header: Header,
    /// The time the broker stamped it with; -1: the producer's times stand.
    pub(crate) append_time_ms: i64,
}

/// Checks bytes from elsewhere: they must be one whole batch, as a producer may write it.
pub(crate) fn check(batch: &[u8], topic: &TopicConfig) -> Result<Header, Refusal> {
    check_size(batch.len(), topic)?;
    let header = chaski_batch::check(batch)?;
    let invalid = |why: String| Err(Refusal::because(ErrorCode::INVALID_RECORD, why));
    if header.total_len() != batch.len() {
        return invalid("one record batch a partition and request".to_owned());
    }
    if !count_is_possible(&header) {
        return invalid(format!(
            "{} bytes cannot hold {} records",
            batch.len(),
            header.record_count
        ));
    }
    if header.is_control() {
        return invalid("clients may not write control batches".to_owned());
    }
    if header.is_transactional() {
        return Err(ErrorCode::INVALID_TXN_STATE.into());
    }
    Ok(header)
}

/// Checks a well-formed batch against the topic's settings; stamps it if the topic's clock is the
/// broker's. `has_null_key` is asked only where it matters.
pub(crate) fn fit(
    batch: &mut [u8],
    header: Header,
    topic: &TopicConfig,
    has_null_key: impl FnOnce(&[u8]) -> Result<bool, BatchError>,
) -> Result<Fit, Refusal> {
    check_size(batch.len(), topic)?;
    if topic.compacted && has_null_key(batch)? {
        return Err(keyless());
    }
    let now_ms = now_ms();
    if topic.log_append_time {
        chaski_batch::set_log_append_time(batch, now_ms);
        return Ok(Fit { header: Header::parse(batch)?, append_time_ms: now_ms });
    }
    check_times(header.base_timestamp, header.max_timestamp, topic, now_ms)?;
    Ok(Fit { header, append_time_ms: -1 })
}

/// Checks the size of a batch.
pub(crate) fn check_size(len: usize, topic: &TopicConfig) -> Result<(), Refusal> {
    let max = topic.max_message_bytes;
    if len <= max {
        return Ok(());
    }
    let why = format!("batch of {len} bytes, the topic's max.message.bytes is {max}");
    Err(Refusal::because(ErrorCode::MESSAGE_TOO_LARGE, why))
}

/// Checks timestamps that the producer has set; -1 is none.
pub(crate) fn check_times(
    base: i64,
    max: i64,
    topic: &TopicConfig,
    now_ms: i64,
) -> Result<(), Refusal> {
    let too_old = now_ms.saturating_sub(topic.timestamp_before_max_ms);
    let too_new = now_ms.saturating_add(topic.timestamp_after_max_ms);
    let unset = max == -1;
    if unset || (base >= too_old && max <= too_new) {
        return Ok(());
    }
    let why = format!("timestamps {base}..{max} are outside {too_old}..{too_new}");
    Err(Refusal::because(ErrorCode::INVALID_TIMESTAMP, why))
}

/// The refusal of a record without a key where keys are what is kept.
pub(crate) fn keyless() -> Refusal {
    let why = "a compacted topic takes no record without a key";
    Refusal::because(ErrorCode::INVALID_RECORD, why)
}

/// The protocol's word for why the store did not take a batch.
pub(crate) fn code_of(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::NotFound => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::FencedEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        _ => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

/// Least bytes of a record: seven one-byte numbers.
const RECORD_BYTES_MIN: usize = 7;

/// Whether a batch of this size may hold as many records as it claims: offsets are given out by the
/// claim.
fn count_is_possible(header: &Header) -> bool {
    let records = header.total_len() - HEADER_LEN;
    let inflated = match header.codec() {
        Ok(Codec::None) => records,
        _ => INFLATED_BYTES_MAX,
    };
    usize::try_from(header.record_count).is_ok_and(|count| count <= inflated / RECORD_BYTES_MIN)
}
