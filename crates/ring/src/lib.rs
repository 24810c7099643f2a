//! Channels between threads, and between tasks of any executor.
//!
//! A message has a sender and a receiver; take the channel that says how many there are of each.
//!
//! | channel | senders | receivers | take it for |
//! |---|---|---|---|
//! | [`spsc`] | 1 | 1 | the stages of a pipeline; slices written and read in place |
//! | [`fan_in`] | a few busy ones | 1 | throughput, where senders need no common order |
//! | [`mpsc`] | any number | 1 | one order for all; senders that come and go |
//! | [`mpmc`] | any number | any number | work that whoever is free may do |
//! | [`broadcast`] | any number | any number | news that every receiver gets |
//! | [`oneshot`] | 1 | 1 | the reply to a request |
//! | [`rendezvous`] | any number | any number | a send that returns when somebody has the message |
//! | [`unbounded`] | any number | any number | senders that must never wait |
//!
//! # Send and receive
//!
//! All of them have the same methods. A send waits while there is no room, a receive while there is
//! no message, and each says how it is willing to wait by its name: not at all, for ever, until a
//! time, or as a task.
//!
//! ```
//! use chaski_ring::mpsc;
//! use std::thread;
//! use std::time::Duration;
//!
//! let (tx, mut rx) = mpsc::channel(64);
//! let other = tx.clone();
//! thread::spawn(move || other.send("hello from a thread"));
//! tx.try_send("no waiting").unwrap();
//!
//! assert!(rx.recv_timeout(Duration::from_secs(9)).is_ok());
//! # fn wait<T>(future: impl Future<Output = T>) -> T {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
//! #             return value;
//! #         }
//! #     }
//! # }
//! # wait(async {
//! rx.recv_async().await.unwrap(); // on any executor
//! # });
//! ```
//!
//! Several at once are quicker than one by one: `send_all` shows the receiver a whole batch, and
//! `recv_many` takes what is there. [`spsc`] lends its own memory for that. [`select!`] waits for
//! several receivers.
//!
//! # The end
//!
//! When the last sender is dropped, receivers get what was sent and then learn that there will be
//! no more. When the last receiver is dropped, senders get their messages back. A receiver may also
//! `close`, and then drain. What was sent is received, given back, or dropped with the channel:
//! once.
//!
//! A future that is dropped before it is ready has moved nothing, and if it had been woken, it
//! wakes another in its stead. (A message that a future *owns* is dropped with it;
//! `send_from_async` leaves it with the caller.)
//!
//! # Waiting
//!
//! Moving a message and waiting for one are kept apart. There is a system call only when somebody
//! sleeps, and none at all for a stream that keeps both sides busy; a thread that blocks and a task
//! that awaits may sit at the two ends of one channel. Each end chooses how it blocks, by a
//! [`Wait`]; the default spins where that has paid and a core is free, and then sleeps.
//!
//! # Room
//!
//! A bounded channel of capacity *n* takes at least *n* messages that nobody received, and up to an
//! eighth more: so a sender that has to wait finds much room at once, and is not woken for each
//! message.
//!
//! # Below the channels
//!
//! [`region`] is the same protocol of cursors over memory that is not ours: records of any size, no
//! pointers, no trust in the other side. [`Mailbox`] and [`Doze`] are what a reactor's inbox needs:
//! a queue drained whole, and a flag that tells whether its consumer sleeps.
//!
//! # How it is checked
//!
//! Every channel has models under loom, which tries every interleaving within a bound (`cargo xtask
//! test --only loom`); the half of the handshake that loom cannot see is explored on a model of a
//! machine with store buffers. Unit tests run under miri, stress tests under ThreadSanitizer.

pub mod broadcast;
pub mod doze;
pub mod error;
pub mod fan_in;
#[cfg(all(target_os = "linux", not(loom)))]
pub mod fork;
mod front;
pub mod mailbox;
pub mod mpmc;
pub mod mpsc;
pub mod oneshot;
mod padded;
pub mod region;
pub mod rendezvous;
pub mod select;
mod shared;
mod slots;
pub mod spsc;
mod stats;
mod sync;
pub mod unbounded;
mod wait;

pub use doze::Doze;
pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
#[cfg(feature = "futures")]
pub use front::stream::{RecvStream, SendSink};
pub use mailbox::Mailbox;
pub use padded::Padded;
pub use stats::Stats;
pub use wait::Wait;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
