//! Where records begin, as the publisher remembers it in private memory: so that it never reads
//! back what others could see.

use std::collections::VecDeque;

use super::super::record::WORD;
use super::layout::Layout;

/// Where a subscriber begins: the place of a record, and its number.
///
/// The publisher chooses it ([`Publisher::subscribe`](super::Publisher::subscribe)); it travels to
/// the subscriber outside the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// In bytes since the ring was new.
    pub position: u64,
    /// The record's sequence number.
    pub sequence: u64,
}

/// Pieces of a ring in each of which one start is remembered.
const SEGMENTS: usize = 64;

/// The first record that begins in each segment of the ring.
///
/// Of the records in a ring there may be millions; where the oldest that is kept begins need not be
/// known to the record.
#[derive(Debug)]
pub(super) struct Starts {
    /// For segment `n`, at `n % marks.len()`: the first record that begins there or behind. Two
    /// laps of segments, so that no one asked for was replaced.
    marks: Box<[Start]>,
    /// Bytes of a segment, as a power of two.
    shift: u32,
    /// The first segment without a mark.
    next: u64,
}

impl Starts {
    pub(super) fn new(layout: &Layout) -> Self {
        let segment = (layout.capacity() / SEGMENTS).max(WORD);
        let nowhere = Start { position: 0, sequence: 0 };
        let marks = vec![nowhere; 2 * layout.capacity() / segment].into();
        Starts { marks, shift: segment.trailing_zeros(), next: 0 }
    }

    /// A record begins here, behind all that were noted before.
    #[inline]
    pub(super) fn note(&mut self, start: Start) {
        while self.next << self.shift <= start.position {
            let at = self.at(self.next);
            self.marks[at] = start;
            self.next += 1;
        }
    }

    /// The first start known that is at `position` or behind, which is less than a lap ago. `end`
    /// is where the next record will begin.
    pub(super) fn at_or_after(&self, position: u64, end: Start) -> Start {
        let segment = position.div_ceil(1 << self.shift);
        if segment < self.next { self.marks[self.at(segment)] } else { end }
    }

    #[inline]
    fn at(&self, segment: u64) -> usize {
        segment as usize & (self.marks.len() - 1)
    }
}

/// Where the last records begin, for those who come late.
#[derive(Debug)]
pub(super) struct History {
    positions: VecDeque<u64>,
    keep: usize,
}

impl History {
    /// Remembers `keep` records, or as many as a ring can hold.
    pub(super) fn new(keep: usize, layout: &Layout) -> Self {
        let keep = keep.min(layout.capacity() / (2 * WORD));
        History { positions: VecDeque::with_capacity(keep), keep }
    }

    /// A record begins here, behind all that were noted before.
    #[inline]
    pub(super) fn note(&mut self, position: u64) {
        if self.keep == 0 {
            return;
        }
        if self.positions.len() == self.keep {
            self.positions.pop_front();
        }
        self.positions.push_back(position);
    }

    /// Where to begin to get the last `count` records, or as many of them as are remembered and
    /// not before `oldest`. `end` is where the next record will begin.
    pub(super) fn back(&self, count: usize, oldest: u64, end: Start) -> Start {
        let whole = self.positions.partition_point(|position| *position < oldest);
        let first = whole.max(self.positions.len().saturating_sub(count));
        match self.positions.get(first) {
            Some(position) => {
                let count = (self.positions.len() - first) as u64;
                Start { position: *position, sequence: end.sequence - count }
            }
            None => end,
        }
    }
}
