//! A message in shared memory in each direction, handed over by a word: copied in, told, copied
//! out. `limit` copies twice each way, as anyone must who keeps a private copy; the server of
//! `limit in-place` copies from one direction straight to the other.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::{Shareable, Shared};
use crate::rivals::processes::{Calls, MESSAGE_BYTES_MAX, Opens, Read, Serves, Spec};
use crate::workloads::padded::Padded;

#[derive(Debug)]
#[repr(C)]
struct Hands {
    there: Hand,
    back: Hand,
}

/// One message at most: whoever waits for it has nothing else to do. Long ones go round the places,
/// which together are more than a second-level cache holds: lines that have left the other core's
/// cache are quicker to write than those that have to be taken from it.
#[derive(Debug)]
#[repr(C)]
struct Hand {
    number: Padded<AtomicU32>,
    places: [Padded<UnsafeCell<[u8; MESSAGE_BYTES_MAX]>>; PLACES],
}

const PLACES: usize = 16;

/// Shorter messages stay in one place, and in the caches.
const LONG_BYTES: usize = 16 * 1024;

// SAFETY: atomics and cells of bytes, of which zeros are values.
unsafe impl Shareable for Hands {}

// SAFETY: `Hand` says when its bytes may be read and when written, and never at once.
unsafe impl Sync for Hand {}

#[derive(Debug)]
pub struct Asking {
    hands: Shared<Hands>,
    number: u32,
    message: Vec<u8>,
}

#[derive(Debug)]
pub struct Answering {
    hands: Shared<Hands>,
    number: u32,
    message: Vec<u8>,
}

/// As [`Answering`], with one copy less.
#[derive(Debug)]
pub struct AnsweringInPlace(Answering);

impl Hand {
    /// Writes a message; the reader has nothing to read until it is told.
    #[inline]
    fn give(&self, number: u32, message: &[u8]) {
        let bytes = self.place(number, message.len());
        // SAFETY: no message is longer than the cell, and the other side reads it only after the
        // store below, and not any more once it has given the message that this one answers.
        unsafe { bytes.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        // ORDERING: pairs with the acquire in `wait`; the message is there before its number.
        self.number.0.store(number, Ordering::Release);
    }

    #[inline]
    fn place(&self, number: u32, bytes: usize) -> *mut u8 {
        let place = if bytes < LONG_BYTES { 0 } else { number as usize % PLACES };
        self.places[place].0.get().cast()
    }

    #[inline]
    fn wait(&self, number: u32) {
        // ORDERING: pairs with the release in `give`.
        while self.number.0.load(Ordering::Acquire) != number {
            std::hint::spin_loop();
        }
    }

    /// The message of that number, which has been waited for.
    ///
    /// # Safety
    ///
    /// It is gone when an answer to it is given: until then nobody writes here.
    #[inline]
    unsafe fn shown(&self, number: u32, bytes: usize) -> &[u8] {
        // SAFETY: the cell is as long, and the caller keeps to the turns.
        unsafe { std::slice::from_raw_parts(self.place(number, bytes), bytes) }
    }
}

impl Opens for Asking {
    fn open(links: &[&Link], spec: Spec) -> Result<Asking> {
        let message = vec![0; spec.bytes];
        Ok(Asking { hands: Shared::give(links[0])?, number: 0, message })
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], spec: Spec) -> Result<Answering> {
        let message = vec![0; spec.bytes];
        Ok(Answering { hands: Shared::take(links[0])?, number: 0, message })
    }
}

impl Opens for AnsweringInPlace {
    fn open(links: &[&Link], spec: Spec) -> Result<AnsweringInPlace> {
        Answering::open(links, spec).map(AnsweringInPlace)
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        self.number = self.number.wrapping_add(1);
        self.hands.there.give(self.number, request);
        self.hands.back.wait(self.number);
        // SAFETY: the next request is given after this copy.
        let reply = unsafe { self.hands.back.shown(self.number, self.message.len()) };
        self.message.copy_from_slice(reply);
        read(&self.message)
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        self.number = self.number.wrapping_add(1);
        self.hands.there.wait(self.number);
        // SAFETY: the answer is given after this copy.
        let request = unsafe { self.hands.there.shown(self.number, self.message.len()) };
        self.message.copy_from_slice(request);
        self.hands.back.give(self.number, &self.message);
        Ok(())
    }
}

impl Serves for AnsweringInPlace {
    fn serve(&mut self) -> Result<()> {
        let Answering { hands, number, message } = &mut self.0;
        *number = number.wrapping_add(1);
        hands.there.wait(*number);
        // SAFETY: the answer is told after its copy is made.
        hands.back.give(*number, unsafe { hands.there.shown(*number, message.len()) });
        Ok(())
    }
}
