//! The Kafka wire protocol, sans I/O: requests and responses as plain structs over borrowed bytes.
//!
//! One module per API holds its `Request`, its `Response` and their parts, with the names of
//! Kafka's own schemas in snake_case. Both directions work for both: a broker decodes requests and
//! encodes responses, a client does the reverse. [`served`] lists the APIs and versions.
//!
//! ```
//! use chaski_kafka::{ApiKey, Message, Reader, RequestHeader};
//! use chaski_kafka::{frame_request, frame_response, metadata};
//!
//! // A client asks about one topic.
//! let topic = metadata::RequestTopic { name: Some("orders"), ..Default::default() };
//! let request = metadata::Request { topics: Some(vec![topic]), ..Default::default() };
//! let frame = frame_request(9, 1, Some("me"), &request);
//!
//! // The broker reads the frame, without its length, and answers.
//! let frame = &frame.bytes[4..];
//! let (header, header_len) = RequestHeader::decode(frame)?;
//! assert_eq!(ApiKey::from_i16(header.api_key), Some(ApiKey::Metadata));
//! let mut body = Reader::new(&frame[header_len..]);
//! assert_eq!(metadata::Request::decode(&mut body, header.api_version)?, request);
//! let response = metadata::Response { controller_id: 1, ..Default::default() };
//! let frame = frame_response(ApiKey::Metadata, 9, header.correlation_id, &response);
//! # Ok::<(), chaski_kafka::DecodeError>(())
//! ```
//!
//! Invariants:
//! - Strings and bytes are never copied, neither way; records that a file holds are not even
//!   touched ([`Writer::splice`]).
//! - No bytes from outside make a decoder panic, and none make it allocate more than a small
//!   multiple of their number, nor more than [`MEMORY_BYTES_MAX`].
//! - A message is decoded and encoded from one schema, so the two cannot disagree.
//!
//! Why not the `kafka-protocol` crate, which has every API? Its array decoders (0.18,
//! `protocol/types.rs`) reserve `Vec::with_capacity(n)` for the count `n` just read, before they
//! look at how many bytes are left: a request of a few bytes asks for gigabytes. And it copies
//! strings. Here it is the oracle of the tests: every message in every version goes both ways.
#![forbid(unsafe_code)]

mod any;
mod api;
mod error;
mod header;
#[cfg(test)]
mod hostile;
mod messages;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod sample;
mod schema;
mod wire;

pub use any::{decode_any_request, decode_any_response};
pub use api::{ApiKey, ApiRange, served};
pub use error::ErrorCode;
pub use header::{
    Frame, RequestHeader, ResponseHeader, frame_request, frame_response, frame_response_with,
};
pub use messages::*;
pub use wire::{DecodeError, MEMORY_BYTES_MAX, Reader, STRING_BYTES_MAX, Writer};

/// A struct of the protocol: a request, a response or a part of one.
///
/// `version` is the version of the API. Decoding does not insist that it is served
/// ([`ApiKey::serves`]), nor that all bytes are used ([`Reader::finish`]).
pub trait Message<'a>: Sized {
    /// Reads one at the reader's position.
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    /// Writes one. Fields that the version lacks are left out; null where the version knows none
    /// becomes the empty value.
    fn encode(&self, w: &mut Writer, version: i16);
}

/// A request, and what answers it.
pub trait Request<'a>: Message<'a> {
    /// Its API.
    const API: ApiKey;
    /// What answers it.
    type Response<'r>: Message<'r>;
}
