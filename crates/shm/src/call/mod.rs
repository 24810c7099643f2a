//! Request and response.
//!
//! ```text
//!   client                                              server
//!     slot of a free place in its table
//!     request record, tag = slot          ------------>   taken: head published, then handed on
//!                                                         worked on, in any order
//!     the place is free again             <------------   response record, tag = slot
//! ```
//!
//! A response names its request by the place that the client gave it, 12 bits of the record's tag;
//! two more say whether more is to come for it, or that the server dropped it. So neither costs a
//! byte of payload.
//!
//! # What is known when the server dies
//!
//! The server publishes its head before it hands a request over, so the client can tell what it had
//! taken from what it had not. Requests not taken stay in the client's ring, which is the client's
//! memory: the next server begins there. For a request that was taken and not answered nobody knows
//! how far it came, and the client is told so, once: [`Error::InDoubt`](crate::Error::InDoubt).
//! Responses that the dead server had published are delivered before that.

mod client;
mod outstanding;
mod server;
mod untold;

pub use client::{Client, ClientBuilder, Loan, Response};
pub use outstanding::RequestId;
pub use server::{Alarm, Departure, Reply, Request, Server, ServerBuilder, Ticket};

/// The bits of a tag that hold the place of a request.
const PLACE: u16 = 0x0fff;
/// Response: more will follow for the same request.
const MORE: u16 = 0x1000;
/// Response: the server dropped the request.
const DROPPED: u16 = 0x2000;

/// The most requests that can be outstanding.
const OUTSTANDING_MAX: usize = PLACE as usize + 1;
