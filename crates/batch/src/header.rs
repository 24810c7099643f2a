//! The batch header: parse, check, patch. Source: Kafka protocol guide, "Record Batch".

use thiserror::Error;

/// Bytes of a batch before its first record.
pub const HEADER_LEN: usize = 61;

/// How the records of a batch are compressed (attribute bits 0-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Whose clock `max_timestamp` comes from (attribute bit 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer set each record's timestamp.
    Create,
    /// The broker set one timestamp for the whole batch.
    LogAppend,
}

/// The parsed header of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Header {
    pub base_offset: i64,
    /// Bytes after this field: the whole batch is `batch_length + 12`.
    pub batch_length: i32,
    pub leader_epoch: i32,
    pub crc: u32,
    pub attributes: u16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum BatchError {
    #[error("batch cut short: {have} of {need} bytes")]
    Short { have: usize, need: usize },
    #[error("batch length {0} is not possible")]
    Length(i32),
    #[error("record format {0} is not supported, only 2")]
    Magic(i8),
    #[error("checksum mismatch: header says {stored:08x}, bytes give {computed:08x}")]
    Crc { stored: u32, computed: u32 },
    #[error("record count {count} does not fit the last offset delta {delta}")]
    Count { count: i32, delta: i32 },
    #[error("unknown compression codec {0}")]
    Codec(u8),
    #[error("malformed record: {0}")]
    Record(&'static str),
    #[error("records inflate past the limit of {0} bytes")]
    TooLarge(usize),
}

impl Header {
    /// Reads the header at the start of `bytes`; checks magic and length, not the checksum.
    pub fn parse(_bytes: &[u8]) -> Result<Header, BatchError> {
        unimplemented!()
    }
    /// Length of the whole batch in bytes.
    pub fn total_len(&self) -> usize {
        self.batch_length as usize + 12
    }
    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }
    /// Offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }
    /// Compression of the records.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        unimplemented!()
    }
    /// Whose clock the timestamps come from.
    pub fn timestamp_type(&self) -> TimestampType {
        unimplemented!()
    }
    /// Part of a transaction (bit 4).
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }
    /// A control batch (bit 5).
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }
}

/// Checks the batch at the start of `bytes` whole: header, checksum, count against offsets, codec.
pub fn check(_bytes: &[u8]) -> Result<Header, BatchError> {
    unimplemented!()
}
/// Patches the base offset; it lies outside the checksum.
pub fn set_base_offset(_batch: &mut [u8], _offset: i64) {
    unimplemented!()
}
/// Patches the partition leader epoch; it lies outside the checksum.
pub fn set_leader_epoch(_batch: &mut [u8], _epoch: i32) {
    unimplemented!()
}
/// Marks the batch with the broker's clock and computes the checksum anew.
pub fn set_log_append_time(_batch: &mut [u8], _timestamp_ms: i64) {
    unimplemented!()
}
