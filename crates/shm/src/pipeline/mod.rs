//! Pipeline: work for whoever is free, or results for one.
//!
//! ```text
//!   fan-out                                      fan-in
//!
//!                  +--> Pull::connect            Push::connect --+
//!   Push::bind ----+--> Pull::connect            Push::connect --+--> Pull::bind
//!                  +--> Pull::connect            Push::connect --+
//! ```
//!
//! Each connection is a ring of its own, so a message is given to one worker when it is sent. What
//! makes it "whoever is free" is how that worker is chosen, and that what it has not taken when it
//! dies goes to the others.
//!
//! # Who is free
//!
//! A worker that has taken everything and comes back for more says so: a word in its half, beside
//! the ring, that counts what it has taken and tells whether it sleeps. One that has taken
//! everything and does not say so is at work. So the next message goes to
//!
//! 1. one that waits for it and is awake, in turn;
//! 2. one that waits and sleeps, which costs a ring;
//! 3. else the one with the fewest bytes unread, and half as many more before all are looked at
//!    again. The deeper the rings are filled, the less there is to choose, and to pay for it.
//!
//! # Who has what, when somebody dies
//!
//! A message is *taken* when the receiver's head has moved behind it, which is before it is handed
//! over. It is delivered at most once, whoever dies:
//!
//! | the message was | its receiver dies | its sender dies |
//! |---|---|---|
//! | staged, or waits to be given to another | - | gone |
//! | published | given to another, or offered to the successor | still delivered |
//! | taken | gone, and counted ([`Loss::taken`]) | - |
//!
//! A sender remembers where its records end. The head of a dead receiver is believed only if it is
//! such a place: inside a record, what a payload says there could pass for another record. If it is
//! not, all that may have been taken counts as taken.

mod collector;
mod crew;
mod pull;
mod push;
mod sent;
mod uplink;
mod worker;

pub use pull::{Message, Pull, PullBuilder};
pub use push::{Loss, Push, PushBuilder};

/// The note of a worker: twice the records that it had taken from its connection when it found
/// nothing more, and one more if it sleeps.
const FREE: usize = 0;

/// With so many bytes staged a sender publishes unasked: a receiver that sees nothing until the
/// ring is full would copy while the sender waits, and wait while it copies.
const STAGED_MAX: usize = 8 * 1024;

/// The most workers, or senders, that are connected to one endpoint, unless it says otherwise.
const PEERS_MAX: usize = 1024;

/// The last so many that left are kept to be told of.
const DEPARTED_MAX: usize = 1024;
