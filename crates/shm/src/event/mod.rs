//! Event: a doorbell with a value.
//!
//! ```text
//!   notifier's half                              listener's half, one for each notifier
//!   +---------------------------------+          +---------------------------------+
//!   | note 0  begun:  rings, before   |  ----->  |                                 |
//!   | note 1  value                   |          |                                 |
//!   | note 2  done:   rings, after    |          |                                 |
//!   | note 3  base:   rings that an   |          | note 0  seen:  rings looked at  |
//!   |         earlier listener saw    |          |                                 |
//!   +---------------------------------+          +---------------------------------+
//!        then a mark on the listener's board, and a ring of its bell if it sleeps
//! ```
//!
//! There is room for one value, the last, and a count of how often it was set. So a notification
//! never waits and never fails for want of room: what the listener has not looked at yet is
//! conflated with what comes next. The rings of the connection are not used.
//!
//! # Value and count
//!
//! They are two words that belong together, so the notifier counts before it writes the value and
//! again after, and the listener takes a value only if both counts agree (a sequence lock, see
//! H.-J. Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?", MSPC 2012). It
//! tries a few times and no more: then a value may be newer than its count, and comes again with
//! the next. That takes a notifier that does nothing else, or one that spoils its own words, which
//! harms nobody but itself.
//!
//! # Death
//!
//! The words are in the notifier's memory. The listener looks at them once more when it learns that
//! the notifier is gone, so its last notification arrives. When the listener dies, the notifier
//! reads how many rings that had seen, and tells the next one to count from there: what nobody has
//! looked at is delivered to the next listener, and what the dead one had looked at is not.

mod listener;
mod notifier;

pub use listener::{Event, Listener, ListenerBuilder};
pub use notifier::{Notifier, NotifierBuilder};

// Notes of the notifier.
const BEGUN: usize = 0;
const VALUE: usize = 1;
const DONE: usize = 2;
const BASE: usize = 3;

/// Note of the listener.
const SEEN: usize = 0;

/// The rings of a connection are not used: the least there can be.
const RING_BYTES: usize = 4096;
