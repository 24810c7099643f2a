//! `chaski recv`.

use clap::ValueEnum;

use super::SecurityArgs;
use super::send::separator;
use crate::address::Url;
use crate::complete;
use crate::position::Position;

/// Print the records of a topic, or what other processes of this machine or sockets anywhere send
///
/// kafka://HOST:PORT/TOPIC. On a terminal, or with --count, it waits for records to come; otherwise
/// it stops at what was the end of the topic when it began. It starts at the newest record when it
/// waits, at the oldest otherwise, unless --from says where. Records of one partition come in
/// order; between partitions there is none.
///
/// shm://NAME. Who binds the name waits for whoever may come, until --count or Ctrl-C. Who connects
/// waits for somebody to bind it, and ends when that one is gone and all it sent was printed; with
/// --follow it waits for the next one. Messages of one process come in order.
///
///   shm://NAME              takes the name, and collects: `chaski send shm://NAME`
///   shm://NAME?connect      connects as one of the workers of: `chaski send 'shm://NAME?bind'`
///   shm://NAME?type=sub     connects to who publishes: `chaski send 'shm://NAME?type=pub'`
///   shm://NAME?type=serve   takes the name as a server, and answers each request with itself
///   shm://NAME?type=listen  takes the name, and prints the latest number of each who notifies
///
/// Who subscribes gets what is published from then on, with `&history=N` up to so many before. If
/// it is too slow it loses the oldest and says how many; with `&policy=block` it is waited for
/// instead, with `&policy=disconnect` cut off.
///
/// `&dir=DIR` looks for the name elsewhere than in this user's directory of services.
///
/// zmq+tcp://HOST:PORT, zmq+ipc://PATH, zmq+ipc://@NAME, zmq+shm://NAME. What ZeroMQ sockets send,
/// of Chaski or of anybody else. With `bind`, or with `*` for the host, it waits for whoever may
/// come, until --count or Ctrl-C. Otherwise it connects, waits for the other side, and ends when
/// that one is gone and all it sent was printed; with --follow it waits for it to come again.
///
///   ?type=pull             collects what is pushed; the default
///   ?type=sub              subscribes: to all, or to each `&topic=T`, the first bytes of a message
///   ?type=rep              answers each request with itself
///   ?type=router           puts the identity of the sender before its frames
///   ?type=dealer, pair     what comes from any peer, or from the only one
///
/// All options of sockets are known by libzmq's names: `&rcvhwm=10`, `&routing_id=me`. With text,
/// frames stand on one line with --key-separator between them.
///
/// JSON objects of a topic have topic, partition, offset, timestamp (milliseconds since 1970, -1
/// for none), key, value and headers. Those of a service have service, pid and value; of what is
/// published also sequence, how many came before; of a notification rings, how many it stands for.
/// Those of a socket have value, or frames, a list, if there are several.
/// Bytes that are UTF-8 are a string, other bytes {"base64": ".."}, null is null.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(after_help = "Examples:
  chaski recv kafka://127.0.0.1:9092/greetings
  chaski recv kafka://127.0.0.1:9092/greetings --from earliest --count 10
  chaski recv kafka://127.0.0.1:9092/orders --from -1h -o json | jq .value
  chaski recv kafka://127.0.0.1:9092/orders --from 2026-08-01T12:00:00Z --exit-at-end
  chaski recv kafka://127.0.0.1:9092/orders --from 4200 --partition 3 --key

  chaski recv shm://lines
  chaski recv shm://lines -o json | chaski send kafka://127.0.0.1:9092/lines --json
  chaski recv 'shm://jobs?connect'               one worker; start as many as there are cores
  chaski recv 'shm://log?type=sub&history=20' | grep error

  chaski recv 'zmq+tcp://*:5555'
  chaski recv 'zmq+tcp://localhost:5556?type=sub&topic=app&topic=web'
  chaski recv 'zmq+tcp://*:5555?type=rep'        a server to try clients with
  chaski recv 'zmq+ipc://@jobs?type=dealer&routing_id=worker-1' -o json
  chaski recv 'zmq+tcp://*:5555' --curve-key server.key --curve-allow 'PUBLIC KEY OF A CLIENT'")]
pub(crate) struct Recv {
    /// Where from: kafka://HOST:PORT/TOPIC, shm://NAME, or zmq+tcp://HOST:PORT
    #[arg(value_name = "URL", add = complete::urls())]
    pub(crate) url: Url,
    /// earliest, latest, an offset, or a time: RFC 3339, or relative like -1h or -2d
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    pub(crate) from: Option<Position>,
    /// Stop after so many records or messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Wait for records to come, or for the next process to bind the name or address
    #[arg(long, conflicts_with = "exit_at_end")]
    pub(crate) follow: bool,
    /// Stop at what is the end of the topic at the start
    #[arg(long)]
    pub(crate) exit_at_end: bool,
    /// Only this partition; may be given several times [default: all]
    #[arg(long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partitions: Vec<i32>,
    /// Form of the output: values a line each, JSON objects a line each, or values with nothing
    /// between them
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = RecvFormat::Text)]
    pub(crate) output: RecvFormat,
    /// With text: print the key and a separator before the value
    #[arg(long)]
    pub(crate) key: bool,
    /// What stands between key and value, or between frames; `\t` is a tab
    #[arg(long, value_name = "SEPARATOR", default_value = "\\t", value_parser = separator)]
    pub(crate) key_separator: String,
    /// With text: what to print for null [default: nothing]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) null_value: String,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
}

/// Form in which records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecvFormat {
    Text,
    #[value(alias = "jsonl")]
    Json,
    Raw,
}
