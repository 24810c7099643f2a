//! Kafka record batches, format 2: the one form in which a message is sent, stored and fetched.
//!
//! A batch travels whole. The broker reads its 61-byte header, checks its CRC32C once on arrival,
//! patches the two fields that lie outside the checksum (base offset and leader epoch) and never
//! looks at a record unless somebody asks for one.

#![forbid(unsafe_code)]

mod checksum;
mod header;

pub use header::{BatchError, Codec, HEADER_LEN, Header, TimestampType};
pub use header::{check, set_base_offset, set_leader_epoch, set_log_append_time};
