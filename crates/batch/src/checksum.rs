//! The checksum of a batch: CRC32C (Castagnoli; RFC 3720, appendix B.4), in hardware where there
//! is any.
//!
//! The `crc32c` crate keeps three CRC instructions in flight at once. On a machine with SSE 4.2
//! and without AVX-512 that gave 22 GB/s over 64 KiB and 24 GB/s over 1 MiB, where folding with
//! carry-less multiplication (`crc-fast`) gave 17 GB/s; at 100 bytes both take 9 to 16 ns.

/// CRC32C of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
