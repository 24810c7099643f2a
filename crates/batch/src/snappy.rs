//! Snappy as Kafka uses it: the stream format of snappy-java, which no specification describes.
//!
//! ```text
//! | 82 "SNAPPY" 00 | version i32 | oldest reader i32 | length i32 | block | length i32 | block ...
//! ```
//!
//! Integers are big-endian, a block is one raw snappy block of at most 32 KiB inflated. The Java
//! client writes this and librdkafka a single raw block without any frame; every client reads the
//! former, so that is what is written here, and both are read. A raw block cannot be mistaken for
//! a stream: read as a raw block, the magic begins with a copy of bytes that are not there yet.

use snap::raw::{Decoder, Encoder, decompress_len};

use crate::{BatchError, Codec};

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// The magic, then the writer's version and the oldest version that can read it, both 1.
const STREAM_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const BLOCK_BYTES: usize = 32 << 10;

const DAMAGED: BatchError = BatchError::Inflate(Codec::Snappy);

/// `bytes` as a stream of blocks.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = STREAM_HEADER.to_vec();
    let mut encoder = Encoder::new();
    for chunk in bytes.chunks(BLOCK_BYTES) {
        let block = encoder.compress_vec(chunk).expect("a small block has room in its own buffer");
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

/// The bytes behind a stream or a raw block, at most `limit` of them.
pub(crate) fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    if !bytes.starts_with(MAGIC) {
        inflate_block(bytes, limit, &mut out)?;
        return Ok(out);
    }
    // The two version numbers are not looked at: clients have been seen to write others than 1.
    let mut rest = bytes.get(STREAM_HEADER.len()..).ok_or(DAMAGED)?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, tail) = tail.split_at_checked(length).ok_or(DAMAGED)?;
        inflate_block(block, limit, &mut out)?;
        rest = tail;
    }
    Ok(out)
}

fn inflate_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let length = decompress_len(block).map_err(|_| DAMAGED)?;
    let start = out.len();
    if length > limit - start {
        return Err(BatchError::TooLarge(limit));
    }
    out.resize(start + length, 0);
    let written = Decoder::new().decompress(block, &mut out[start..]).map_err(|_| DAMAGED)?;
    if written == length { Ok(()) } else { Err(DAMAGED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_from_the_java_client_is_read() {
        // Two blocks, the first of "abc", the second of "def": each a length, a literal tag, data.
        let stream = [&STREAM_HEADER[..], b"\0\0\0\x05\x03\x08abc", b"\0\0\0\x05\x03\x08def"];
        assert_eq!(inflate(&stream.concat(), 6).unwrap(), b"abcdef");
        assert_eq!(inflate(&stream.concat(), 5), Err(BatchError::TooLarge(5)));
    }

    #[test]
    fn a_raw_block_is_read() {
        assert_eq!(inflate(b"\x03\x08abc", 3).unwrap(), b"abc");
        assert_eq!(inflate(b"\x03\x08abc", 2), Err(BatchError::TooLarge(2)));
    }

    #[test]
    fn the_magic_is_no_raw_block() {
        let padded = [&MAGIC[..], &[0; 32 << 10]].concat();
        assert!(Decoder::new().decompress_vec(&padded).is_err());
    }

    #[test]
    fn large_input_is_cut_into_blocks() {
        let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 1).map(|i| (i / 7) as u8).collect();
        let stream = compress(&bytes);
        assert!(stream.starts_with(STREAM_HEADER));
        assert_eq!(inflate(&stream, bytes.len()).unwrap(), bytes);
        assert_eq!(inflate(&compress(b""), 0).unwrap(), b"");
    }

    #[test]
    fn cut_streams_and_claims_without_data_are_refused() {
        let stream = compress(b"some bytes to compress");
        for cut in MAGIC.len()..stream.len() {
            // Cut right behind the header it is a stream of no blocks.
            let expected = if cut == STREAM_HEADER.len() { Ok(vec![]) } else { Err(DAMAGED) };
            assert_eq!(inflate(&stream[..cut], 1 << 20), expected, "cut at {cut}");
        }
        assert_eq!(inflate(b"", 1 << 20), Err(DAMAGED));
        // A block that claims 4 GiB - 1.
        let claim = b"\xff\xff\xff\xff\x0f\0";
        assert_eq!(inflate(claim, 1 << 20), Err(BatchError::TooLarge(1 << 20)));
    }
}
