//! What the builder makes passes the check and reads back as it was, in every codec; a batch with a
//! flipped bit does not pass.

use chaski_batch::{
    Builder, Codec, HEADER_LEN, TimedOffset, check, find_max_timestamp, find_timestamp,
    has_null_key, records, set_base_offset, set_leader_epoch,
};
use proptest::collection::vec;
use proptest::prelude::*;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const LIMIT: usize = 1 << 20;

type Bytes = Option<Vec<u8>>;

/// A record as a producer would have it, owned.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    timestamp: i64,
    key: Bytes,
    value: Bytes,
    headers: Vec<(String, Bytes)>,
}

/// Runs and noise, so that the codecs find something to do and something they cannot compress.
fn bytes() -> impl Strategy<Value = Bytes> {
    let run = (any::<u8>(), 0..300usize).prop_map(|(byte, length)| vec![byte; length]);
    prop_oneof![Just(None), vec(any::<u8>(), 0..100).prop_map(Some), run.prop_map(Some)]
}

fn message() -> impl Strategy<Value = Message> {
    let timestamp = prop_oneof![4 => 1_700_000_000_000..1_700_000_100_000i64, 1 => any::<i64>()];
    let headers = vec(("[a-z]{0,8}", bytes()), 0..4);
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Message {
        timestamp,
        key,
        value,
        headers,
    })
}

fn build(codec: Codec, messages: &[Message]) -> Vec<u8> {
    let mut builder = Builder::new(codec).producer(77, 3, 1_000);
    for message in messages {
        let headers: Vec<_> =
            message.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        builder.push(message.timestamp, message.key.as_deref(), message.value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

fn read(batch: &[u8]) -> Vec<(i64, Message)> {
    let records = records(batch, LIMIT).unwrap();
    let owned = |record: chaski_batch::Record<'_>| Message {
        timestamp: record.timestamp,
        key: record.key.map(Vec::from),
        value: record.value.map(Vec::from),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| (String::from_utf8(key.into()).unwrap(), value.map(Vec::from)))
            .collect(),
    };
    records.iter().map(|record| record.map(|r| (r.offset, owned(r))).unwrap()).collect()
}

proptest! {
    #[test]
    fn records_survive_every_codec(messages in vec(message(), 1..40), base in 0..1i64 << 60) {
        for codec in CODECS {
            let mut batch = build(codec, &messages);
            set_base_offset(&mut batch, base);
            set_leader_epoch(&mut batch, 5);
            let header = check(&batch).unwrap();
            prop_assert_eq!(header.total_len(), batch.len());
            prop_assert_eq!(header.codec(), Ok(codec));
            prop_assert_eq!(header.next_offset(), base + messages.len() as i64);
            let expected: Vec<_> = (base..).zip(messages.clone()).collect();
            prop_assert_eq!(read(&batch), expected);
        }
    }

    #[test]
    fn lookups_agree_with_a_scan(messages in vec(message(), 1..40), at: prop::sample::Index) {
        let batch = build(Codec::Snappy, &messages);
        let timed: Vec<TimedOffset> = (0..)
            .zip(&messages)
            .map(|(offset, message)| TimedOffset { offset, timestamp: message.timestamp })
            .collect();
        let wanted = at.get(&timed).timestamp;
        let found = timed.iter().find(|t| t.timestamp >= wanted).copied();
        prop_assert_eq!(find_timestamp(&batch, wanted).unwrap(), found);
        let max = timed.iter().map(|t| t.timestamp).max().unwrap();
        let first = timed.iter().find(|t| t.timestamp == max).copied();
        prop_assert_eq!(find_max_timestamp(&batch).ok(), first);
        let null = messages.iter().any(|message| message.key.is_none());
        prop_assert_eq!(has_null_key(&batch), Ok(null));
    }
}

#[test]
fn every_flipped_bit_is_refused_but_those_the_broker_patches() {
    for codec in CODECS {
        let mut builder = Builder::new(codec);
        builder.push(1_700_000_000_000, Some(b"key"), Some(&[b'v'; 100]), &[("h", Some(b"1"))]);
        builder.push(1_700_000_000_001, None, None, &[]);
        let batch = builder.build().unwrap();
        assert!(batch.len() > HEADER_LEN);
        for bit in 0..batch.len() * 8 {
            let mut flipped = batch.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Base offset and leader epoch.
            let outside = matches!(bit / 8, 0..8 | 12..16);
            assert_eq!(check(&flipped).is_ok(), outside, "{codec:?}, bit {bit}");
        }
    }
}
