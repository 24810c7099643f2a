//! Gateways with ZeroMQ sockets at the other end and the broker's own client behind: every kind,
//! its promises, its counters, and what happens when something goes.

mod full;
mod inward;
mod life;
mod outward;
mod secured;
#[path = "../common/small_disk.rs"]
mod small_disk;
mod syncs;

use std::time::{Duration, Instant};

use chaski_broker::client::{Client, Position, ProducerOptions, Record};
use chaski_broker::gateway::{GatewayKind, GatewaySpec, GatewayStatus};
use chaski_broker::{Builder, Server};
use chaski_zmq::{Kind, Message, Socket};

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where gateways of tests listen.
const ANYWHERE: &str = "tcp://127.0.0.1:*";

fn in_memory() -> (Server, Client) {
    let server = Builder::new().in_memory().start().expect("started");
    let client = server.client();
    (server, client)
}

/// Adds a gateway, and says where it is bound.
fn add(client: &Client, spec: GatewaySpec) -> String {
    let status = client.gateways().add(spec).expect("added");
    status.endpoints.first().expect("an endpoint").clone()
}

fn bound(kind: GatewayKind, topic: &str) -> GatewaySpec {
    GatewaySpec::new("g", kind, topic).bind(ANYWHERE)
}

fn socket(kind: Kind, endpoint: &str) -> Socket {
    let socket = Socket::builder(kind).rcvtimeo(PATIENCE).sndtimeo(PATIENCE).build();
    let socket = socket.expect("a socket");
    socket.connect(endpoint).expect("connecting");
    socket
}

fn status(client: &Client) -> GatewayStatus {
    client.gateways().get("g").expect("there")
}

/// Waits until `condition` holds.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came to pass: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for so many records of a topic with one partition: offset, key and value as text.
fn records(client: &Client, topic: &str, count: usize) -> Vec<(i64, String, String)> {
    let mut reader = client.reader(topic, 0, Position::Earliest).expect("a reader");
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} came", found.len());
        reader.wait(Duration::from_millis(100));
        while let Some(records) = reader.next(1 << 20).expect("readable") {
            let take = |r: chaski_batch::Record<'_>| {
                found.push((r.offset, text(r.key), text(r.value)));
            };
            records.for_each(take).expect("well formed");
        }
    }
    found
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("(null)".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn produce(client: &Client, topic: &str, key: &str, values: impl IntoIterator<Item = String>) {
    let mut producer = client.producer(topic, ProducerOptions::default()).expect("a topic");
    for value in values {
        let record = Record { key: Some(key.as_bytes()), ..Record::of(value.as_bytes()) };
        producer.push(record).expect("taken");
    }
    producer.flush().expect("acknowledged");
}

fn frames(message: &Message) -> Vec<String> {
    message.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| n.to_string())
}
