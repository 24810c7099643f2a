//! The encoding under every message: bounded reads, plain writes.
//!
//! A message version is either *flexible* (KIP-482) or not, and that alone decides how lengths are
//! written:
//!
//! ```text
//!            not flexible                     flexible ("compact")
//! string     i16 length, UTF-8                uvarint length + 1, UTF-8
//! bytes      i32 length, bytes                uvarint length + 1, bytes
//! array      i32 count, elements              uvarint count + 1, elements
//! null       length or count -1               0
//! struct     fields                           fields, uvarint tag count, (tag, size, body)*
//! ```
//!
//! Integers are big-endian, a uvarint has seven bits a byte with the lowest first, a UUID is its
//! 16 bytes. Source: the Kafka protocol guide, "Protocol Primitive Types".

mod field;
mod reader;
mod writer;

use thiserror::Error;

pub(crate) use field::{Field, Wire};
pub use reader::Reader;
pub use writer::Writer;
pub(crate) use writer::{Tags, saturated};

use crate::ApiKey;

/// Longest string in bytes, in compact form too: Kafka itself refuses more.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Memory that the arrays of one message may take once decoded, unless
/// [`Reader::with_memory_max`] says otherwise. Room for about half a million topics.
pub const MEMORY_BYTES_MAX: usize = 32 << 20;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum DecodeError {
    #[error("message cut short: {need} bytes needed, {have} left")]
    Short { need: usize, have: usize },
    #[error("length {0} is not possible")]
    Length(i64),
    #[error("string of {len} bytes, at most {max} are allowed")]
    StringTooLong { len: usize, max: usize },
    #[error("string is not UTF-8")]
    Utf8,
    #[error("variable-length integer does not fit 32 bits")]
    Varint,
    #[error("null where a value is required")]
    Null,
    #[error("array of {count} elements cannot fit in the {have} bytes left")]
    Count { count: usize, have: usize },
    #[error("message would take more than {max} bytes of memory")]
    Memory { max: usize },
    #[error("{0} bytes left over")]
    Trailing(usize),
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    #[error("{api} version {version} is not served")]
    UnsupportedVersion { api: ApiKey, version: i16 },
    #[error("unknown version {0} of the consumer protocol")]
    UnsupportedConsumerProtocol(i16),
}
