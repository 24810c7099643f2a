//! The batch header: parse, check, patch. Source: Kafka protocol guide, "Record Batch"; KIP-98.
//!
//! ```text
//!  0              8         12         16  17      21       23              27
//!  | base_offset  | length   | epoch    |mg| crc    | attrs  | last_offset_d |
//!  27               35              43             51     53        57       61
//!  | base_timestamp | max_timestamp | producer_id  | p_ep | base_seq | count  | records ...
//! ```
//!
//! All integers are big-endian. `length` counts the bytes after itself. `crc` covers everything
//! from `attrs` to the end of the batch, so the offset and the epoch can be patched without
//! touching it; `length` and `magic` are not covered either, but a change to one of them shifts
//! what is covered or is refused.

use thiserror::Error;

use crate::checksum::crc32c;

/// Bytes of a batch before its first record.
pub const HEADER_LEN: usize = 61;

/// Bytes before the part that `batch_length` counts.
const LENGTH_END: usize = 12;
/// Where the magic byte stands, in this format and in the two before it.
const MAGIC: usize = 16;
const CRC: usize = 17;
/// First byte under the checksum.
const CHECKED: usize = 21;
const MAX_TIMESTAMP: usize = 35;

/// The smallest possible `batch_length`: a header and no records.
const BATCH_LENGTH_MIN: i32 = (HEADER_LEN - LENGTH_END) as i32;

const CODEC_MASK: u16 = 0x07;
const LOG_APPEND_TIME: u16 = 0x08;
pub(crate) const TRANSACTIONAL: u16 = 0x10;
pub(crate) const CONTROL: u16 = 0x20;

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
    #[error("records are not {0:?} data, or it is damaged")]
    Inflate(Codec),
    #[error("records inflate past the limit of {0} bytes")]
    TooLarge(usize),
}

impl Header {
    /// Reads the header at the start of `bytes`; checks magic and length, not the checksum.
    ///
    /// The first [`HEADER_LEN`] bytes are enough: that the rest of the batch is there is for the
    /// caller (or [`check`]) to compare with [`Header::total_len`].
    ///
    /// # Errors
    /// [`BatchError::Magic`] for any other format, as soon as the magic byte is there: the older
    /// formats may be shorter than this header and count their length from elsewhere.
    /// [`BatchError::Short`] for less than a header, [`BatchError::Length`] for a length that
    /// cannot hold one.
    pub fn parse(bytes: &[u8]) -> Result<Header, BatchError> {
        match bytes.get(MAGIC) {
            Some(2) | None => {}
            Some(&other) => return Err(BatchError::Magic(other as i8)),
        }
        let Some(fields) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Short { have: bytes.len(), need: HEADER_LEN });
        };
        let header = Header::decode(fields);
        if header.batch_length < BATCH_LENGTH_MIN {
            return Err(BatchError::Length(header.batch_length));
        }
        Ok(header)
    }

    /// The header as it stands at the start of a batch.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, self.base_offset.to_be_bytes());
        put(&mut bytes, 8, self.batch_length.to_be_bytes());
        put(&mut bytes, LENGTH_END, self.leader_epoch.to_be_bytes());
        put(&mut bytes, MAGIC, [2]);
        put(&mut bytes, CRC, self.crc.to_be_bytes());
        put(&mut bytes, CHECKED, self.attributes.to_be_bytes());
        put(&mut bytes, 23, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, 27, self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP, self.max_timestamp.to_be_bytes());
        put(&mut bytes, 43, self.producer_id.to_be_bytes());
        put(&mut bytes, 51, self.producer_epoch.to_be_bytes());
        put(&mut bytes, 53, self.base_sequence.to_be_bytes());
        put(&mut bytes, 57, self.record_count.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Header {
        Header {
            base_offset: i64::from_be_bytes(get(bytes, 0)),
            batch_length: i32::from_be_bytes(get(bytes, 8)),
            leader_epoch: i32::from_be_bytes(get(bytes, LENGTH_END)),
            crc: u32::from_be_bytes(get(bytes, CRC)),
            attributes: u16::from_be_bytes(get(bytes, CHECKED)),
            last_offset_delta: i32::from_be_bytes(get(bytes, 23)),
            base_timestamp: i64::from_be_bytes(get(bytes, 27)),
            max_timestamp: i64::from_be_bytes(get(bytes, MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(get(bytes, 43)),
            producer_epoch: i16::from_be_bytes(get(bytes, 51)),
            base_sequence: i32::from_be_bytes(get(bytes, 53)),
            record_count: i32::from_be_bytes(get(bytes, 57)),
        }
    }

    /// Length of the whole batch in bytes.
    pub fn total_len(&self) -> usize {
        self.batch_length as usize + LENGTH_END
    }

    /// Offset of the last record; saturates, for a producer may have written any base offset.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Compression of the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for the three values without a meaning.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        match self.attributes & CODEC_MASK {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Gzip),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Lz4),
            4 => Ok(Codec::Zstd),
            other => Err(BatchError::Codec(other as u8)),
        }
    }

    /// Whose clock the timestamps come from.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::Create
        } else {
            TimestampType::LogAppend
        }
    }

    /// Part of a transaction (bit 4).
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// A control batch (bit 5).
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// Checks the batch at the start of `bytes` whole: header, checksum, count against offsets, codec.
///
/// `bytes` may go on behind the batch; compare [`Header::total_len`] where they must not. What it
/// accepts has at least one record and one offset per record, as a producer writes it. The records
/// themselves are not looked at.
///
/// # Errors
/// As [`Header::parse`]; then [`BatchError::Short`], [`BatchError::Crc`], [`BatchError::Count`] and
/// [`BatchError::Codec`], in this order.
pub fn check(bytes: &[u8]) -> Result<Header, BatchError> {
    let header = Header::parse(bytes)?;
    let need = header.total_len();
    let Some(batch) = bytes.get(..need) else {
        return Err(BatchError::Short { have: bytes.len(), need });
    };
    let computed = crc32c(&batch[CHECKED..]);
    if computed != header.crc {
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    let (count, delta) = (header.record_count, header.last_offset_delta);
    if count < 1 || delta != count - 1 {
        return Err(BatchError::Count { count, delta });
    }
    header.codec()?;
    Ok(header)
}

/// Patches the base offset; it lies outside the checksum.
///
/// # Panics
/// If `batch` is shorter than [`HEADER_LEN`].
pub fn set_base_offset(batch: &mut [u8], offset: i64) {
    put(header_mut(batch), 0, offset.to_be_bytes());
}

/// Patches the partition leader epoch; it lies outside the checksum.
///
/// # Panics
/// If `batch` is shorter than [`HEADER_LEN`].
pub fn set_leader_epoch(batch: &mut [u8], epoch: i32) {
    put(header_mut(batch), LENGTH_END, epoch.to_be_bytes());
}

/// Marks the batch with the broker's clock and computes the checksum anew.
///
/// `batch` is one whole checked batch and nothing behind it. From now on `timestamp_ms` is the
/// timestamp of each of its records, whatever they say themselves (KIP-32).
///
/// # Panics
/// If `batch` is shorter than [`HEADER_LEN`].
pub fn set_log_append_time(batch: &mut [u8], timestamp_ms: i64) {
    let fields = header_mut(batch);
    let attributes = u16::from_be_bytes(get(fields, CHECKED)) | LOG_APPEND_TIME;
    put(fields, CHECKED, attributes.to_be_bytes());
    put(fields, MAX_TIMESTAMP, timestamp_ms.to_be_bytes());
    set_checksum(batch);
}

/// Computes the checksum of `batch`, which ends where the slice does, and writes it in its place.
pub(crate) fn set_checksum(batch: &mut [u8]) {
    let crc = crc32c(&batch[CHECKED..]);
    put(header_mut(batch), CRC, crc.to_be_bytes());
}

fn header_mut(batch: &mut [u8]) -> &mut [u8; HEADER_LEN] {
    batch.first_chunk_mut().expect("a batch starts with a header")
}

fn get<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

fn put<const N: usize>(header: &mut [u8; HEADER_LEN], at: usize, field: [u8; N]) {
    header[at..at + N].copy_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 52,
            leader_epoch: 0x090a_0b0c,
            crc: 0x0d0e_0f10,
            attributes: 0x0004,
            last_offset_delta: 1,
            base_timestamp: 0x1112_1314_1516_1718,
            max_timestamp: 0x191a_1b1c_1d1e_1f20,
            producer_id: 0x2122_2324_2526_2728,
            producer_epoch: 0x292a,
            base_sequence: 0x2b2c_2d2e,
            record_count: 2,
        }
    }

    /// A batch with three bytes for records and a right checksum.
    fn batch(header: Header) -> Vec<u8> {
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(b"abc");
        set_checksum(&mut bytes);
        bytes
    }

    #[test]
    fn encode_lays_the_fields_out_as_the_protocol_says() {
        #[rustfmt::skip]
        let expected = [
            1, 2, 3, 4, 5, 6, 7, 8,  0, 0, 0, 52,  9, 10, 11, 12,  2,  13, 14, 15, 16,  0, 4,
            0, 0, 0, 1,  17, 18, 19, 20, 21, 22, 23, 24,  25, 26, 27, 28, 29, 30, 31, 32,
            33, 34, 35, 36, 37, 38, 39, 40,  41, 42,  43, 44, 45, 46,  0, 0, 0, 2,
        ];
        assert_eq!(header().encode(), expected);
        assert_eq!(Header::parse(&expected), Ok(header()));
    }

    #[test]
    fn parse_needs_a_header_and_a_length_that_holds_one() {
        let bytes = header().encode();
        for have in 0..HEADER_LEN {
            let short = BatchError::Short { have, need: HEADER_LEN };
            assert_eq!(Header::parse(&bytes[..have]), Err(short));
        }
        for length in [i32::MIN, -1, 0, 48] {
            let bytes = Header { batch_length: length, ..header() }.encode();
            assert_eq!(Header::parse(&bytes), Err(BatchError::Length(length)));
        }
    }

    #[test]
    fn old_formats_are_named_even_when_shorter_than_a_header() {
        // The smallest message of format 0: offset, size, crc, magic, attributes, null key, null
        // value; its size (14) is no possible batch length.
        let mut message = [0u8; 26];
        message[11] = 14;
        message[18..].fill(0xff);
        assert_eq!(check(&message), Err(BatchError::Magic(0)));
        message[MAGIC] = 1;
        assert_eq!(check(&message), Err(BatchError::Magic(1)));
        message[MAGIC] = 0xff;
        assert_eq!(check(&message), Err(BatchError::Magic(-1)));
    }

    #[test]
    fn check_takes_the_batch_at_the_start_and_leaves_the_rest() {
        let mut bytes = batch(header());
        let checked = check(&bytes).unwrap();
        assert_eq!(Header { crc: header().crc, ..checked }, header());
        assert_eq!(checked.total_len(), bytes.len());
        bytes.extend_from_slice(b"the next batch");
        assert_eq!(check(&bytes), Ok(checked));
        let have = checked.total_len() - 1;
        let short = BatchError::Short { have, need: have + 1 };
        assert_eq!(check(&bytes[..have]), Err(short));
    }

    #[test]
    fn counts_must_fit_the_offsets() {
        for (count, delta) in
            [(0, -1), (0, 0), (2, 2), (3, 1), (-1, -2), (i32::MIN, i32::MAX), (1, i32::MAX)]
        {
            let bytes = batch(Header { record_count: count, last_offset_delta: delta, ..header() });
            assert_eq!(check(&bytes), Err(BatchError::Count { count, delta }));
        }
        let largest =
            Header { record_count: i32::MAX, last_offset_delta: i32::MAX - 1, ..header() };
        assert!(check(&batch(largest)).is_ok());
    }

    #[test]
    fn codecs_without_a_meaning_are_refused() {
        for codec in 5..8 {
            let bytes = batch(Header { attributes: codec, ..header() });
            assert_eq!(check(&bytes), Err(BatchError::Codec(codec as u8)));
        }
    }

    #[test]
    fn offsets_saturate() {
        let header = Header { base_offset: i64::MAX, ..header() };
        assert_eq!(header.last_offset(), i64::MAX);
        assert_eq!(header.next_offset(), i64::MAX);
    }

    #[test]
    fn a_flipped_bit_is_refused_unless_it_is_in_a_field_the_broker_patches() {
        let bytes = batch(header());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let patched = matches!(bit / 8, 0..8 | LENGTH_END..MAGIC);
            assert_eq!(check(&flipped).is_ok(), patched, "bit {bit}");
        }
    }

    #[test]
    fn offset_and_epoch_are_patched_outside_the_checksum() {
        let mut bytes = batch(header());
        let before = check(&bytes).unwrap();
        set_base_offset(&mut bytes, 42);
        set_leader_epoch(&mut bytes, 7);
        let after = check(&bytes).unwrap();
        assert_eq!(after, Header { base_offset: 42, leader_epoch: 7, ..before });
        assert_eq!((after.last_offset(), after.next_offset()), (43, 44));
    }

    #[test]
    fn log_append_time_keeps_the_other_attributes() {
        let mut bytes = batch(header());
        let before = check(&bytes).unwrap();
        assert_eq!(before.timestamp_type(), TimestampType::Create);
        set_log_append_time(&mut bytes, 1_234);
        let after = check(&bytes).unwrap();
        assert_eq!(after.timestamp_type(), TimestampType::LogAppend);
        assert_eq!(after.codec(), Ok(Codec::Zstd));
        let expected =
            Header { attributes: 0x000c, max_timestamp: 1_234, crc: after.crc, ..before };
        assert_eq!(after, expected);
    }
}
