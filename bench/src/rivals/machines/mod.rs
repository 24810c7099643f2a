//! Who takes part in the distance "machines": ZeroMQ sockets of several libraries, and bare
//! streams, behind the few calls that the cases make, so that all are driven by the same loops.
//!
//! ```text
//!   Library   bind, connect            what is built of it:  Socket   send, recv, echo
//! ```
//!
//! The calls are futures, because most of the libraries know nothing else: a side of a turn is one
//! future that runs on what its library runs on ([`Library::run`]), with no wait between two
//! runtimes. Those whose calls block are futures that never wait. Messages come from private memory
//! by each library's own constructor that copies, and are shown to [`Read`] where the library has
//! put them.

pub mod bare;
pub mod chaski;
pub mod dealers;
mod keys;
pub mod libzmq;
pub mod ring;
pub mod router;

#[cfg(feature = "zmq-rivals")]
pub mod monocoque;
#[cfg(feature = "zmq-rivals")]
pub mod omq;
#[cfg(feature = "zmq-rivals")]
pub mod rzmq;
#[cfg(feature = "zmq-rivals")]
pub mod zeromq;

use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use anyhow::{Result, bail};
use tokio::runtime::Runtime;

pub use crate::rivals::processes::Read;
use crate::workloads::side::turn_dir;
use keys::{CLIENT_KEYS, Keys, SERVER_KEYS};

/// Those who take part, by the names of their packages; libzmq is found at run time.
pub const PACKAGES: [&str; 5] = ["chaski-zmq", "monocoque-rs", "omq-tokio", "rzmq", "zeromq"];

/// Topics that are published where subscribers want some of them.
pub const TOPICS: usize = 10_000;

/// Of so many topics a subscriber wants one.
pub const TOPICS_PER_SUBSCRIPTION: usize = 10;

/// Bytes of a topic, with which its messages begin.
pub const TOPIC_BYTES: usize = 8;

/// A library of sockets. In a process there is one context of it.
pub trait Library: 'static {
    /// A socket that is bound and may still need to be told how many peers to wait for.
    type Bound;
    type Socket: Socket;

    /// What it cannot do, or not well enough to take part.
    const LACKS: &'static [Lacks];

    /// Runs one side of a turn to its end, in this thread, on what the library runs on.
    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T>;

    /// A bound socket, and the endpoint to which others are to connect.
    async fn bind(role: Role, spec: &Spec) -> Result<(Self::Bound, String)>;

    /// The socket; who can tell returns when so many peers have connected.
    async fn accept(bound: Self::Bound, peers: usize) -> Result<Self::Socket>;

    /// A connected socket. SUB has subscribed.
    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Self::Socket>;
}

/// One socket of any pattern.
pub trait Socket {
    /// Sends a message of one frame, and waits for room as the pattern does.
    async fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Waits for a message and shows its last frame, and perhaps those of some that came along.
    async fn recv(&mut self, read: impl Read) -> Result<()>;

    /// Waits for a request and sends it back.
    async fn echo(&mut self) -> Result<()>;

    /// Makes what was sent go, where it does not go by itself.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a library may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// It is a way to stream: messages wait for others, or are taken together.
    Conversations,
    Curve,
    Inproc,
    Ipc,
    /// A setting with which PUB waits for subscribers, so that none of them loses a message.
    Lossless,
    /// More than one peer of a socket.
    ManyPeers,
    /// It is a way to converse: where there always is something to take it does nothing.
    Streams,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Req,
    Rep,
    Push,
    Pull,
    Dealer,
    Router,
    Pub,
    Sub,
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Ipc,
    Inproc,
}

/// What both sides of a case agree on.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Length of each message.
    pub bytes: usize,
    pub transport: Transport,
    /// Encrypted and authenticated by CURVE; who binds is the server.
    pub curve: bool,
    /// PUB waits for subscribers that are behind, where the library has such a setting.
    pub lossless: bool,
    /// SUB wants one of [`TOPICS_PER_SUBSCRIPTION`] topics, not all messages.
    pub topics: bool,
    /// Process id of the turn.
    pub turn: u32,
}

impl Spec {
    pub const fn new(bytes: usize, transport: Transport) -> Spec {
        Spec { bytes, transport, curve: false, lossless: false, topics: false, turn: 0 }
    }

    /// Where to bind.
    pub fn endpoint(&self) -> String {
        match self.transport {
            Transport::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Transport::Ipc => format!("ipc://{}/socket", turn_dir(self.turn).display()),
            Transport::Inproc => "inproc://bench".to_owned(),
        }
    }

    /// What SUB subscribes to.
    pub fn subscriptions(&self) -> Vec<Vec<u8>> {
        if !self.topics {
            return vec![Vec::new()];
        }
        let wanted = (0..TOPICS).filter(|topic| is_wanted(*topic));
        wanted.map(|topic| topic_name(topic).to_vec()).collect()
    }
}

/// The topic of the message with this number: no two neighbours are alike.
pub fn topic_of(number: u64) -> usize {
    const STRIDE: u64 = 7919;
    ((number % TOPICS as u64) * STRIDE) as usize % TOPICS
}

pub fn is_wanted(topic: usize) -> bool {
    topic.is_multiple_of(TOPICS_PER_SUBSCRIPTION)
}

/// `top-0123`
pub fn topic_name(topic: usize) -> [u8; TOPIC_BYTES] {
    let digit = |of: usize| b'0' + (of % 10) as u8;
    [
        b't',
        b'o',
        b'p',
        b'-',
        digit(topic / 1000),
        digit(topic / 100),
        digit(topic / 10),
        digit(topic),
    ]
}

/// Runs a future that never waits: those of libraries whose calls block.
fn run_at_once<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(side).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => bail!("a call that blocks was expected"),
    }
}

/// What tokio's users get from `#[tokio::main]`, shared by all threads of a side.
fn run_on_tokio<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("threads")).block_on(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_published_and_a_tenth_is_wanted() {
        let mut published: Vec<usize> = (0..TOPICS as u64).map(topic_of).collect();
        published.sort_unstable();
        assert!(published.iter().copied().eq(0..TOPICS));
        let wanted = Spec { topics: true, ..Spec::new(64, Transport::Tcp) }.subscriptions();
        assert_eq!(wanted.len(), TOPICS / TOPICS_PER_SUBSCRIPTION);
        assert_eq!(wanted[7], b"top-0070");
    }
}
