//! What consumers put into the opaque bytes of JoinGroup and SyncGroup.
//!
//! ```text
//! JoinGroup metadata     i16 version | subscription
//! SyncGroup assignment   i16 version | assignment
//! ```
//!
//! Members of other protocol types (Kafka Connect, for one) put other things there. A version newer
//! than the ones known is read as the newest known: later versions only append.

use crate::Message;
use crate::schema::message;
use crate::wire::{DecodeError, Reader, Writer};

/// Newest version known of both.
pub const VERSION_MAX: i16 = 3;

message! {
    never flexible;

    /// What a consumer wants.
    pub struct Subscription<'a> {
        topics: Vec<&'a str> [0+],
        user_data: Option<&'a [u8]> [0+],
        /// What it has at present (KIP-429).
        owned_partitions: Vec<TopicPartitions<'a>> [1+],
        generation_id: i32 [2+] = -1,
        rack_id: Option<&'a str> [3+],
    }

    /// What a consumer gets.
    pub struct Assignment<'a> {
        assigned_partitions: Vec<TopicPartitions<'a>> [0+],
        user_data: Option<&'a [u8]> [0+],
    }

    /// Partitions of a topic.
    pub struct TopicPartitions<'a> {
        topic: &'a str [0+],
        partitions: Vec<i32> [0+],
    }
}

fn decode<'a, M: Message<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    if version < 0 {
        return Err(DecodeError::UnsupportedConsumerProtocol(version));
    }
    M::decode(&mut r, version.min(VERSION_MAX))
}

fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    w.i16(version);
    message.encode(&mut w, version);
    w.into_parts().0
}

impl<'a> Subscription<'a> {
    /// Reads a subscription with the version in front.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }

    /// Writes the subscription with the version in front.
    pub fn to_bytes(&self, version: i16) -> Vec<u8> {
        encode(self, version)
    }
}

impl<'a> Assignment<'a> {
    /// Reads an assignment with the version in front.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }

    /// Writes the assignment with the version in front.
    pub fn to_bytes(&self, version: i16) -> Vec<u8> {
        encode(self, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let mut bytes = Subscription {
            topics: vec!["orders"],
            generation_id: 4,
            rack_id: Some("r"),
            ..Default::default()
        }
        .to_bytes(3);
        bytes[1] = 9;
        bytes.extend_from_slice(b"appended later");
        let subscription = Subscription::from_bytes(&bytes).unwrap();
        assert_eq!((subscription.topics, subscription.rack_id), (vec!["orders"], Some("r")));
    }

    #[test]
    fn an_assignment_reads_back() {
        let partitions = TopicPartitions { topic: "orders", partitions: vec![0, 2] };
        let assignment = Assignment { assigned_partitions: vec![partitions], user_data: None };
        let bytes = assignment.to_bytes(0);
        assert_eq!(Assignment::from_bytes(&bytes), Ok(assignment));
        assert_eq!(Assignment::from_bytes(&[]), Err(DecodeError::Short { need: 2, have: 0 }));
    }
}
