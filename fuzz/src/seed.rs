//! Writes sound inputs into `corpus/<target>/`, one file each: what is behind a checksum or inside
//! a compressed stream is out of reach of a fuzzer that starts from nothing.

use std::path::Path;
use std::{fs, io};

use chaski_batch::{Builder, Codec};
use chaski_kafka::{ApiKey, api_versions, fetch, frame_request, join_group, metadata, produce};

fn main() -> io::Result<()> {
    write("batch", &batches())?;
    write("kafka_request", &requests())?;
    write("region", &numbered(chaski_ring::region::exercise::seeds()))?;
    write("region_broadcast", &numbered(chaski_ring::region::broadcast::exercise::seeds()))?;
    write("shm_wire", &numbered(chaski_shm::wire::exercise::seeds()))?;
    write("curve", &numbered(chaski_zmtp::mechanism::curve::exercise::seeds()))?;
    write("zmtp_handshake", &numbered(chaski_zmtp::exercise::handshake_seeds()))?;
    write("zmtp_traffic", &numbered(chaski_zmtp::exercise::traffic_seeds()))?;
    write("zmtp_words", &numbered(chaski_zmtp::exercise::words_seeds()))
}

/// Seeds that the crate under test makes itself, called by their numbers.
fn numbered(seeds: Vec<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    seeds.into_iter().enumerate().map(|(n, seed)| (n.to_string(), seed)).collect()
}

/// A request of several APIs in each version, without the length in front.
fn requests() -> Vec<(String, Vec<u8>)> {
    let batch = batch(Codec::None);
    let produce = produce::Request {
        topic_data: vec![produce::RequestTopic {
            name: "topic",
            partition_data: vec![produce::RequestPartition { index: 0, records: Some(&batch) }],
        }],
        ..Default::default()
    };
    let fetch = fetch::Request {
        topics: vec![fetch::RequestTopic {
            topic: "topic",
            partitions: vec![fetch::RequestPartition::default()],
        }],
        ..Default::default()
    };
    let mut seeds = Vec::new();
    let mut add = |api: ApiKey, frame: &dyn Fn(i16) -> Vec<u8>| {
        for version in api.min_version()..=api.max_version() {
            seeds.push((format!("{}-{version}", api.name()), frame(version)[4..].to_vec()));
        }
    };
    add(ApiKey::Produce, &|v| frame_request(v, 1, Some("seed"), &produce).into_bytes());
    add(ApiKey::Fetch, &|v| frame_request(v, 1, Some("seed"), &fetch).into_bytes());
    add(ApiKey::Metadata, &|v| {
        frame_request(v, 1, Some("seed"), &metadata::Request::default()).into_bytes()
    });
    add(ApiKey::ApiVersions, &|v| {
        frame_request(v, 1, None, &api_versions::Request::default()).into_bytes()
    });
    add(ApiKey::JoinGroup, &|v| {
        frame_request(v, 1, None, &join_group::Request::default()).into_bytes()
    });
    seeds
}

/// A batch of three records in every codec.
fn batches() -> Vec<(String, Vec<u8>)> {
    [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]
        .into_iter()
        .map(|codec| (format!("{codec:?}").to_lowercase(), batch(codec)))
        .collect()
}

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(codec).producer(1, 0, 0);
    builder.push(1_000, Some(b"key"), Some(b"value value value value"), &[("h", Some(b"1"))]);
    builder.push(1_001, None, Some(b""), &[("h", None)]);
    builder.push(999, Some(b""), None, &[]);
    builder.build().expect("three records make a batch")
}

fn write(target: &str, inputs: &[(String, Vec<u8>)]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in inputs {
        fs::write(folder.join(name), bytes)?;
    }
    println!("{} inputs in {}", inputs.len(), folder.display());
    Ok(())
}
