//! The `kafka-protocol` crate as oracle: batches it encodes are read here, batches built here are
//! read there, in every codec. Its LZ4 and Zstandard are the reference libraries in C.

use bytes::{Bytes, BytesMut};
use chaski_batch::{Builder, Codec, check, records};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, RecordSet,
    TimestampType,
};

const CODECS: [(Codec, Compression); 5] = [
    (Codec::None, Compression::None),
    (Codec::Gzip, Compression::Gzip),
    (Codec::Snappy, Compression::Snappy),
    (Codec::Lz4, Compression::Lz4),
    (Codec::Zstd, Compression::Zstd),
];

const PRODUCER_ID: i64 = 4_711;
const PRODUCER_EPOCH: i16 = 3;
const BASE_SEQUENCE: i32 = 50;
const BASE_TIMESTAMP: i64 = 1_700_000_000_000;

/// Nulls, empty strings, one header or none, and values from nothing to several snappy blocks.
fn messages(count: i64) -> Vec<Record> {
    (0..count).map(message).collect()
}

fn message(i: i64) -> Record {
    let text = format!("message {i}, ").repeat(1 << (i % 11));
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: PRODUCER_ID,
        producer_epoch: PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: i,
        sequence: BASE_SEQUENCE + i as i32,
        timestamp: BASE_TIMESTAMP + i * i,
        key: (i % 3 != 0).then(|| Bytes::from(format!("key {i}"))),
        value: (i % 5 != 0).then(|| Bytes::from(text)),
        headers: (0..i % 3).map(|h| header(h, i)).collect(),
    }
}

fn header(name: i64, value: i64) -> (StrBytes, Option<Bytes>) {
    let value = (name > 0).then(|| Bytes::from(value.to_string()));
    (StrBytes::from_string(format!("header {name}")), value)
}

fn encode_there(messages: &[Record], compression: Compression) -> Vec<u8> {
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut batch, messages, &options).unwrap();
    batch.to_vec()
}

fn decode_there(batch: Vec<u8>) -> RecordSet {
    RecordBatchDecoder::decode(&mut Bytes::from(batch)).unwrap()
}

fn encode_here(messages: &[Record], codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(codec).producer(PRODUCER_ID, PRODUCER_EPOCH, BASE_SEQUENCE);
    for message in messages {
        let headers: Vec<_> =
            message.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let (key, value) = (message.key.as_deref(), message.value.as_deref());
        builder.push(message.timestamp, key, value, &headers);
    }
    builder.build().unwrap()
}

#[test]
fn their_batches_are_read_here() {
    for (codec, compression) in CODECS {
        for count in [1, 2, 60] {
            let messages = messages(count);
            let batch = encode_there(&messages, compression);
            let header = check(&batch).unwrap();
            assert_eq!(header.codec(), Ok(codec));
            assert_eq!(i64::from(header.record_count), count);
            assert_eq!((header.producer_id, header.producer_epoch), (PRODUCER_ID, PRODUCER_EPOCH));
            assert_eq!(header.base_sequence, BASE_SEQUENCE);
            assert_eq!(header.max_timestamp, messages.last().unwrap().timestamp);
            assert_same(&batch, &messages);
        }
    }
}

fn assert_same(batch: &[u8], messages: &[Record]) {
    let records = records(batch, 1 << 20).unwrap();
    assert_eq!(records.iter().count(), messages.len());
    for (record, message) in records.iter().zip(messages) {
        let record = record.unwrap();
        assert_eq!(record.offset, message.offset);
        assert_eq!(record.timestamp, message.timestamp);
        assert_eq!(record.key, message.key.as_deref());
        assert_eq!(record.value, message.value.as_deref());
        let theirs = message.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref()));
        assert!(record.headers.iter().eq(theirs));
    }
}

#[test]
fn our_batches_are_read_there() {
    for (codec, compression) in CODECS {
        for count in [1, 2, 60] {
            let messages = messages(count);
            let read = decode_there(encode_here(&messages, codec));
            assert_eq!(read.compression, compression);
            assert_eq!(read.records, messages);
        }
    }
}

#[test]
fn uncompressed_batches_are_the_same_bytes() {
    let messages = messages(60);
    assert_eq!(encode_here(&messages, Codec::None), encode_there(&messages, Compression::None));
}
