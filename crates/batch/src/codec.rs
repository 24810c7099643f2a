//! The four ways to compress the records of a batch, each in the container that every client reads.
//!
//! - gzip: RFC 1952;
//! - snappy: snappy-java's stream, see the module;
//! - lz4: the LZ4 frame format, blocks independent of one another, for the Java client reads no
//!   other;
//! - zstd: RFC 8878, the frame says how much it holds.

use std::io::{Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::{BatchError, Codec, snappy};

/// `records` compressed.
pub(crate) fn compress(codec: Codec, records: Vec<u8>) -> Vec<u8> {
    match codec {
        Codec::None => records,
        Codec::Gzip => compress_gzip(&records),
        Codec::Snappy => snappy::compress(&records),
        Codec::Lz4 => compress_lz4(&records),
        Codec::Zstd => compress_zstd(&records),
    }
}

/// The records behind `bytes`, at most `limit` bytes of them.
pub(crate) fn inflate(codec: Codec, bytes: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    match codec {
        Codec::None if bytes.len() > limit => Err(BatchError::TooLarge(limit)),
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => read_all(codec, MultiGzDecoder::new(bytes), limit),
        Codec::Snappy => snappy::inflate(bytes, limit),
        Codec::Lz4 => read_all(codec, FrameDecoder::new(bytes), limit),
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|_| BatchError::Inflate(codec))?;
            read_all(codec, decoder, limit)
        }
    }
}

fn read_all(codec: Codec, reader: impl Read, limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    let one_more = (limit as u64).saturating_add(1);
    reader.take(one_more).read_to_end(&mut out).map_err(|_| BatchError::Inflate(codec))?;
    if out.len() > limit { Err(BatchError::TooLarge(limit)) } else { Ok(out) }
}

fn compress_gzip(records: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(records).and_then(|()| encoder.finish()).expect(INTO_MEMORY)
}

fn compress_lz4(records: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(records).expect(INTO_MEMORY);
    encoder.finish().expect(INTO_MEMORY)
}

fn compress_zstd(records: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(records, zstd::DEFAULT_COMPRESSION_LEVEL).expect(INTO_MEMORY)
}

const INTO_MEMORY: &str = "compressing from memory into memory does not fail";

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    #[test]
    fn what_is_compressed_inflates_within_the_exact_limit() {
        let text: Vec<u8> = (0..200_000u32).map(|i| (i / 11) as u8).collect();
        for codec in CODECS {
            let small = compress(codec, text.clone());
            assert!(small.len() < text.len() / 2, "{codec:?}");
            assert_eq!(inflate(codec, &small, text.len()).as_ref(), Ok(&text), "{codec:?}");
            let limit = text.len() - 1;
            assert_eq!(inflate(codec, &small, limit), Err(BatchError::TooLarge(limit)));
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for codec in CODECS {
            let bomb = compress(codec, vec![0; 16 << 20]);
            assert!(bomb.len() < 1 << 20, "{codec:?}");
            assert_eq!(inflate(codec, &bomb, 1 << 16), Err(BatchError::TooLarge(1 << 16)));
        }
    }

    #[test]
    fn bytes_that_are_not_compressed_are_refused() {
        for codec in CODECS {
            let error = Err(BatchError::Inflate(codec));
            assert_eq!(inflate(codec, b"these are not compressed bytes", 1 << 20), error);
        }
    }

    #[test]
    fn lz4_blocks_are_independent() {
        let frame = compress(Codec::Lz4, vec![7; 200_000]);
        assert_eq!(frame[..4], 0x184d_2204u32.to_le_bytes());
        // FLG: version 01, block independence, neither checksums nor a content size.
        assert_eq!(frame[4], 0x60);
    }
}
