//! What a broadcast tells a third party that maps it read-only.

use super::super::error::AttachError;
use super::super::extent::Extent;
use super::super::layout::{BELL, BYTES, DOZE, MESSAGES, STALLS};
use super::super::memory::Words;
use super::layout::{CUT_OFF, LOST, Layout, OLDEST, OVERWRITTEN, POSITION, SUBSCRIBERS};

/// Reads the counters of a broadcast that others use.
///
/// Each counter is written by its owner with a plain store, so that counting costs nothing; whoever
/// reads them gets values that are each right but not of one moment, and that an owner can forge.
#[derive(Debug)]
pub struct Observer<M> {
    layout: Layout,
    words: Words,
    /// What keeps the words in place.
    _memory: M,
}

/// What a publisher counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records that were published.
    pub records: u64,
    /// Payload bytes of those.
    pub bytes: u64,
    /// Records of those that have been written over, or are about to be.
    pub overwritten: u64,
    /// Bytes of the records that are still there, with their headers and pads.
    pub bytes_kept: u64,
    /// Up to where records are published, in bytes since the ring was new. Divided by the capacity
    /// it says how often the ring was gone round.
    pub tail: u64,
    /// Times a publication had to wait for a subscriber, counted once until one goes through.
    pub full_stalls: u64,
    /// Subscribers now.
    pub subscribers: u64,
    /// Subscribers that were cut off.
    pub cut_off: u64,
    /// Times a subscriber was woken.
    pub wakes: u64,
    /// Whether the publisher sleeps, waiting for room.
    pub sleeps: bool,
}

/// What a subscriber counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberStats {
    /// Records that it took.
    pub received: u64,
    /// Payload bytes of those.
    pub bytes: u64,
    /// Records that it knows to have lost.
    pub lost: u64,
    /// Up to where it has read, in bytes since the ring was new; up to an eighth of the ring more
    /// if it is at work. From here to the publisher's tail it lags.
    pub cursor: u64,
    /// Whether it sleeps, waiting for records.
    pub sleeps: bool,
}

impl<M: Extent> Observer<M> {
    /// Looks on at a publisher's area, whose capacity it learns from there.
    ///
    /// # Errors
    ///
    /// Where there is no such area: see [`AttachError`].
    pub fn attach(area: M) -> Result<Self, AttachError> {
        let (layout, words) = Layout::read_publisher(&area)?;
        Ok(Observer { layout, words, _memory: area })
    }

    /// The sizes of the ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The publisher's counters now.
    pub fn stats(&self) -> Stats {
        stats(&self.words)
    }
}

/// Reads the counters of a subscriber that somebody else is.
#[derive(Debug)]
pub struct SubscriberObserver<M> {
    words: Words,
    /// What keeps the words in place.
    _memory: M,
}

impl<M: Extent> SubscriberObserver<M> {
    /// Looks on at a subscriber's page.
    ///
    /// # Errors
    ///
    /// Where it is no such page: see [`AttachError`].
    pub fn attach(page: M) -> Result<Self, AttachError> {
        let (_, words) = Layout::read_subscriber(&page)?;
        Ok(SubscriberObserver { words, _memory: page })
    }

    /// The subscriber's counters now.
    pub fn stats(&self) -> SubscriberStats {
        SubscriberStats {
            received: self.words.load(MESSAGES),
            bytes: self.words.load(BYTES),
            lost: self.words.load(LOST),
            cursor: self.words.load(POSITION),
            sleeps: self.words.load(DOZE) % 2 == 1,
        }
    }
}

/// The counters in a publisher's area.
pub(super) fn stats(words: &Words) -> Stats {
    let tail = words.load(POSITION);
    Stats {
        records: words.load(MESSAGES),
        bytes: words.load(BYTES),
        overwritten: words.load(OVERWRITTEN),
        bytes_kept: tail.saturating_sub(words.load(OLDEST)),
        tail,
        full_stalls: words.load(STALLS),
        subscribers: words.load(SUBSCRIBERS),
        cut_off: words.load(CUT_OFF),
        wakes: words.load(BELL),
        sleeps: words.load(DOZE) % 2 == 1,
    }
}
