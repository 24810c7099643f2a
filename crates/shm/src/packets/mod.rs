//! Packets with descriptors, under a name: for a protocol of one's own beside the patterns.
//!
//! The patterns of this crate hand over memory in one handshake and are silent from then on. Who
//! has descriptors to give away later, or few enough words to say that a socket will do, takes
//! these: a [`Listener`] bound to a name in the same directory, under the same rules of who may
//! enter, and a [`Connection`] of packets (`SOCK_SEQPACKET`) with up to four descriptors each.
//! Nothing here starts a thread, and no call but [`Connection::connect`] and [`Connection::wait`]
//! waits: both ends are polled by whoever has them.
//!
//! ```
//! use std::io::Read;
//! use std::os::fd::AsFd;
//! use std::time::Duration;
//!
//! use chaski_shm::Admit;
//! use chaski_shm::packets::{Connection, Listener, Received};
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = Some(directory.path().join("names"));
//! let listener = Listener::bind("lender", directory.as_deref(), Admit::same_user())?;
//! let limit = Duration::from_secs(5);
//! let borrower = Connection::connect("lender", directory.as_deref(), &Admit::same_user(), limit)?;
//! let lender = listener.accept()?.expect("somebody has connected");
//!
//! let file = std::fs::File::open("/proc/self/comm")?;
//! lender.send(b"read this", &[file.as_fd()])?;
//!
//! assert!(borrower.wait(limit)?);
//! let mut buffer = [0; 64];
//! let Received::Packet(bytes, mut fds) = borrower.receive(&mut buffer) else { panic!() };
//! assert_eq!(bytes, b"read this");
//! let mut text = String::new();
//! std::fs::File::from(fds.remove(0)).read_to_string(&mut text)?;
//! assert!(!text.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connection;
mod listener;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use listener::Listener;

pub use crate::door::Received;
