//! Consumers of this machine, which read the log's pages themselves: what is produced is read, what
//! goes away goes with a clear word, and nobody's death or lies reach anybody else.

mod counts;
mod damage;
mod death;
mod hostile;
mod reading;

use std::path::Path;
use std::time::{Duration, Instant};

use chaski_broker::client::{Client, Codec, Durability, ProducerOptions, Record};
use chaski_broker::{Builder, Server};
use chaski_local::{ConsumeError, LocalConsumer, Position};

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name that brokers of these tests have, each in a directory of its own.
const NAME: &str = "broker";

/// A data directory, and one for sockets.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().expect("a directory"))
    }

    fn data(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    fn sockets(&self) -> std::path::PathBuf {
        self.0.path().join("sockets")
    }

    fn start(&self) -> Server {
        start(self.0.path()).expect("started")
    }

    /// A broker with a topic of one partition.
    fn serving(&self, topic: &str) -> (Server, Client) {
        let server = self.start();
        let client = server.client();
        client.create_topic(topic, Some(1), &[]).expect("made");
        (server, client)
    }

    fn connect(&self) -> LocalConsumer {
        self.try_connect().expect("connected")
    }

    fn try_connect(&self) -> Result<LocalConsumer, ConsumeError> {
        let builder = LocalConsumer::builder().directory(self.sockets()).patience(PATIENCE);
        builder.connect(NAME)
    }

    /// One that reads a partition from its beginning.
    fn reading(&self, topic: &str) -> LocalConsumer {
        let mut consumer = self.connect();
        consumer.assign(topic, 0, Position::Earliest).expect("assigned");
        consumer
    }
}

/// A broker below `home`.
fn start(home: &Path) -> Result<Server, Box<dyn std::error::Error>> {
    let builder = Builder::new().data_dir(home.join("data")).set("shm.listen", NAME);
    let sockets = home.join("sockets");
    Ok(builder.set("shm.directory", sockets.to_str().ok_or("a path of text")?).start()?)
}

/// The value that record `number` has.
fn value(number: i64) -> String {
    format!("value {number}, {}", "x".repeat(number as usize % 100))
}

/// Produces these numbers to partition 0, some records a batch, in every codec. No batch waits for
/// the disk, which would take minutes where others keep it busy.
fn produce(client: &Client, topic: &str, numbers: std::ops::Range<i64>) {
    let codecs = [Codec::None, Codec::Lz4, Codec::None, Codec::Zstd, Codec::Gzip, Codec::Snappy];
    let mut at = numbers.start;
    for codec in codecs.into_iter().cycle() {
        if at >= numbers.end {
            return;
        }
        let options = ProducerOptions::new().codec(codec).durability(Durability::PageCache);
        let mut producer = client.producer(topic, options).expect("a topic");
        let end = (at + 1 + at % 13).min(numbers.end);
        for number in at..end {
            let value = value(number);
            let record = Record { partition: Some(0), ..Record::of(value.as_bytes()) };
            producer.push(record).expect("taken");
        }
        producer.flush().expect("acknowledged");
        at = end;
    }
}

/// Reads partition 0 of a topic until `end`, and checks each record that comes.
fn read_to(consumer: &mut LocalConsumer, topic: &str, end: i64) {
    let mut deadline = Instant::now() + PATIENCE;
    let mut expected = consumer.position(topic, 0).expect("assigned");
    while expected < end {
        assert!(Instant::now() < deadline, "only {expected} of {end} came");
        let Some(records) = consumer.next(PATIENCE).expect("readable") else { continue };
        assert_eq!((records.topic(), records.partition()), (topic, 0));
        let each = records.for_each(|record| {
            assert_eq!(record.offset, expected);
            assert_eq!(record.value, Some(value(expected).as_bytes()));
            expected += 1;
        });
        each.expect("well formed");
        assert_eq!(records.next_offset(), expected);
        deadline = Instant::now() + PATIENCE;
    }
    assert_eq!(consumer.position(topic, 0), Some(expected));
}

/// Allows this process as many descriptors as it may have: a consumer and the broker's end of it
/// take some each.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("allowed");
}

/// The log files of partition 0 of a topic.
fn segments(home: &Home, topic: &str) -> Vec<std::path::PathBuf> {
    let dirs = std::fs::read_dir(home.data().join("log")).expect("a log").flatten();
    let mine = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(topic);
    let dir = dirs.map(|dir| dir.path()).find(|dir| dir.file_name().is_some_and(mine));
    let files = std::fs::read_dir(dir.expect("a partition")).expect("a directory").flatten();
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "log");
    let mut logs: Vec<_> = files.map(|file| file.path()).filter(is_log).collect();
    logs.sort();
    logs
}
