//! What lies between a socket and one of its peers.
//!
//! A [`Link`] lives as long as the pattern knows the peer: for one that we connect to, across any
//! number of connections. What it leads through is either
//!
//! - a *wire*: a stream of the kernel's, with an [`Outbox`] of encoded messages before it and an
//!   [`Inbox`] with a decoder behind it; or
//! - something *near*: memory shared with another socket of this process or machine. [`NearSender`]
//!   and [`NearReceiver`] are all that a socket asks of it.
//!
//! | file | what |
//! |---|---|
//! | `outbox` | when messages are written: adaptive flush |
//! | `queue`, `flight`, `pace` | encoded messages; what is being written; what a burst is |
//! | `inbox` | what came and was not taken |
//! | `stream` | bytes of the kernel's |

mod flight;
mod inbox;
pub(crate) mod inproc;
mod outbox;
mod pace;
mod queue;
pub(crate) mod shm;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chaski_zmtp::metadata::{IDENTITY, SOCKET_TYPE};
use chaski_zmtp::pattern::{Peer, PeerInfo};
use chaski_zmtp::{Command, Frame, Message, Metadata};

pub(crate) use inbox::{Codec, Inbox, Next, Pass, Single};
pub(crate) use outbox::{After, Clock, End, Flushed, Outbox, Tick};
pub(crate) use queue::Framing;
pub(crate) use stream::{Read, Stream};

use crate::endpoint::{Address, Endpoint};
use crate::socket::shared::Shared;

/// How a link came to be, for those who look at it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// What was given to `connect`, or the endpoint that accepted it.
    pub(crate) endpoint: Endpoint,
    /// Whether we connect to it.
    pub(crate) dialled: bool,
}

impl Route {
    /// Whether it leads through memory.
    pub(crate) fn is_near(&self) -> bool {
        matches!(self.endpoint.address(), Address::Inproc(_) | Address::Shm(_))
    }
}

/// A peer of a socket, and the way to it by wire.
pub(crate) struct Link {
    /// Its number in the pattern.
    pub(crate) peer: Peer,
    /// Where it leads.
    pub(crate) route: Arc<Route>,
    pub(crate) outbox: Outbox,
    /// Stands in the socket's list of outboxes to be flushed.
    pub(crate) armed: AtomicBool,
    /// The newest connection that the driver is known to have been told is lost.
    lost: AtomicU64,
    /// Copies of messages that were not sent because too many waited.
    pub(crate) dropped: AtomicU64,
    /// How many times a connection came up.
    pub(crate) connections: AtomicU64,
    /// Grows with what is read from the peer, and taken of what had been read ahead: written by who
    /// has its inbox.
    pub(crate) progress: AtomicU64,
    /// What is known of the peer, while a connection is up.
    about: Mutex<Option<About>>,
    socket: Weak<Shared>,
}

/// What the handshake told about a peer.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) info: PeerInfo,
    pub(crate) mechanism: &'static str,
    pub(crate) stream: Option<Arc<Stream>>,
    pub(crate) words: Arc<Words>,
}

/// What is known of a peer beyond what the protocol needs: for the user alone.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Who the authenticator says it is.
    pub(crate) user_id: Option<String>,
    /// As on the wire: taken apart, properties of few bytes would be ten times as many, for as long
    /// as the peer stays.
    metadata: Vec<u8>,
}

impl Words {
    /// What the peer says about itself, and then what the authenticator says about it.
    pub(crate) fn new(user_id: String, own: &Metadata, zap: &Metadata) -> Self {
        // What the protocol needs stands in `PeerInfo`.
        let needed = |name: &str| {
            [SOCKET_TYPE, IDENTITY].iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        let mut all = Metadata::new();
        for (name, value) in own.iter().filter(|(name, _)| !needed(name)).chain(zap.iter()) {
            // What was decoded can be written.
            let _ = all.push(name, value.to_vec());
        }
        let mut metadata = Vec::new();
        all.encode(&mut metadata);
        Words { user_id: Some(user_id).filter(|id| !id.is_empty()), metadata }
    }

    /// The properties, by name and in order.
    pub(crate) fn metadata(&self) -> Vec<(String, Vec<u8>)> {
        let metadata = Metadata::decode(&self.metadata).unwrap_or_default();
        metadata.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    }
}

impl Link {
    pub(crate) fn new(
        peer: Peer,
        route: Arc<Route>,
        hwm: u32,
        framing: Framing,
        socket: Weak<Shared>,
    ) -> Self {
        Link {
            peer,
            route,
            outbox: Outbox::new(hwm, framing),
            armed: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            about: Mutex::new(None),
            socket,
        }
    }

    /// The socket it belongs to, unless that is gone.
    pub(crate) fn socket(&self) -> Option<Arc<Shared>> {
        self.socket.upgrade()
    }

    /// What is known of the peer now.
    pub(crate) fn about(&self) -> Option<About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the newest connection, or of the attempt before the first. What is said of one
    /// must not be taken for the next.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.load(Ordering::Acquire) + 1
    }

    /// The connection of this number is over; whether this is the first that says so.
    pub(crate) fn loses(&self, connection: u64) -> bool {
        self.lost.fetch_max(connection, Ordering::AcqRel) < connection
    }

    /// Notes what is known of the peer; what was known before.
    pub(crate) fn set_about(&self, about: Option<About>) -> Option<About> {
        if about.is_some() {
            // ORDERING: before the outbox has the connection; pairs with `connection`.
            self.connections.fetch_add(1, Ordering::Release);
        }
        std::mem::replace(&mut self.about.lock().unwrap_or_else(PoisonError::into_inner), about)
    }

    /// The driver's tick for an armed link. `retire` asks to be rid of it if nothing is gathered.
    pub(crate) fn tick(self: &Arc<Self>, retire: bool) -> Tick {
        let Some(socket) = self.socket() else { return Tick::Retired };
        let (tick, flushed) = self.outbox.tick(retire, socket.is_led());
        socket.ticked(self, flushed);
        if tick == Tick::Retired && self.outbox.is_stuck() && !socket.is_led() {
            // Who slept in the poll has left meanwhile. If it looked for stuck outboxes while this
            // one was still ticked for, it left it to us; if later, it has armed it again.
            return Tick::Stuck;
        }
        tick
    }
}

/// What arrives from a near peer.
pub(crate) enum Arrival {
    /// A message.
    Message(Message),
    /// A command: SUBSCRIBE, CANCEL, JOIN, LEAVE.
    Command(Command),
}

/// The way to a peer reached through memory.
///
/// It is called under the lock of the sending socket's rules: by one thread at a time, which may
/// not wait there. After a `push` into what the receiver may believe empty, the implementation
/// calls `Shared::rouse` of the receiving socket.
pub(crate) trait NearSender: Send {
    /// Whether one more message fits.
    fn has_room(&self) -> bool;

    /// Whether the other end has closed, which the receiving side finds only behind what came
    /// before it.
    fn is_gone(&self) -> bool {
        false
    }

    /// Queues a message, or gives it back if there is no room or nobody at the other end.
    #[expect(clippy::result_large_err, reason = "a message is given back as it came")]
    fn push(&mut self, message: Message) -> Result<(), Message>;

    /// Queues a message whose last frame is lent; whether there was room, and somebody.
    fn push_lent(&mut self, envelope: &Message, body: &[u8]) -> bool {
        self.push(envelope.clone().with(body)).is_ok()
    }

    /// Queues a command, whatever the room.
    fn tell(&mut self, command: Command);

    /// How many messages wait to be popped by the other end.
    fn queued(&self) -> usize;

    /// Lets the other end pop what is there, and no more; also done by `drop`.
    fn close(&mut self);
}

/// The way from a peer reached through memory.
///
/// It is called under the lock of the receiving socket's inboxes. After a `pop` that a sender may
/// be waiting for, the implementation calls `Shared::room` of the sending socket.
pub(crate) trait NearReceiver: Send {
    /// Takes the next that came. `Err` once the other end has closed and all it sent was taken.
    fn pop(&mut self) -> Result<Option<Arrival>, Gone>;

    /// Takes the next message if it is a single frame and at hand. `None` says no more than that
    /// `pop` is to be asked.
    fn pop_single(&mut self) -> Option<Frame> {
        None
    }
}

/// The other end has closed.
pub(crate) struct Gone;
