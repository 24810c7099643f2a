//! The log for the processes of its machine, through shared memory.
//!
//! - [`LocalProducer`] puts records into a topic of a broker of this machine: batches go through
//!   memory that the two share, and offsets come back the same way.
//! - [`LocalConsumer`] reads them out of the pages of the log itself.
//!
//! [`Record`], [`Partitioner`], [`Records`] and what [`producer`] has to say of batches are those
//! of every producer and reader, in the process of the broker too.
//!
//! On Linux.
#![forbid(unsafe_code)]

pub mod consumer;
mod partitioner;
pub mod producer;
mod record;

pub use consumer::{ConsumeError, LocalConsumer, LocalConsumerBuilder, Position, Records};
pub use partitioner::{Chooser, Partitioner};
pub use producer::{LocalProducer, LocalProducerBuilder, OpenError, ProduceError};
pub use record::Record;
