//! Messages between the processes of one machine, through shared memory that survives the death of
//! either side and believes neither.
//!
//! | pattern | binds | connects | |
//! |---|---|---|---|
//! | request, response | [`Server`] | [`Client`] | many outstanding, in any order, in parts |
//! | publish, subscribe | [`Publisher`] | [`Subscriber`] | one ring for all; history; policies |
//! | pipeline | [`Push`] or [`Pull`] | the other | work for whoever is free, results for one |
//! | event | [`Listener`] | [`Notifier`] | a doorbell with a value |
//! | [pipe] | [`pipe::Listener`] | [`pipe::connect`] | one to one, both ways, in any event loop |
//!
//! # A service in two programs
//!
//! ```no_run
//! // One process:
//! let mut server = chaski_shm::Server::bind("greeter")?;
//! loop {
//!     let request = server.recv()?;
//!     let greeting = format!("hello, {}", String::from_utf8_lossy(&request));
//!     request.reply(greeting.as_bytes())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```no_run
//! // Another:
//! let mut client = chaski_shm::Client::connect("greeter")?;
//! assert_eq!(client.call(b"world")?, b"hello, world");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How two processes meet
//!
//! A name is a Unix socket in a directory that only its user may enter ([`directory`]). Over it the
//! two check each other's credentials ([`Admit`]), agree on a version and hand over memory that has
//! no name of its own. The socket then stays open and silent: its hang-up is the other's death.
//! When both are gone, however they went, nothing of them is left but perhaps the stale socket,
//! which the next to come recognises and replaces. `docs/design/shm.md` draws every byte.
//!
//! # Who writes what
//!
//! ```text
//!            client's half                               server's half, one for each client
//!   +------------------------------------+      +------------------------------------+
//!   | requests: ring     producer's area | ---> | requests: ring     consumer's area |
//!   | responses: ring    consumer's area | <--- | responses: ring    producer's area |
//!   | ledger of large payloads given back|      | ledger of large payloads given back|
//!   +------------------------------------+      +------------------------------------+
//! ```
//!
//! Each side creates the half it writes, seals it against resizing and against any other writer,
//! and gives the other a descriptor that can only be mapped read-only. No two clients share a page
//! with messages. What is read from the other's half is loaded once, checked against private state,
//! and believed in that private copy alone; what cannot be true ends that connection, and no other.
//!
//! # Waiting
//!
//! A message is a few stores; a system call happens only to wake a side that sleeps ([`Wait`] says
//! how soon it does). Blocking calls, polling ones and futures can be mixed on one endpoint. A
//! future registers with tokio's driver where there is one (feature `tokio`; the runtime's I/O must
//! be enabled), and is woken by a thread of this crate on any other executor.
//!
//! # Death and return
//!
//! Every step may be the last that a process makes. What a dead sender had published is still
//! delivered; what a dead receiver had not taken is known to its sender, and told apart from what
//! it may have worked on: a record is taken before it is handed over, so none is handed over twice.
//! A [`Client`] whose server died waits for the next one, offers it the requests that were not
//! taken, and reports those that may have been worked on.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod admit;
mod blocks;
mod call;
pub mod cells;
mod door;
mod error;
mod event;
mod hall;
mod link;
mod memory;
mod name;
mod options;
pub mod packets;
pub mod pipe;
mod pipeline;
mod porch;
mod pubsub;
mod reach;
mod step;
pub mod survey;
mod task;
mod tie;
mod wait;
#[doc(hidden)]
pub mod wire;

pub use admit::{Admit, Peer};
pub use call::{
    Alarm, Client, ClientBuilder, Departure, Loan, Reply, Request, RequestId, Response, Server,
    ServerBuilder, Ticket,
};
pub use door::{BadDirectory, BindError, ConnectError};
pub use error::{Corrupt, Error};
pub use event::{Event, Listener, ListenerBuilder, Notifier, NotifierBuilder};
pub use hall::Leave;
pub use link::Batch;
pub use memory::Pages;
pub use name::{BadName, Name, directory};
pub use options::BadRing;
pub use pipeline::{Loss, Message, Pull, PullBuilder, Push, PushBuilder};
pub use pubsub::{
    News, Policy, Publisher, PublisherBuilder, PublisherStats, Subscriber, SubscriberBuilder,
};
pub use wait::Wait;
pub use wire::Refusal;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
