//! `chaski send`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{SecurityArgs, pair};
use crate::address::Url;
use crate::complete;

/// Send lines: as records to a topic, or as messages to processes of this machine or to sockets
///
/// kafka://HOST:PORT/TOPIC. Lines that are there are sent together; a line that comes alone is sent
/// at once. A record with a key goes to the partition where Kafka's Java clients would put it
/// (murmur2), one without goes to a partition in turn, changed with every batch. A topic that does
/// not exist is created if the broker does so (auto.create.topics.enable).
///
/// shm://NAME. Each line goes through shared memory to whoever is there, and it ends when all were
/// taken. Messages are bytes and nothing else: options about keys, partitions, compression and
/// acknowledgement are for topics. What the other side is decides how to meet it:
///
///   shm://NAME             connects to a process that collects: `chaski recv shm://NAME`
///   shm://NAME?bind        takes the name, and gives each line to one of those that connect
///   shm://NAME?type=call   connects to a server: a line is a request, its answer is printed
///   shm://NAME?type=pub    takes the name, and gives each line to everybody who subscribes
///   shm://NAME?type=notify connects to a listener: a line is a number, and replaces the one before
///
/// Who publishes waits for a first subscriber, `&wait=N` for so many, and remembers 1000 messages,
/// `&history=N` so many, for those who come later and ask for them.
///
/// `&dir=DIR` looks for the name elsewhere than in this user's directory of services.
///
/// zmq+tcp://HOST:PORT, zmq+ipc://PATH, zmq+ipc://@NAME, zmq+shm://NAME. Each line goes to ZeroMQ
/// sockets, of Chaski or of anybody else, and it ends when all were written. It connects, and waits
/// for whoever is not there yet; with `bind`, or with `*` for the host, others connect to it.
///
///   ?type=push             gives each line to one of its peers, in turns; the default
///   ?type=pub              gives each line to everybody who subscribes
///   ?type=req              a line is a request; its answer is printed before the next is sent
///   ?type=dealer, pair     as push, and as push to the only peer
///   ?type=router           to the peer that the first frame names, once that is there
///
/// A line is one frame. With --key-separator what stands before it is a frame of its own, such as a
/// topic or, for a router, an identity; `&topic=T` puts T before every line of a publisher. Who
/// publishes waits for a first subscription, `&wait=N` for so many, and for subscribers that are
/// too slow; with `&xpub_nodrop=0` those miss lines. `&sndhwm=10`, `&linger=2s`, `&routing_id=me`:
/// all options of sockets are known by libzmq's names; `linger` bounds how long the end may take.
///
/// With --json, a line is an object with `value` and, for a topic, if wanted, `key`, `headers`,
/// `timestamp` (milliseconds since 1970) and `partition`. A key or value is a string, null,
/// {"base64": ".."} for bytes that are no text, or any other JSON, which is sent as its text;
/// headers are an object, or a list of {"key": .., "value": ..}. For sockets it has `value`, or
/// `frames`, a list of such values. What `chaski recv -o json` prints
/// can be sent again, to any; what says where it came from is passed over.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(after_help = "Examples:
  echo hello | chaski send kafka://127.0.0.1:9092/greetings
  chaski send kafka://127.0.0.1:9092/orders orders.csv --codec zstd
  echo k1:v1 | chaski send kafka://127.0.0.1:9092/orders --key-separator :
  echo '{\"key\":\"k1\",\"value\":null}' | chaski send kafka://127.0.0.1:9092/orders --json
  tail -f app.log | chaski send kafka://127.0.0.1:9092/logs --header host=web1 --acks 1

  echo hello | chaski send shm://lines
  chaski send 'shm://jobs?bind' jobs.txt         each line to one worker that is free
  echo world | chaski send 'shm://greeter?type=call'
  tail -f app.log | chaski send 'shm://log?type=pub&wait=0'

  echo hello | chaski send zmq+tcp://localhost:5555
  echo hello | chaski send 'zmq+tcp://localhost:5555?type=req'
  tail -f app.log | chaski send 'zmq+tcp://*:5556?type=pub&topic=app'
  echo '{\"frames\":[\"w1\",\"job\"]}' | chaski send 'zmq+ipc://@jobs?type=router&bind' --json
  chaski send zmq+tcp://HOST:5555 jobs.txt --curve-server-key 'PUBLIC KEY OF THE SERVER'")]
pub(crate) struct Send {
    /// Where to: kafka://HOST:PORT/TOPIC, shm://NAME, or zmq+tcp://HOST:PORT
    #[arg(value_name = "URL", add = complete::urls())]
    pub(crate) url: Url,
    /// File to read; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Lines are key, separator, value, or first frame, separator, second; `\t` is a tab
    #[arg(long, value_name = "SEPARATOR", value_parser = separator)]
    pub(crate) key_separator: Option<String>,
    /// Key of every record
    #[arg(long, value_name = "KEY", conflicts_with = "key_separator")]
    pub(crate) key: Option<String>,
    /// Header of every record; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) headers: Vec<(String, String)>,
    /// Partition of every record
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// A value that is this text is sent as null: a tombstone
    #[arg(long, value_name = "TEXT")]
    pub(crate) null_value: Option<String>,
    /// Lines are JSON objects
    #[arg(long, conflicts_with_all = ["key_separator", "key", "null_value"])]
    pub(crate) json: bool,
    /// How to compress
    #[arg(long, value_enum, value_name = "CODEC", default_value_t = CodecName::None)]
    pub(crate) codec: CodecName,
    /// What to wait for: all, the record is as durable as the broker makes it; 1, the broker has
    /// it; 0, nothing
    #[arg(long, value_enum, value_name = "ACKS", default_value_t = Acks::All)]
    pub(crate) acks: Acks,
    /// Bytes of records sent as one batch, at most; one larger record goes alone
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64 * 1024 * 1024))]
    pub(crate) batch_bytes: u32,
    /// Print nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
}

/// Compression by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// What a producer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acks {
    All,
    #[value(name = "1")]
    One,
    #[value(name = "0")]
    Zero,
}

/// A separator as typed, where `\t` stands for a tab.
pub(super) fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        _ => Ok(text.replace("\\t", "\t")),
    }
}
