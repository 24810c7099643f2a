//! Blocks of messages that one process fills and another empties: no message can be handed over
//! with less work than its share of a block, once it is copied in and copied out.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::{Shareable, Shared};
use crate::rivals::processes::{MESSAGE_BYTES_MAX, Opens, Pulls, Pushes, Read, Spec};
use crate::workloads::padded::Padded;

/// Bytes that change cores at once: small enough for the caches, large enough that the words which
/// say so do not count.
const BLOCK_BYTES: usize = 32 * 1024;

/// Blocks on the way.
const BLOCKS: usize = 4;

#[derive(Debug)]
#[repr(C)]
struct Blocks {
    filled: Padded<AtomicU64>,
    emptied: Padded<AtomicU64>,
    blocks: [Padded<UnsafeCell<[u8; MESSAGE_BYTES_MAX]>>; BLOCKS],
}

// SAFETY: the two counts say which side's turn it is to touch a block.
unsafe impl Sync for Blocks {}

// SAFETY: atomics and cells of bytes, of which zeros are values.
unsafe impl Shareable for Blocks {}

/// The side that fills.
#[derive(Debug)]
pub struct Filling(Place);

/// The side that empties.
#[derive(Debug)]
pub struct Emptying {
    place: Place,
    message: Vec<u8>,
}

/// Where in which block.
#[derive(Debug)]
struct Place {
    shared: Shared<Blocks>,
    block: u64,
    at: usize,
    bytes: usize,
}

impl Place {
    fn new(shared: Shared<Blocks>, spec: Spec) -> Place {
        // The first block is yet to be waited for.
        Place { shared, block: u64::MAX, at: usize::MAX, bytes: spec.bytes }
    }

    fn at_its_end(&self) -> bool {
        self.at >= self.bytes.max(BLOCK_BYTES)
    }

    fn next_block(&mut self) {
        self.block = self.block.wrapping_add(1);
        self.at = 0;
    }

    /// Where the next message is in the block that is this side's own for now.
    fn next_message(&mut self) -> *mut u8 {
        let block = self.shared.blocks[self.block as usize % BLOCKS].0.get().cast::<u8>();
        let at = self.at;
        self.at += self.bytes;
        // SAFETY: messages divide a block, and this one begins before its end.
        unsafe { block.add(at) }
    }
}

impl Opens for Filling {
    fn open(links: &[&Link], spec: Spec) -> Result<Filling> {
        Ok(Filling(Place::new(Shared::take(links[0])?, spec)))
    }
}

impl Opens for Emptying {
    fn open(links: &[&Link], spec: Spec) -> Result<Emptying> {
        let place = Place::new(Shared::give(links[0])?, spec);
        Ok(Emptying { place, message: vec![0; spec.bytes] })
    }
}

impl Pushes for Filling {
    fn push(&mut self, message: &[u8]) -> Result<()> {
        let place = &mut self.0;
        if place.at_its_end() {
            place.next_block();
            // ORDERING: pairs with the release in `pull`; the reader is done with the block.
            while place.block - place.shared.emptied.0.load(Ordering::Acquire) == BLOCKS as u64 {
                std::hint::spin_loop();
            }
        }
        let into = place.next_message();
        // SAFETY: the block is this side's until `filled` says otherwise, and has room.
        unsafe { into.copy_from_nonoverlapping(message.as_ptr(), place.bytes) };
        if place.at_its_end() {
            // ORDERING: pairs with the acquire in `pull`; the block is complete.
            place.shared.filled.0.store(place.block + 1, Ordering::Release);
        }
        Ok(())
    }
}

impl Pulls for Emptying {
    fn pull(&mut self, mut read: impl Read) -> Result<()> {
        let Emptying { place, message } = self;
        if place.at_its_end() {
            place.next_block();
            // ORDERING: pairs with the release in `push`.
            while place.shared.filled.0.load(Ordering::Acquire) == place.block {
                std::hint::spin_loop();
            }
        }
        let from = place.next_message();
        // SAFETY: the block is this side's until `emptied` says otherwise, and is full.
        unsafe { message.as_mut_ptr().copy_from_nonoverlapping(from, place.bytes) };
        if place.at_its_end() {
            // ORDERING: pairs with the acquire in `push`.
            place.shared.emptied.0.store(place.block + 1, Ordering::Release);
        }
        read(message)
    }
}
