//! Which partition a record goes to. Producers of every kind ask here, in the process of the broker
//! and outside of it.

/// How a producer chooses a partition for a record that does not name one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partitioner {
    /// As Kafka's Java client: by murmur2 of the key, so that both agree; records without a key
    /// stay together until the next flush, so that batches are few (KIP-480).
    #[default]
    Kafka,
    /// One after the other, whatever the key.
    RoundRobin,
    /// Always this one.
    Fixed(i32),
}

/// A partitioner at work.
///
/// ```
/// use chaski_local::{Chooser, Partitioner};
///
/// let mut chooser = Chooser::new(Partitioner::Kafka, 0);
/// assert_eq!(chooser.choose(Some(b"abc"), 4), 3, "wherever it is asked");
/// ```
#[derive(Debug)]
pub struct Chooser {
    partitioner: Partitioner,
    /// Counts up: once a flush, or once a record where they go round.
    turn: u32,
}

impl Chooser {
    /// `turn` is where it begins: anywhere, lest all producers begin with the same partition.
    pub fn new(partitioner: Partitioner, turn: u32) -> Chooser {
        Chooser { partitioner, turn }
    }

    /// A partition out of so many, of which there is at least one.
    pub fn choose(&mut self, key: Option<&[u8]>, partitions: usize) -> i32 {
        let partitions = partitions.max(1) as u32;
        match (self.partitioner, key) {
            (Partitioner::Fixed(partition), _) => partition,
            (Partitioner::Kafka, Some(key)) => ((murmur2(key) & 0x7fff_ffff) % partitions) as i32,
            (Partitioner::Kafka, None) => (self.turn % partitions) as i32,
            (Partitioner::RoundRobin, _) => {
                self.turn = self.turn.wrapping_add(1);
                (self.turn % partitions) as i32
            }
        }
    }

    /// Records without a key go elsewhere from now on.
    pub fn flushed(&mut self) {
        if self.partitioner == Partitioner::Kafka {
            self.turn = self.turn.wrapping_add(1);
        }
    }
}

/// MurmurHash2, 32 bits, with the seed of Kafka's Java client.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ k >> 24).wrapping_mul(M)
    };
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_that_of_the_java_client() {
        // Source: org.apache.kafka.common.utils.UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn keyless_records_stay_together_until_a_flush() {
        let mut chooser = Chooser::new(Partitioner::Kafka, u32::MAX - 1);
        let mut seen = Vec::new();
        for _ in 0..6 {
            let first = chooser.choose(None, 3);
            assert_eq!(chooser.choose(None, 3), first);
            seen.push(first);
            chooser.flushed();
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1, 2], "all have their turn");
    }

    #[test]
    fn the_others_do_as_they_say() {
        let mut round = Chooser::new(Partitioner::RoundRobin, 7);
        let chosen: Vec<i32> = (0..3).map(|_| round.choose(Some(b"same"), 2)).collect();
        assert_eq!(chosen, [0, 1, 0]);
        assert_eq!(Chooser::new(Partitioner::Fixed(5), 0).choose(None, 2), 5);
    }
}
