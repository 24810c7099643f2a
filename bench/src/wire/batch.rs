//! Record batches, magic 2, encoded here and not by the product, so that the generator is a second
//! opinion on the format (KIP-98; `org.apache.kafka.common.record.DefaultRecordBatch`).
//!
//! ```text
//!  0 base offset i64 | 8 length i32 (of what follows) | 12 leader epoch i32 | 16 magic i8 = 2
//! 17 crc32c u32 of 21.. | 21 attributes i16 | 23 last offset delta i32 | 27 first timestamp i64
//! 35 max timestamp i64 | 43 producer id i64 | 51 epoch i16 | 53 base sequence i32
//! 57 record count i32 | 61 records
//! ```

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::ValueEnum;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;

/// Where the length, the last offset delta and the record count stand.
pub const LENGTH_AT: usize = 8;
pub const LAST_OFFSET_DELTA_AT: usize = 23;

const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Lz4,
}

/// What a record's value consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// One short phrase again and again, the same in every record: compresses about twentyfold.
    Pattern,
    /// Lines of made-up JSON, another in every record: compresses about threefold.
    Text,
    /// Noise: does not compress.
    Random,
}

/// An encoded batch and how many records it holds.
#[derive(Debug, Clone)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub records: u32,
}

/// A batch of `records` values of `value_bytes` each.
pub fn batch(records: u32, value_bytes: usize, payload: Payload, codec: Codec) -> Result<Batch> {
    let mut values = Values::new(payload);
    let mut body = Vec::new();
    for offset_delta in 0..records {
        record(&mut body, offset_delta, &values.next(value_bytes));
    }
    if codec == Codec::Lz4 {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&body)?;
        body = encoder.finish()?;
    }
    Ok(Batch { bytes: framed(&body, records, codec), records })
}

/// The largest batch of values of `value_bytes` each whose uncompressed form is at most
/// `bytes_max`.
pub fn batch_up_to(
    bytes_max: usize,
    value_bytes: usize,
    payload: Payload,
    codec: Codec,
) -> Result<Batch> {
    // Offset deltas up to 8191 take at most two bytes, and no batch here holds more records.
    const OFFSET_DELTA_MAX: u32 = 8191;
    let mut one = Vec::new();
    record(&mut one, OFFSET_DELTA_MAX, &vec![0; value_bytes]);
    batch(((bytes_max - HEADER_BYTES) / one.len()) as u32, value_bytes, payload, codec)
}

fn framed(body: &[u8], records: u32, codec: Codec) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let attributes: i16 = if codec == Codec::Lz4 { 3 } else { 0 };
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend(0i64.to_be_bytes());
    out.extend(((HEADER_BYTES - 12 + body.len()) as i32).to_be_bytes());
    out.extend((-1i32).to_be_bytes());
    out.push(2);
    out.extend([0; 4]);
    out.extend(attributes.to_be_bytes());
    out.extend((records as i32 - 1).to_be_bytes());
    out.extend(now.to_be_bytes());
    out.extend(now.to_be_bytes());
    out.extend((-1i64).to_be_bytes());
    out.extend((-1i16).to_be_bytes());
    out.extend((-1i32).to_be_bytes());
    out.extend((records as i32).to_be_bytes());
    out.extend(body);
    let crc = crc32c::crc32c(&out[ATTRIBUTES_AT..]);
    out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    out
}

fn record(out: &mut Vec<u8>, offset_delta: u32, value: &[u8]) {
    let mut inner = vec![0];
    varint(&mut inner, 0);
    varint(&mut inner, i64::from(offset_delta));
    varint(&mut inner, -1);
    varint(&mut inner, value.len() as i64);
    inner.extend(value);
    varint(&mut inner, 0);
    varint(out, inner.len() as i64);
    out.extend(inner);
}

/// Zigzag, then seven bits a byte, low first.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A stream of record values; the same stream in every run.
pub struct Values {
    payload: Payload,
    state: u64,
}

impl Values {
    pub fn new(payload: Payload) -> Values {
        Values { payload, state: 0x9e37_79b9_7f4a_7c15 }
    }

    pub fn next(&mut self, bytes: usize) -> Vec<u8> {
        let mut value = Vec::with_capacity(bytes + 64);
        while value.len() < bytes {
            match self.payload {
                Payload::Pattern => value.extend(b"one short phrase, again; "),
                Payload::Random => value.extend(self.noise().to_le_bytes()),
                Payload::Text => self.text(&mut value),
            }
        }
        value.truncate(bytes);
        value
    }

    fn text(&mut self, value: &mut Vec<u8>) {
        const WORDS: [&str; 8] =
            ["paid", "shipped", "returned", "lima", "cusco", "quito", "card", "cash"];
        let noise = self.noise();
        let word = |shift: u32| WORDS[(noise >> shift) as usize % WORDS.len()];
        let (id, cents) = (noise >> 40, noise % 100_000);
        let (state, city) = (word(3), word(6));
        value.extend(
            format!("{{\"id\":{id},\"state\":\"{state}\",\"to\":\"{city}\",\"cents\":{cents}}}\n")
                .bytes(),
        );
    }

    /// xorshift64 (Marsaglia 2003).
    fn noise(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_zigzag() {
        let encode = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!(encode(0), [0]);
        assert_eq!(encode(-1), [1]);
        assert_eq!(encode(64), [0x80, 1]);
    }

    #[test]
    fn batches_fill_but_never_exceed_their_limit() {
        for value_bytes in [100, 1024] {
            let full = batch_up_to(65_536, value_bytes, Payload::Random, Codec::None).unwrap();
            assert!(full.bytes.len() <= 65_536);
            assert!(full.bytes.len() > 65_536 - 2 * value_bytes - 16);
            let length = i32::from_be_bytes(full.bytes[8..12].try_into().unwrap());
            assert_eq!(length as usize, full.bytes.len() - 12);
        }
    }

    #[test]
    fn payloads_compress_as_documented() {
        let size = |payload, codec| batch(600, 100, payload, codec).unwrap().bytes.len() as f64;
        let ratio = |payload| size(payload, Codec::None) / size(payload, Codec::Lz4);
        assert!(ratio(Payload::Random) < 1.1);
        assert!((1.5..6.0).contains(&ratio(Payload::Text)), "{}", ratio(Payload::Text));
        assert!(ratio(Payload::Pattern) > 10.0, "{}", ratio(Payload::Pattern));
    }
}
