//! Which partition a record goes to.
//!
//! With a key: where Kafka's Java clients put it, so that one key's records stay together whoever
//! sends them. Without: one partition until its batch goes, then the next (KIP-480), so that
//! batches are full.

/// Chooses among the partitions of one topic.
#[derive(Debug)]
pub(super) struct Partitioner {
    count: u32,
    sticky: u32,
}

impl Partitioner {
    /// Records without a key begin at partition `start`, modulo `count`.
    ///
    /// # Panics
    /// If `count` is 0.
    pub(super) fn new(count: u32, start: u32) -> Partitioner {
        assert!(count > 0, "a topic has partitions");
        Partitioner { count, sticky: start % count }
    }

    /// The partition for a record with this key.
    pub(super) fn choose(&self, key: Option<&[u8]>) -> u32 {
        match key {
            // Java takes the hash for positive by dropping its sign.
            Some(key) => (murmur2(key) & 0x7fff_ffff) as u32 % self.count,
            None => self.sticky,
        }
    }

    /// A batch of this partition goes: records without a key turn to another.
    pub(super) fn batch_goes(&mut self, partition: u32) {
        if partition == self.sticky {
            self.sticky = (self.sticky + 1) % self.count;
        }
    }
}

/// MurmurHash2 of Austin Appleby, 32 bits, with the seed that Kafka's clients use.
fn murmur2(bytes: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of Kafka's Java client.
    #[test]
    fn the_hash_is_that_of_the_java_client() {
        assert_eq!(murmur2(b"21"), -973_932_308);
        assert_eq!(murmur2(b"foobar"), -790_332_482);
        assert_eq!(murmur2(b"a-little-bit-long-string"), -985_981_536);
        assert_eq!(murmur2(b"a-little-bit-longer-string"), -1_486_304_829);
        let longest = b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8";
        assert_eq!(murmur2(longest), -58_897_971);
        assert_eq!(murmur2(b"abc"), 479_470_107);
    }

    #[test]
    fn a_key_keeps_its_partition() {
        let mut partitioner = Partitioner::new(7, 0);
        let before = partitioner.choose(Some(b"foobar"));
        partitioner.batch_goes(before);
        assert_eq!(partitioner.choose(Some(b"foobar")), before);
        assert_eq!(before, ((-790_332_482i32 & 0x7fff_ffff) % 7) as u32);
    }

    #[test]
    fn records_without_a_key_turn_to_the_next_partition_with_each_batch() {
        let mut partitioner = Partitioner::new(3, 5);
        assert_eq!(partitioner.choose(None), 2);
        assert_eq!(partitioner.choose(None), 2);
        partitioner.batch_goes(1);
        assert_eq!(partitioner.choose(None), 2);
        partitioner.batch_goes(2);
        assert_eq!(partitioner.choose(None), 0);
    }
}
