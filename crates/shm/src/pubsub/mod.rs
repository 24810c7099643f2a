//! Publish and subscribe: one ring, written by its publisher, read by all subscribers.
//!
//! ```text
//!                   read-only to subscribers
//!   Publisher ---> +------------------------+ ------> Subscriber --> page: cursor, doze, counters
//!                  | ring                   | ------> Subscriber --> page
//!       ^          +------------------------+ ------> Subscriber --> page
//!       |  +--------------+                               |
//!       +--| board        | <-- a bit each, who sleeps ---+
//!          +--------------+
//! ```
//!
//! What is in the ring, who is in whose way and what a hostile side can do is said in
//! [`chaski_ring::region::broadcast`]; this module lets processes meet over it, sleep and die.
//!
//! # Publishing costs the same for all numbers of subscribers
//!
//! A message is written once, and whether anybody sleeps is one load: of the board, on which a
//! subscriber sets its bit when it lies down. Only those are woken who have. All subscribers can
//! write the board, so any of them can erase the bits of others: therefore each 8th publication
//! looks at one subscriber's own page in turn, and no blocking subscriber sleeps for longer than
//! 250 ms without a look around. Who sets all bits makes each publication look at all pages.
//!
//! # Who comes while the publisher is elsewhere
//!
//! A subscriber is seated by the doorman's thread, whatever the publisher's does. It *visits* the
//! stage, where ring and seats are, between two calls of the publisher ([`turns`]); in that visit
//!
//! 1. what was staged is published, the start is chosen: `history` records back, or at the end;
//! 2. from then on the ring holds on to what is behind the start, for one that may lose nothing.
//!
//! Both are one step to the publisher, which comes before or after: so there is no message that is
//! behind the start and yet not held for it, and none that is published and neither in the history
//! nor behind the start. A start chosen from what the ring shows would not do: the publisher could
//! be about to write over it. The publisher's part of the visit is a load and two stores for each
//! call, and it waits for a visitor for about a microsecond, or longer if
//! many have left meanwhile. The doorman waits for a publication
//! that takes long, of many megabytes, 5 ms at most, and then tells the subscriber to come again.
//!
//! # Death
//!
//! | dies | |
//! |---|---|
//! | publisher, anywhere | subscribers read what was published, and look for the next publisher |
//! | subscriber | its seat goes with the next call of the publisher, or the next that subscribes |
//! | subscriber that was waited for | the doorman hears it and knocks; the publisher goes on |
//!
//! [`turns`]: self::turns

mod desk;
mod feed;
mod page;
mod policy;
mod publisher;
mod register;
mod stage;
mod subscriber;
#[cfg(test)]
mod tests;
mod turns;

pub use policy::Policy;
pub use publisher::{Publisher, PublisherBuilder, PublisherStats};
pub use subscriber::{News, Subscriber, SubscriberBuilder};
