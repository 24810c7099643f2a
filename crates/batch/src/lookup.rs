//! The questions a broker has about the records of a batch. Each is answered from the header
//! alone where that is possible, and otherwise inflates at most [`INFLATED_BYTES_MAX`] bytes.

use crate::header::{BatchError, Header, TimestampType};
use crate::records::{INFLATED_BYTES_MAX, Record, records};

/// Where in the log a point in time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    /// Offset of the record.
    pub offset: i64,
    /// Its timestamp, in milliseconds since the epoch.
    pub timestamp: i64,
}

impl From<Record<'_>> for TimedOffset {
    fn from(record: Record<'_>) -> TimedOffset {
        TimedOffset { offset: record.offset, timestamp: record.timestamp }
    }
}

/// The first record of the batch whose timestamp is `timestamp_ms` or later; None if all are
/// earlier, by the header or one by one (ListOffsets with a timestamp).
///
/// # Errors
/// As [`records`], and [`BatchError::Record`] for a malformed record before the one looked for.
pub fn find_timestamp(batch: &[u8], timestamp_ms: i64) -> Result<Option<TimedOffset>, BatchError> {
    let header = Header::parse(batch)?;
    if header.max_timestamp < timestamp_ms {
        return Ok(None);
    }
    if header.timestamp_type() == TimestampType::LogAppend {
        return Ok(Some(first_of(&header)));
    }
    for record in &records(batch, INFLATED_BYTES_MAX)? {
        let record = record?;
        if record.timestamp >= timestamp_ms {
            return Ok(Some(record.into()));
        }
    }
    Ok(None)
}

/// The record of the batch with the largest timestamp, the first of them if there are several
/// (KIP-734).
///
/// # Errors
/// As [`records`]; [`BatchError::Record`] for a malformed record, [`BatchError::Count`] for a
/// batch without records, which [`crate::check`] refuses.
pub fn find_max_timestamp(batch: &[u8]) -> Result<TimedOffset, BatchError> {
    let header = Header::parse(batch)?;
    if header.timestamp_type() == TimestampType::LogAppend {
        return Ok(first_of(&header));
    }
    let mut max: Option<TimedOffset> = None;
    for record in &records(batch, INFLATED_BYTES_MAX)? {
        let record = record?;
        if max.is_none_or(|max| record.timestamp > max.timestamp) {
            max = Some(record.into());
        }
    }
    max.ok_or(BatchError::Count { count: header.record_count, delta: header.last_offset_delta })
}

/// Whether a record of the batch has no key, which a compacted topic does not take.
///
/// # Errors
/// As [`records`], and [`BatchError::Record`] for a malformed record before the one looked for.
pub fn has_null_key(batch: &[u8]) -> Result<bool, BatchError> {
    for record in &records(batch, INFLATED_BYTES_MAX)? {
        if record?.key.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Under the broker's clock the first record stands for all: they have one timestamp.
fn first_of(header: &Header) -> TimedOffset {
    TimedOffset { offset: header.base_offset, timestamp: header.max_timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Codec, set_base_offset, set_log_append_time};

    /// Records with these timestamps at offsets from 10 on.
    fn batch(timestamps: &[i64]) -> Vec<u8> {
        let mut builder = Builder::new(Codec::Snappy);
        for &timestamp in timestamps {
            builder.push(timestamp, Some(b"key"), None, &[]);
        }
        let mut batch = builder.build().unwrap();
        set_base_offset(&mut batch, 10);
        batch
    }

    fn at(offset: i64, timestamp: i64) -> TimedOffset {
        TimedOffset { offset, timestamp }
    }

    #[test]
    fn the_first_record_that_is_late_enough_is_found() {
        // Timestamps need not rise: the first in the log counts, not the earliest in time.
        let batch = batch(&[100, 300, 200, 300]);
        assert_eq!(find_timestamp(&batch, i64::MIN), Ok(Some(at(10, 100))));
        assert_eq!(find_timestamp(&batch, 100), Ok(Some(at(10, 100))));
        assert_eq!(find_timestamp(&batch, 101), Ok(Some(at(11, 300))));
        assert_eq!(find_timestamp(&batch, 300), Ok(Some(at(11, 300))));
        assert_eq!(find_timestamp(&batch, 301), Ok(None));
        assert_eq!(find_max_timestamp(&batch), Ok(at(11, 300)));
    }

    #[test]
    fn a_header_that_promises_too_much_finds_nothing() {
        let mut batch = batch(&[100]);
        batch[35..43].copy_from_slice(&500i64.to_be_bytes());
        assert_eq!(find_timestamp(&batch, 400), Ok(None));
        assert_eq!(find_max_timestamp(&batch), Ok(at(10, 100)));
    }

    #[test]
    fn the_brokers_clock_answers_without_the_records() {
        let mut batch = batch(&[100, 300]);
        let end = batch.len();
        batch[end - 1] ^= 0xff;
        set_log_append_time(&mut batch, 5_000);
        assert_eq!(find_timestamp(&batch, 5_000), Ok(Some(at(10, 5_000))));
        assert_eq!(find_timestamp(&batch, 5_001), Ok(None));
        assert_eq!(find_max_timestamp(&batch), Ok(at(10, 5_000)));
    }

    #[test]
    fn null_keys_are_seen_wherever_they_are() {
        for nulls in [0b000, 0b001, 0b010, 0b100] {
            let mut builder = Builder::new(Codec::Lz4);
            for i in 0..3 {
                let key: Option<&[u8]> = if nulls & (1 << i) == 0 { Some(b"") } else { None };
                builder.push(0, key, Some(b"v"), &[]);
            }
            assert_eq!(has_null_key(&builder.build().unwrap()), Ok(nulls != 0));
        }
    }

    #[test]
    fn a_batch_without_records_has_no_latest() {
        let mut batch = batch(&[1]);
        batch.truncate(crate::HEADER_LEN);
        batch[8..12].copy_from_slice(&49i32.to_be_bytes());
        batch[22] = 0;
        batch[57..61].fill(0);
        let error = BatchError::Count { count: 0, delta: 0 };
        assert_eq!(find_max_timestamp(&batch), Err(error));
    }
}
