//! The ring over memory that is not ours: records of any length between two sides that share some
//! bytes and nothing else.
//!
//! One producer, one consumer, each perhaps in a process of its own. The memory holds no pointer
//! and may lie at different addresses; neither side trusts what the other writes; either may die at
//! any instruction. Where the bytes come from, how the two sides met and how they sleep is the
//! business of others: this module moves records and knows when someone must be woken.
//!
//! ```
//! use chaski_ring::region::{Consumer, Fence, Heap, Layout, Producer};
//!
//! let layout = Layout::new(64 * 1024)?;
//! let memory = Heap::new(layout); // or a mapping, see `Memory`
//! let mut producer = Producer::attach(memory.clone(), layout, Fence::Both)?;
//! let mut consumer = Consumer::attach(memory, layout, Fence::Both)?;
//!
//! producer.try_send(b"one")?;
//! producer.stage(7, b"two")?; // not seen yet
//! producer.stage(7, b"three")?;
//! producer.publish(); // both, at once
//!
//! let mut payload = Vec::new();
//! assert_eq!(consumer.try_recv(&mut payload)?.unwrap().len, 3);
//! assert_eq!(payload, b"one");
//! assert_eq!(consumer.try_recv(&mut payload)?.unwrap().tag, 7);
//! assert_eq!(payload, b"two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who writes what
//!
//! There are two areas, each beginning on a page, so that each can be mapped read-only by the other
//! side: the *producer's* holds the records, its cursor, counters and waiting words, the
//! *consumer's* its cursor, counters and waiting words. No byte is written by both. The picture of
//! every byte is in `docs/design/region.md`.
//!
//! # How a record is published
//!
//! A record is a word, the header, and its payload, in one piece. The word at the producer's
//! position is always zero. To send, it writes the payload behind that word, a zero where the next
//! header will be, and last the header, with release. The consumer looks at the word at its own
//! position until that is not zero. So a small message moves one cache line, and not a second one
//! for a cursor.
//!
//! ```text
//!           head                                  end
//!            v                                     v
//!   | free   | header payload | header payload    | 0 | free      |
//!
//! 1. payload, and a zero behind it:
//!   | free   | header payload | header payload    | 0 payload | 0 |
//! 2. header:
//!   | free   | header payload | header payload    | header payload | 0 |
//! ```
//!
//! Bytes of an earlier lap are never taken for a header: the consumer looks at one word only, the
//! one behind the last record it has read, and the zero there was written before that record was
//! published. Since that zero needs room, a record is sent only if 8 free bytes remain behind it.
//! A record that would not fit before the end of the ring begins at its start, with a pad in its
//! old place; the pad's header is then the one written last.
//!
//! # Capacity
//!
//! A payload of `n` bytes takes `8 + n` bytes, rounded up to a multiple of 8. The records that the
//! consumer has not given back, with their pads, take at most `capacity - 8` bytes together;
//! within that, a send succeeds. A payload of up to [`Layout::payload_max`] bytes, half of the
//! ring, can always be sent once the ring is empty. When space is given back is said at
//! [`Consumer`].
//!
//! # Distrust
//!
//! Each side keeps its cursors in private memory and never reads back what it wrote. A word of the
//! other side is loaded once, checked against private state, and used only in that private copy:
//! headers by kind, size and place, the head by grid and range. What fails is `Corrupt`, for good.
//! What cannot be told from the truth (a payload changed under a reader's hands, a head that gives
//! back what was not read) harms only the contents of records, and only those of whoever did it,
//! as long as the area is read-only to the others. [`Producer::reserve`] and [`Consumer::peek`]
//! avoid the copies, for sides that trust each other; they are `unsafe`.
//!
//! # Death and return
//!
//! What was published stays, and a consumer drains it whether or not its producer lives.
//! [`Producer::resume`] goes on behind it. [`Consumer::resume`] goes on at the published head. What
//! had been staged, or was being written, was never seen and is gone.
//!
//! Where each process brings the area that it writes, an area goes with its process. The survivor
//! keeps its own: a client whose server died learns by [`Producer::released`] which of its requests
//! had been taken, and the next server begins behind them, in an area made by
//! [`Layout::format_consumer`].
//!
//! # Waiting
//!
//! A side that finds nothing to do says so, looks once more, and sleeps on whatever it likes; the
//! other asks after each publication whether it must wake it. Shown for the consumer, with a futex
//! (an eventfd needs no `seen`); the producer waits for room in the same way, looking with
//! [`Producer::has_room`]. The question stands before the sleep too, for the look at an empty ring
//! gives space back.
//!
//! ```text
//! consumer                                       producer
//!   while let Some(..) = consumer.try_recv(..)     producer.try_send(..)
//!   seen = consumer.announce()                     if producer.must_wake():
//!   ready = consumer.is_ready()                      futex_wake(producer.wake_word())
//!   if consumer.must_wake():
//!     futex_wake(consumer.wake_word())
//!   if not ready:
//!     futex_wait(consumer.sleep_word(), seen)
//!   consumer.awake()
//! ```
//!
//! A futex on such memory must not be a private one. It can be waited for through a read-only
//! mapping.
//!
//! # More than two
//!
//! A receiver with many rings learns from a [`board`] which of them to look at. One ring for any
//! number of readers that all get the same is a [`broadcast`].

pub mod board;
pub mod broadcast;
mod consumer;
mod copy;
mod error;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod exercise;
mod extent;
mod layout;
mod memory;
mod observer;
mod producer;
mod record;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiting;

pub use consumer::{Consumer, Record};
pub use error::{AttachError, Corrupt, RecvError, SendError};
pub use extent::{Extent, HeapExtent};
pub use layout::{Layout, VERSION};
pub use memory::{Area, Areas, Heap, Memory};
pub use observer::{Observer, Stats};
pub use producer::Producer;
pub use waiting::Fence;
#[cfg(not(loom))]
pub use {consumer::Peeked, producer::Reserved};
