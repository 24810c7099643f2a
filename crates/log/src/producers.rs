//! Idempotent producers of one partition (KIP-98): which batch may come next, which came before.
//!
//! Per producer id the last five batches are remembered, because a client has at most five
//! requests in flight: a batch that repeats one of them, sequence for sequence, is a duplicate and
//! gets the first one's offset. Any other batch must follow the last. Sequences count records and
//! wrap from `i32::MAX` to 0. An id that nobody remembers may begin anywhere (KIP-360): its
//! history may have expired.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chaski_batch::Header;

use crate::bytes::{Bytes, Cut, put};
use crate::store::AppendError;

/// Batches remembered per producer: the requests a client may have in flight.
const BATCHES_MAX: usize = 5;

/// Producers remembered per partition. The ids are the clients' word, so there must be a limit;
/// past it those unused for longest are forgotten.
pub(crate) const PRODUCERS_MAX: usize = 1 << 16;

/// A producer that has not appended for so long is forgotten.
pub(crate) const EXPIRY_MS: i64 = 7 * 24 * 3600 * 1000;

/// What the log makes of a batch's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be appended.
    New,
    /// Appended before.
    Duplicate {
        /// Offset it got then.
        base_offset: i64,
        /// Offset after it.
        next_offset: i64,
    },
}

/// All producers of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
}

/// One producer: its epoch and its last batches, the newest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    epoch: i16,
    used_ms: i64,
    count: u8,
    batches: [Batch; BATCHES_MAX],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Batch {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// How to take back one [`Producers::record`].
#[derive(Debug)]
pub(crate) struct Undo {
    id: i64,
    before: Option<Producer>,
}

impl Producers {
    /// Judges a batch. Batches without a producer id are always new.
    pub(crate) fn judge(&self, header: &Header) -> Result<Verdict, AppendError> {
        let id = header.producer_id;
        if id < 0 {
            return Ok(Verdict::New);
        }
        let (got, epoch) = (header.base_sequence, header.producer_epoch);
        let out_of_order =
            |expected| AppendError::OutOfOrderSequence { producer_id: id, got, expected };
        let Some(producer) = self.by_id.get(&id) else {
            return if got >= 0 { Ok(Verdict::New) } else { Err(out_of_order(0)) };
        };
        if epoch < producer.epoch {
            let current = producer.epoch;
            return Err(AppendError::FencedEpoch { producer_id: id, got: epoch, current });
        }
        if epoch > producer.epoch {
            return if got == 0 { Ok(Verdict::New) } else { Err(out_of_order(0)) };
        }
        let last = last_sequence(header);
        let same = |b: &&Batch| b.first == got && b.last == last;
        if let Some(b) = producer.batches().iter().rev().find(same) {
            let next_offset = b.base_offset + i64::from(header.last_offset_delta) + 1;
            return Ok(Verdict::Duplicate { base_offset: b.base_offset, next_offset });
        }
        match producer.batches().last().map_or(0, |b| after(b.last)) {
            expected if expected == got => Ok(Verdict::New),
            expected => Err(out_of_order(expected)),
        }
    }

    /// Remembers a batch judged new, at its offset. None: it has no producer.
    pub(crate) fn record(
        &mut self,
        header: &Header,
        base_offset: i64,
        now_ms: i64,
    ) -> Option<Undo> {
        let id = header.producer_id;
        if id < 0 {
            return None;
        }
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&id) {
            self.forget_oldest();
        }
        let batch = Batch { first: header.base_sequence, last: last_sequence(header), base_offset };
        let before = match self.by_id.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(Producer::new(header.producer_epoch, now_ms, batch));
                None
            }
            Entry::Occupied(mut occupied) => {
                let before = *occupied.get();
                occupied.get_mut().add(header.producer_epoch, now_ms, batch);
                Some(before)
            }
        };
        Some(Undo { id, before })
    }

    /// Takes back a record, the last one first.
    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => self.by_id.insert(undo.id, before),
            None => self.by_id.remove(&undo.id),
        };
    }

    /// Forgets who has not appended for [`EXPIRY_MS`].
    pub(crate) fn expire(&mut self, now_ms: i64) {
        self.by_id.retain(|_, p| now_ms.saturating_sub(p.used_ms) < EXPIRY_MS);
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Makes room by an eighth, so that the cost is spread over as many new producers.
    fn forget_oldest(&mut self) {
        let mut used: Vec<i64> = self.by_id.values().map(|p| p.used_ms).collect();
        let (_, &mut cutoff, _) = used.select_nth_unstable(PRODUCERS_MAX / 8);
        let mut excess = PRODUCERS_MAX / 8;
        self.by_id.retain(|_, p| {
            let keep = excess == 0 || p.used_ms > cutoff;
            excess -= usize::from(!keep);
            keep
        });
    }
}

impl Producer {
    fn new(epoch: i16, used_ms: i64, batch: Batch) -> Producer {
        let mut batches = [Batch::default(); BATCHES_MAX];
        batches[0] = batch;
        Producer { epoch, used_ms, count: 1, batches }
    }

    fn add(&mut self, epoch: i16, used_ms: i64, batch: Batch) {
        if epoch != self.epoch {
            *self = Producer::new(epoch, used_ms, batch);
            return;
        }
        if usize::from(self.count) == BATCHES_MAX {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
        self.used_ms = used_ms;
    }

    fn batches(&self) -> &[Batch] {
        &self.batches[..usize::from(self.count)]
    }
}

/// Sequence of the last record of a batch.
fn last_sequence(header: &Header) -> i32 {
    let last = i64::from(header.base_sequence) + i64::from(header.last_offset_delta);
    (last & i64::from(i32::MAX)) as i32
}

/// The sequence that follows.
fn after(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}

/// Bytes of an encoded producer with no batch.
const ENCODED_MIN: usize = 8 + 2 + 8 + 1;

/// The part of a checkpoint that holds the producers.
///
/// ```text
/// count: u32, then per producer
/// id: i64 | epoch: i16 | used_ms: i64 | batches: u8 | batches x (first: i32, last: i32, base: i64)
/// ```
impl Producers {
    /// Appends the encoding to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put(out, &(self.by_id.len() as u32).to_be_bytes());
        for (id, producer) in &self.by_id {
            put(out, &id.to_be_bytes());
            put(out, &producer.epoch.to_be_bytes());
            put(out, &producer.used_ms.to_be_bytes());
            put(out, &[producer.count]);
            for batch in producer.batches() {
                put(out, &batch.first.to_be_bytes());
                put(out, &batch.last.to_be_bytes());
                put(out, &batch.base_offset.to_be_bytes());
            }
        }
    }

    /// Reads what [`Producers::encode`] wrote.
    pub(crate) fn decode(bytes: &mut Bytes<'_>) -> Result<Producers, Cut> {
        let count = u32::from_be_bytes(bytes.take()?) as usize;
        let mut by_id = HashMap::with_capacity(count.min(bytes.len() / ENCODED_MIN));
        for _ in 0..count {
            let id = i64::from_be_bytes(bytes.take()?);
            let producer = Producer::decode(bytes)?;
            by_id.insert(id, producer);
        }
        Ok(Producers { by_id })
    }
}

impl Producer {
    fn decode(bytes: &mut Bytes<'_>) -> Result<Producer, Cut> {
        let epoch = i16::from_be_bytes(bytes.take()?);
        let used_ms = i64::from_be_bytes(bytes.take()?);
        let [count] = bytes.take()?;
        let mut batches = [Batch::default(); BATCHES_MAX];
        for batch in batches.get_mut(..usize::from(count)).ok_or(Cut)? {
            batch.first = i32::from_be_bytes(bytes.take()?);
            batch.last = i32::from_be_bytes(bytes.take()?);
            batch.base_offset = i64::from_be_bytes(bytes.take()?);
        }
        Ok(Producer { epoch, used_ms, count, batches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: i64, epoch: i16, first: i32, records: i32) -> Header {
        Header {
            base_offset: 0,
            batch_length: 49,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: id,
            producer_epoch: epoch,
            base_sequence: first,
            record_count: records,
        }
    }

    /// Judges, and records what is new.
    fn offer(producers: &mut Producers, h: Header, offset: i64) -> Result<Verdict, AppendError> {
        let verdict = producers.judge(&h)?;
        if verdict == Verdict::New {
            producers.record(&h, offset, 0);
        }
        Ok(verdict)
    }

    fn out_of_order(got: i32, expected: i32) -> Result<Verdict, AppendError> {
        Err(AppendError::OutOfOrderSequence { producer_id: 7, got, expected })
    }

    #[test]
    fn a_batch_follows_or_repeats() {
        let mut p = Producers::default();
        for (i, first) in (0..60).step_by(10).enumerate() {
            assert_eq!(offer(&mut p, header(7, 0, first, 10), i as i64 * 10), Ok(Verdict::New));
        }
        let dup =
            |base_offset| Ok(Verdict::Duplicate { base_offset, next_offset: base_offset + 10 });
        assert_eq!(offer(&mut p, header(7, 0, 50, 10), 99), dup(50));
        assert_eq!(offer(&mut p, header(7, 0, 10, 10), 99), dup(10));
        assert_eq!(offer(&mut p, header(7, 0, 0, 10), 99), out_of_order(0, 60), "six batches ago");
        assert_eq!(offer(&mut p, header(7, 0, 50, 9), 99), out_of_order(50, 60));
        assert_eq!(offer(&mut p, header(7, 0, 61, 1), 99), out_of_order(61, 60));
        assert_eq!(offer(&mut p, header(-1, -1, -1, 1), 99), Ok(Verdict::New));
    }

    #[test]
    fn sequences_wrap() {
        let mut p = Producers::default();
        let first = i32::MAX - 1;
        assert_eq!(offer(&mut p, header(7, 0, first, 3), 0), Ok(Verdict::New));
        assert_eq!(offer(&mut p, header(7, 0, 0, 1), 3), out_of_order(0, 1));
        assert_eq!(offer(&mut p, header(7, 0, 1, 1), 3), Ok(Verdict::New));
        let dup = Verdict::Duplicate { base_offset: 0, next_offset: 3 };
        assert_eq!(offer(&mut p, header(7, 0, first, 3), 9), Ok(dup));
    }

    #[test]
    fn epochs_fence_and_begin_at_zero() {
        let mut p = Producers::default();
        assert_eq!(offer(&mut p, header(7, 3, 20, 1), 0), Ok(Verdict::New), "unknown id");
        let fenced = AppendError::FencedEpoch { producer_id: 7, got: 2, current: 3 };
        assert_eq!(offer(&mut p, header(7, 2, 21, 1), 1), Err(fenced));
        assert_eq!(offer(&mut p, header(7, 4, 21, 1), 1), out_of_order(21, 0));
        assert_eq!(offer(&mut p, header(7, 4, 0, 1), 1), Ok(Verdict::New));
        assert_eq!(offer(&mut p, header(7, 4, -1, 1), 1), out_of_order(-1, 1));
    }

    #[test]
    fn undo_restores_and_encoding_round_trips() {
        let mut p = Producers::default();
        offer(&mut p, header(7, 0, 0, 1), 0).unwrap();
        let before = p.by_id.clone();
        let second = p.record(&header(7, 0, 1, 1), 1, 5).unwrap();
        let other = p.record(&header(8, 0, 0, 1), 2, 5).unwrap();
        let mut encoded = Vec::new();
        p.encode(&mut encoded);
        assert_eq!(Producers::decode(&mut Bytes::new(&encoded)).unwrap().by_id, p.by_id);
        for cut in 0..encoded.len() {
            assert!(Producers::decode(&mut Bytes::new(&encoded[..cut])).is_err());
        }
        p.undo(other);
        p.undo(second);
        assert_eq!(p.by_id, before);
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_the_oldest_go_first() {
        let mut p = Producers::default();
        for id in 0..=PRODUCERS_MAX as i64 {
            p.record(&header(id, 0, 0, 1), id, id);
        }
        assert!(p.by_id.len() <= PRODUCERS_MAX);
        assert!(!p.by_id.contains_key(&0) && p.by_id.contains_key(&(PRODUCERS_MAX as i64)));
        p.expire(EXPIRY_MS + PRODUCERS_MAX as i64);
        assert!(p.by_id.is_empty());
    }
}
