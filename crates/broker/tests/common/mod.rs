//! A broker of one's own and a client that says exactly what it is told.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chaski_batch::{Builder, Codec};
use chaski_broker::Server;
use chaski_broker::settings::{BROKER, Given};
use chaski_kafka::{
    ErrorCode, Message, Reader, Request, ResponseHeader, create_topics, fetch, frame_request,
    produce,
};
use tempfile::TempDir;

/// Longest a test waits for bytes that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker in a directory of its own.
pub(crate) struct Running {
    server: Option<Server>,
    dir: TempDir,
    settings: Vec<(String, String)>,
}

impl Running {
    /// Starts one with these settings over the defaults.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Running {
        let settings = settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let mut running =
            Running { server: None, dir: tempfile::tempdir().expect("a directory"), settings };
        running.begin();
        running
    }

    fn begin(&mut self) {
        let mut given = Given::new();
        let dir = self.dir.path().display().to_string();
        let fixed = [
            ("data.dir", dir.as_str()),
            ("kafka.listen", "127.0.0.1:0"),
            ("http.listen", "127.0.0.1:0"),
        ];
        let chosen = self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        for (name, value) in fixed.into_iter().chain(chosen) {
            given.set(BROKER, name, value).expect("a valid setting");
        }
        self.server = Some(Server::start(given).expect("started"));
    }

    /// Stops it cleanly and starts it again.
    pub(crate) fn restart(&mut self) {
        self.server.take().expect("running").stop().expect("stopped");
        self.begin();
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The body of a page over HTTP.
    pub(crate) fn page(&self, path: &str) -> String {
        let address = self.server.as_ref().expect("running").http_addr().expect("listening");
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
    }

    /// The same broker, from inside.
    pub(crate) fn client(&self) -> chaski_broker::Client {
        self.server.as_ref().expect("running").client()
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        let address = self.server.as_ref().expect("running").kafka_addr().expect("listening");
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream, correlation_id: 0 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = server.stop();
        }
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    /// Sends a request; returns its correlation id.
    pub(crate) fn send<'a, R: Request<'a>>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let frame = frame_request(version, self.correlation_id, Some("test"), request);
        self.stream.write_all(&frame.into_bytes()).expect("sent");
        self.correlation_id
    }

    /// The next frame, without its length; None once the broker has hung up.
    pub(crate) fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// Sends a request and hands the decoded answer to `look`.
    pub(crate) fn ask<'a, R: Request<'a>, T>(
        &mut self,
        version: i16,
        request: &R,
        look: impl for<'r> FnOnce(R::Response<'r>) -> T,
    ) -> T {
        let correlation_id = self.send(version, request);
        let frame = self.frame().expect("an answer");
        let (header, len) = ResponseHeader::decode(&frame, R::API, version).expect("a header");
        assert_eq!(header.correlation_id, correlation_id);
        let mut reader = Reader::new(&frame[len..]);
        let response = R::Response::decode(&mut reader, version).expect("a response");
        reader.finish().expect("nothing left over");
        look(response)
    }

    /// Makes a topic.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> ErrorCode {
        let topic = create_topics::RequestTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| create_topics::RequestConfig { name, value: Some(value) })
                .collect(),
            ..Default::default()
        };
        let request = create_topics::Request { topics: vec![topic], ..Default::default() };
        self.ask(5, &request, |response| response.topics[0].error_code)
    }

    /// Produces one batch; its base offset or the error.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        index: i32,
        acks: i16,
        records: &[u8],
    ) -> Result<i64, ErrorCode> {
        self.ask(9, &produce_request(topic, index, acks, records), |response| {
            let partition = &response.responses[0].partition_responses[0];
            partition.error_code.ok().map(|()| partition.base_offset)
        })
    }

    /// Fetches one partition; its records or the error.
    pub(crate) fn fetch(
        &mut self,
        topic: &str,
        index: i32,
        offset: i64,
        max_bytes: i32,
        max_wait_ms: i32,
    ) -> Result<Vec<u8>, ErrorCode> {
        let request = fetch_request(topic, index, offset, max_bytes, max_wait_ms);
        self.ask(11, &request, |response| {
            let partition = &response.responses[0].partitions[0];
            partition.error_code.ok().map(|()| bytes_of(&partition.records))
        })
    }
}

/// The records of a response.
pub(crate) fn bytes_of(records: &fetch::Records<'_>) -> Vec<u8> {
    match records {
        fetch::Records::Bytes(bytes) => bytes.unwrap_or_default().to_vec(),
        fetch::Records::Spliced(_) => panic!("decoded records are bytes"),
    }
}

/// Asks for one batch to be appended.
pub(crate) fn produce_request<'a>(
    topic: &'a str,
    index: i32,
    acks: i16,
    records: &'a [u8],
) -> produce::Request<'a> {
    let partition = produce::RequestPartition { index, records: Some(records) };
    produce::Request {
        acks,
        timeout_ms: 1000,
        topic_data: vec![produce::RequestTopic { name: topic, partition_data: vec![partition] }],
        ..Default::default()
    }
}

/// Asks for one partition's records.
pub(crate) fn fetch_request(
    topic: &str,
    index: i32,
    offset: i64,
    max_bytes: i32,
    max_wait_ms: i32,
) -> fetch::Request<'_> {
    let partition = fetch::RequestPartition {
        partition: index,
        fetch_offset: offset,
        partition_max_bytes: max_bytes,
        ..Default::default()
    };
    fetch::Request {
        max_wait_ms,
        min_bytes: 1,
        max_bytes,
        topics: vec![fetch::RequestTopic { topic, partitions: vec![partition] }],
        ..Default::default()
    }
}

/// A batch of these values, stamped now.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    batch_with(Builder::new(Codec::None), values)
}

/// The same through a builder of one's own.
pub(crate) fn batch_with(mut builder: Builder, values: &[&str]) -> Vec<u8> {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    for value in values {
        builder.push(since_epoch.as_millis() as i64, None, Some(value.as_bytes()), &[]);
    }
    builder.build().expect("a batch")
}

/// The values in a run of batches, each with its offset.
pub(crate) fn values(mut bytes: &[u8]) -> Vec<(i64, String)> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let header = chaski_batch::check(bytes).expect("a good batch");
        let (batch, rest) = bytes.split_at(header.total_len());
        let records = chaski_batch::records(batch, 1 << 20).expect("records");
        for record in &records {
            let record = record.expect("a good record");
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            values.push((record.offset, value));
        }
        bytes = rest;
    }
    values
}
