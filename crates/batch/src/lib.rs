//! Kafka record batches, format 2: the one form in which a message is sent, stored and fetched.
//!
//! A batch travels whole. The broker reads its 61-byte header, checks its CRC32C once on arrival,
//! patches the two fields that lie outside the checksum (base offset and leader epoch) and never
//! looks at a record unless somebody asks for one.
//!
//! - [`check`] and the `set_` functions are what a broker does with every batch;
//! - [`records`] walks the records of one, inflating them first where they are compressed;
//! - [`Run`] is a row of batches, as a read brings them;
//! - [`find_timestamp`], [`find_max_timestamp`] and [`has_null_key`] answer the three questions a
//!   broker has about records;
//! - [`Builder`] makes a batch.
//!
//! Bytes from outside may be anything: nothing here panics on them, and what they inflate to is
//! bounded. The byte pictures are in `docs/design/record-batch.md`.

#![forbid(unsafe_code)]

mod builder;
mod checksum;
mod codec;
#[doc(hidden)]
pub mod exercise;
mod header;
mod lookup;
mod records;
mod run;
mod snappy;
mod varint;

pub use builder::Builder;
pub use header::{BatchError, Codec, HEADER_LEN, Header, TimestampType};
pub use header::{check, set_base_offset, set_leader_epoch, set_log_append_time};
pub use lookup::{TimedOffset, find_max_timestamp, find_timestamp, has_null_key};
pub use records::{HeaderIter, Headers, INFLATED_BYTES_MAX, Iter, Record, Records, records};
pub use run::{Batch, Batches, Malformed, Run, Span, Wanted};
