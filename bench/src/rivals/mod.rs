//! Who takes part: the product, the rivals, and the bare programs that show the limit.

pub mod bare;
pub mod disk;
pub mod kafka;
pub mod librdkafka;
pub mod nats;
pub mod redis;
pub mod threads;
