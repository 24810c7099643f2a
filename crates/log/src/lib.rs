//! The durable log: partitions of record batches, stored as they came.
#![forbid(unsafe_code)]

pub mod store;
