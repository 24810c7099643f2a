//! The topics in the metadata of a consumer: the only part of a member's bytes ever looked into.
//!
//! ```text
//! version: i16 | topics: i32 count, each i16 length + bytes | user data and later fields
//! ```
//! Source: ConsumerProtocolSubscription, versions 0 to 3, all of which begin like this.

use std::collections::BTreeSet;

use chaski_kafka::{DecodeError, Reader};

/// The protocol type of consumers; other programs (Connect, Streams) have their own.
pub(super) const CONSUMER: &str = "consumer";

/// The topics a consumer subscribes to; None if the bytes are not a subscription.
///
/// What follows the topics is not looked at: clients disagree about it, and nothing here needs it.
pub(super) fn topics(metadata: &[u8]) -> Option<BTreeSet<&str>> {
    read(&mut Reader::new(metadata)).ok()
}

fn read<'a>(r: &mut Reader<'a>) -> Result<BTreeSet<&'a str>, DecodeError> {
    let _version = r.i16()?;
    let count = r.count::<&str>(false, 2)?;
    (0..count).map(|_| r.string(false)).collect()
}

/// Whether two members' metadata ask for the same topics; for bytes that are no subscription,
/// whether they are the same bytes.
pub(super) fn same_topics(a: &[u8], b: &[u8]) -> bool {
    match (topics(a), topics(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// What a consumer of these topics sends.
#[cfg(test)]
pub(super) fn encode(topics: &[&str]) -> Vec<u8> {
    let topics = topics.to_vec();
    chaski_kafka::consumer_protocol::Subscription { topics, ..Default::default() }.to_bytes(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_consumer_writes() {
        let bytes = encode(&["orders", "payments"]);
        assert_eq!(topics(&bytes), Some(BTreeSet::from(["orders", "payments"])));
        assert_eq!(topics(&encode(&[])), Some(BTreeSet::new()));
    }

    #[test]
    fn refuses_every_cut_and_giant_count() {
        let bytes = encode(&["orders"]);
        let names_end = bytes.len() - 4;
        for end in 0..names_end {
            assert_eq!(topics(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0]), None);
        assert_eq!(topics(&[0, 0, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(topics(&[0, 0, 0, 0, 0, 1, 0, 1, 0xff]), None, "not UTF-8");
    }

    #[test]
    fn owned_partitions_do_not_make_a_subscription_another_one() {
        let mut a = encode(&["b", "a"]);
        a.extend([1, 2, 3]);
        assert!(same_topics(&a, &encode(&["a", "b"])));
        assert!(!same_topics(&a, &encode(&["a"])));
        assert!(!same_topics(b"x", b"y"));
    }
}
