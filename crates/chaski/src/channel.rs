//! Channels between threads, and between tasks of any executor.
//!
//! | channel | senders | receivers | take it for |
//! |---|---|---|---|
//! | [`spsc`] | 1 | 1 | the stages of a pipeline; slices written and read in place |
//! | [`fan_in`] | a few busy ones | 1 | throughput, where senders need no common order |
//! | [`mpsc`] | any number | 1 | one order for all; senders that come and go |
//! | [`mpmc`] | any number | any number | work that whoever is free may do |
//! | [`broadcast`] | any number | any number | news that every receiver gets |
//! | [`oneshot`] | 1 | 1 | the reply to a request |
//! | [`rendezvous`] | any number | any number | handing over without any room in between |
//! | [`unbounded`] | any number | any number | senders that must never wait |
//!
//! They all work alike. A send can be tried (`try_send`), waited for (`send`), waited for so long
//! (`send_timeout`, `send_deadline`), awaited (`send_async`), and made for many messages at once
//! (`send_all`); the same goes for a receive. When all senders are gone, receivers drain
//! what was sent and then learn that there is no more; when all receivers are gone, a sender learns
//! it and gets its message back.
//!
//! [`Wait`] says how an end blocks, [`Stats`] what a channel counted, and [`select!`] waits for
//! several receivers of any kinds:
//!
//! ```
//! use chaski::channel::{mpsc, select, spsc};
//!
//! let (mut orders, mut incoming) = spsc::channel::<u32>(16);
//! let (_control, mut commands) = mpsc::channel::<&str>(4);
//! orders.send(7).unwrap();
//! select! {
//!     recv(incoming) -> order => assert_eq!(order, Ok(7)),
//!     recv(commands) -> command => println!("told to {command:?}"),
//! }
//! ```
//!
//! The crate `chaski-ring` has what these are made of besides: rings in memory that is not ours,
//! padding, and the handshake of a thread that sleeps elsewhere.

pub use chaski_ring::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, Stats, TryRecvError, TrySendError,
    Wait, broadcast, fan_in, mpmc, mpsc, oneshot, rendezvous, select, spsc, unbounded,
};
#[cfg(feature = "futures")]
pub use chaski_ring::{RecvStream, SendSink};
