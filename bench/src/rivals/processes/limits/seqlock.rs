//! A ring of slots, each with a sequence number, that one process overwrites and any number reads,
//! knowing nothing of each other: no publisher has less to do.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use anyhow::Result;

use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::{Shareable, Shared};
use crate::rivals::processes::{Opens, Publishes, Read, Spec, Subscribes};

/// Messages that are kept.
const SLOTS: usize = 1024;

/// Words of a message of 64 bytes.
const WORDS: usize = 8;

#[derive(Debug)]
#[repr(C)]
struct Ring([Slot; SLOTS]);

/// Two lines: the number is twice that of the message, and odd while it is written.
#[derive(Debug)]
#[repr(C, align(128))]
struct Slot {
    number: AtomicU64,
    words: [AtomicU64; WORDS],
}

// SAFETY: atomics, of which zero is a value.
unsafe impl Shareable for Ring {}

#[derive(Debug)]
pub struct Publisher {
    ring: Shared<Ring>,
    number: u64,
}

#[derive(Debug)]
pub struct Subscribers {
    ring: Shared<Ring>,
    /// Of each subscriber, the number it waits for.
    next: Vec<u64>,
}

impl Opens for Publisher {
    fn open(links: &[&Link], _: Spec) -> Result<Publisher> {
        Ok(Publisher { ring: Shared::give(links[0])?, number: 0 })
    }
}

impl Opens for Subscribers {
    fn open(links: &[&Link], _: Spec) -> Result<Subscribers> {
        Ok(Subscribers { ring: Shared::take(links[0])?, next: vec![1; links.len()] })
    }
}

impl Publishes for Publisher {
    fn publish(&mut self, message: &[u8]) -> Result<()> {
        self.number += 1;
        let slot = &self.ring.0[self.number as usize % SLOTS];
        slot.number.store(2 * self.number - 1, Ordering::Relaxed);
        // ORDERING: pairs with the fence in `copy`; who sees a word of this message sees that its
        // slot is being written.
        fence(Ordering::Release);
        for (word, bytes) in slot.words.iter().zip(message.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        // ORDERING: pairs with the acquire in `poll`; the words are there before their number.
        slot.number.store(2 * self.number, Ordering::Release);
        Ok(())
    }
}

impl Subscribes for Subscribers {
    fn poll(&mut self, at: usize, mut read: impl Read) -> Result<bool> {
        self.catch_up(at);
        let next = &mut self.next[at];
        let slot = &self.ring.0[*next as usize % SLOTS];
        // ORDERING: pairs with the release in `publish`.
        let number = slot.number.load(Ordering::Acquire);
        if number == 2 * *next
            && let Some(words) = copy(slot, number)
        {
            *next += 1;
            read(words.as_flattened())?;
            return Ok(true);
        }
        Ok(false)
    }
}

impl Subscribers {
    /// Goes on half a ring behind what lies in its place, if the publisher is a round ahead.
    fn catch_up(&mut self, at: usize) {
        let next = &mut self.next[at];
        // ORDERING: no words are read by this number.
        let number = self.ring.0[*next as usize % SLOTS].number.load(Ordering::Relaxed);
        if number > 2 * *next {
            *next = number / 2 + 1 - SLOTS as u64 / 2;
        }
    }
}

/// None if it was overwritten meanwhile.
fn copy(slot: &Slot, number: u64) -> Option<[[u8; 8]; WORDS]> {
    let words = slot.words.each_ref().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
    // ORDERING: pairs with the fence in `publish`.
    fence(Ordering::Acquire);
    (slot.number.load(Ordering::Relaxed) == number).then_some(words)
}
