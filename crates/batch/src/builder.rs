//! Makes a batch from records: the mirror of `records`, for clients, tests and benchmarks.

use crate::codec::compress;
use crate::header::{BatchError, Codec, HEADER_LEN, Header, set_checksum};
use crate::varint;

/// The largest batch whose length the header can state, and then some room for incompressible
/// records to grow in.
const RECORDS_BYTES_MAX: usize = i32::MAX as usize - (16 << 20);

/// What the header says where there is no idempotent producer, or no leader yet.
const NONE: i8 = -1;

/// A batch in the making.
///
/// ```
/// use chaski_batch::{Builder, Codec, check};
///
/// let mut builder = Builder::new(Codec::Zstd).producer(4_000, 0, 17);
/// builder.push(1_700_000_000_000, None, Some(b"first"), &[]);
/// builder.push(1_700_000_000_001, None, Some(b"second"), &[]);
/// let header = check(&builder.build()?)?;
/// assert_eq!((header.record_count, header.base_sequence), (2, 17));
/// # Ok::<(), chaski_batch::BatchError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    codec: Codec,
    attributes: u16,
    base_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    count: i64,
    /// The records so far, not compressed.
    records: Vec<u8>,
}

impl Builder {
    /// No records yet, base offset 0, no producer id.
    pub fn new(codec: Codec) -> Builder {
        Builder {
            codec,
            attributes: codec as u16,
            base_offset: 0,
            base_timestamp: NONE.into(),
            max_timestamp: NONE.into(),
            producer_id: NONE.into(),
            producer_epoch: NONE.into(),
            base_sequence: NONE.into(),
            count: 0,
            records: Vec::new(),
        }
    }

    /// Names the idempotent producer (KIP-98) and the sequence number of the first record.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Builder {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> Builder {
        self.attributes |= crate::header::TRANSACTIONAL;
        self
    }

    /// Marks the batch as a control batch.
    pub fn control(mut self) -> Builder {
        self.attributes |= crate::header::CONTROL;
        self
    }

    /// Sets the offset of the first record, which a broker replaces.
    pub fn base_offset(mut self, offset: i64) -> Builder {
        self.base_offset = offset;
        self
    }

    /// Adds a record; `timestamp` is in milliseconds since the epoch.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = self.count;
        self.count += 1;

        let length = 1
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + bytes_len(key)
            + bytes_len(value)
            + headers_len(headers);
        let out = &mut self.records;
        out.reserve(length + varint::len(length as i64));
        varint::put(out, length as i64);
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, offset_delta);
        put_bytes(out, key);
        put_bytes(out, value);
        varint::put(out, headers.len() as i64);
        for &(key, value) in headers {
            put_bytes(out, Some(key.as_bytes()));
            put_bytes(out, value);
        }
    }

    /// Records so far.
    pub fn record_count(&self) -> usize {
        self.count as usize
    }

    /// No records so far.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes the batch would have without compression.
    pub fn bytes(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// The batch, checksum and all.
    ///
    /// # Errors
    /// [`BatchError::Count`] without a record; [`BatchError::TooLarge`] for about 2 GiB of them.
    pub fn build(self) -> Result<Vec<u8>, BatchError> {
        self.check()?;
        let mut header = self.header();
        let records = compress(self.codec, self.records);
        header.batch_length = (HEADER_LEN - 12 + records.len()) as i32;
        let mut batch = Vec::with_capacity(header.total_len());
        batch.extend_from_slice(&header.encode());
        batch.extend_from_slice(&records);
        set_checksum(&mut batch);
        Ok(batch)
    }

    /// As [`Builder::build`], but without compression where that makes it larger: the batch has
    /// [`Builder::bytes`] at most.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn build_smallest(mut self) -> Result<Vec<u8>, BatchError> {
        if self.codec == Codec::None {
            return self.build();
        }
        let plain = self.bytes();
        let compressed = self.clone().build()?;
        if compressed.len() <= plain {
            return Ok(compressed);
        }
        self.attributes &= !(self.codec as u16);
        self.codec = Codec::None;
        self.build()
    }

    /// Writes the batch where it is to be, and no further copy of it is made: `out` has as many
    /// bytes as [`Builder::bytes`] says. The builder is as it was; [`Builder::clear`] begins anew.
    ///
    /// # Errors
    /// As [`Builder::build`].
    ///
    /// # Panics
    /// If `out` is of another size, or the batch is to be compressed: then its size is not known
    /// before.
    pub fn write(&self, out: &mut [u8]) -> Result<(), BatchError> {
        self.check()?;
        assert_eq!(self.codec, Codec::None, "its size is known");
        assert_eq!(out.len(), self.bytes(), "room for the batch and no more");
        let (header, records) = out.split_at_mut(HEADER_LEN);
        header.copy_from_slice(&self.header().encode());
        records.copy_from_slice(&self.records);
        set_checksum(out);
        Ok(())
    }

    /// Forgets its records, and keeps the memory they were in for others.
    pub fn clear(&mut self) {
        self.count = 0;
        self.base_timestamp = NONE.into();
        self.max_timestamp = NONE.into();
        self.records.clear();
    }

    fn check(&self) -> Result<(), BatchError> {
        if self.count == 0 {
            return Err(BatchError::Count { count: 0, delta: -1 });
        }
        if self.records.len() > RECORDS_BYTES_MAX {
            return Err(BatchError::TooLarge(RECORDS_BYTES_MAX));
        }
        Ok(())
    }

    /// The header of the batch as it would be without compression, but for the checksum.
    fn header(&self) -> Header {
        Header {
            base_offset: self.base_offset,
            batch_length: (HEADER_LEN - 12 + self.records.len()) as i32,
            leader_epoch: NONE.into(),
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: (self.count - 1) as i32,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count as i32,
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::len(-1),
        Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
    }
}

fn headers_len(headers: &[(&str, Option<&[u8]>)]) -> usize {
    let each =
        headers.iter().map(|&(key, value)| bytes_len(Some(key.as_bytes())) + bytes_len(value));
    varint::len(headers.len() as i64) + each.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn a_batch_has_the_bytes_the_protocol_says() {
        let mut builder = Builder::new(Codec::None);
        builder.push(1_000, Some(b"k"), Some(b"v"), &[("h", None)]);
        assert_eq!((builder.record_count(), builder.bytes()), (1, 61 + 12));
        let batch = builder.build().unwrap();
        let header = check(&batch).unwrap();
        assert_eq!(header.total_len(), batch.len());
        assert_eq!(batch[HEADER_LEN..], *b"\x16\0\0\0\x02k\x02v\x02\x02h\x01");
        assert_eq!((header.base_timestamp, header.max_timestamp), (1_000, 1_000));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
        assert_eq!((header.base_offset, header.leader_epoch), (0, -1));
    }

    #[test]
    fn marks_reach_the_header() {
        let mut builder =
            Builder::new(Codec::Lz4).producer(9, 2, 5).transactional().control().base_offset(70);
        builder.push(3, None, None, &[]);
        builder.push(1, None, None, &[]);
        let header = check(&builder.build().unwrap()).unwrap();
        assert!(header.is_transactional() && header.is_control());
        assert_eq!(header.codec(), Ok(Codec::Lz4));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 2, 5));
        assert_eq!((header.base_offset, header.last_offset()), (70, 71));
        assert_eq!((header.base_timestamp, header.max_timestamp), (3, 3));
    }

    #[test]
    fn a_batch_written_in_place_is_the_one_that_is_built() {
        let mut builder = Builder::new(Codec::None).producer(9, 2, 5);
        for round in 0..2 {
            builder.push(7 + round, Some(b"key"), Some(b"value"), &[("h", Some(b"x"))]);
            builder.push(5, None, None, &[]);
            let mut written = vec![0xee; builder.bytes()];
            builder.write(&mut written).unwrap();
            assert_eq!(Ok(written), builder.clone().build());
            builder.clear();
            assert!(builder.is_empty());
        }
        let count = BatchError::Count { count: 0, delta: -1 };
        assert_eq!(builder.write(&mut [0; HEADER_LEN]), Err(count));
    }

    #[test]
    fn what_cannot_be_compressed_is_not_made_larger() {
        let noise: Vec<u8> =
            (0..100_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut builder = Builder::new(codec);
            builder.push(1, None, Some(&noise), &[]);
            let bytes = builder.bytes();
            let batch = builder.build_smallest().unwrap();
            assert_eq!((batch.len(), check(&batch).unwrap().codec()), (bytes, Ok(Codec::None)));

            let mut builder = Builder::new(codec);
            builder.push(1, None, Some(&[7; 1000]), &[]);
            let built = builder.clone().build().unwrap();
            assert_eq!(check(&built).unwrap().codec(), Ok(codec));
            assert_eq!(builder.build_smallest(), Ok(built));
        }
    }

    #[test]
    fn no_records_make_no_batch() {
        let error = Builder::new(Codec::None).build();
        assert_eq!(error, Err(BatchError::Count { count: 0, delta: -1 }));
    }
}
