//! Lock-free queues between threads, and how to wait on them.

pub mod broadcast;
pub mod doze;
pub mod error;
pub mod fan_in;
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
