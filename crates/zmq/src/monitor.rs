//! What happens to a socket's connections, as a stream of events.
//!
//! A [`Monitor`] holds up to [`Monitor::EVENTS_MAX`] events that nobody took. It never delays the
//! socket: an event for which there is no room is dropped and counted.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;

use chaski_ring::{TrySendError, mpmc};
use chaski_zmtp::DecodeError;

use crate::endpoint::Endpoint;
use crate::wake::{Held, hold, patient};

/// How many events a monitor holds that nobody took.
const EVENTS_MAX: usize = 1024;

/// Something that happened to a connection, or to a listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// What was given to `bind` or `connect`.
    pub endpoint: Endpoint,
    /// The other side's address, if there is one and it is known: `10.0.0.7:40112`.
    pub peer: Option<String>,
    /// What happened.
    pub what: What,
}

/// What happened. libzmq's event of the same meaning stands behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A listener is ready (`LISTENING`).
    Listening,
    /// A listener could not be set up (`BIND_FAILED`).
    BindFailed(String),
    /// A peer has connected; its handshake begins (`ACCEPTED`).
    Accepted,
    /// A connection could not be accepted (`ACCEPT_FAILED`).
    AcceptFailed(String),
    /// No descriptors are left: the listener rests for this long, then tries again.
    AcceptPaused(Duration),
    /// The system is connecting, and it takes a while (`CONNECT_DELAYED`).
    ConnectDelayed,
    /// The connection is up; the handshake begins (`CONNECTED`).
    Connected,
    /// An attempt failed, or a connection was lost; the next attempt comes later
    /// (`CONNECT_RETRIED`).
    ConnectRetried {
        /// How much later.
        after: Duration,
        /// Why there is a need to.
        why: String,
    },
    /// No more attempts are made.
    ConnectStopped(String),
    /// Messages can flow (`HANDSHAKE_SUCCEEDED`).
    HandshakeSucceeded,
    /// They cannot (`HANDSHAKE_FAILED_*`).
    HandshakeFailed(HandshakeFailure),
    /// A connection that was up has ended (`DISCONNECTED`).
    Disconnected(Lost),
    /// A listener, or a connection that was being made, was closed by the user (`CLOSED`).
    Closed,
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The connection broke, or the time was over (`HANDSHAKE_FAILED_NO_DETAIL`).
    NoDetail(String),
    /// The other side does not keep the protocol, or does not suit (`HANDSHAKE_FAILED_PROTOCOL`).
    Protocol(String),
    /// The other side may not enter (`HANDSHAKE_FAILED_AUTH`), by this status (RFC 27): 300, 400 or
    /// 500.
    Auth(u16),
    /// The other side said in an ERROR command that it refuses us, for this reason
    /// (`HANDSHAKE_FAILED_PROTOCOL`). It would do so again: no other attempt is made.
    Refused(String),
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFailure::NoDetail(why) | HandshakeFailure::Protocol(why) => f.write_str(why),
            HandshakeFailure::Auth(status) => write!(f, "authentication failed with {status}"),
            HandshakeFailure::Refused(reason) => write!(f, "peer refused: {reason:?}"),
        }
    }
}

/// Why a connection ended that was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// The peer closed it.
    Hangup,
    /// The system reported an error.
    Io(io::ErrorKind),
    /// The peer sent what the protocol does not allow, or more than a limit.
    Protocol(Breach),
    /// The peer said in an ERROR command that it refuses us, and why.
    Refused(Refusal),
    /// The peer was silent for longer than a heartbeat allows.
    Silent,
    /// Another connection took its identity over.
    Replaced,
    /// The user disconnected, or closed the socket.
    Closed,
    /// Something panicked while the connection was served: a waker or an authenticator of the
    /// program's, or a mistake in this crate.
    Panicked,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Hangup => f.write_str("the peer closed the connection"),
            Lost::Io(kind) => write!(f, "{kind}"),
            Lost::Protocol(breach) => breach.fmt(f),
            Lost::Refused(reason) => write!(f, "the peer refused us: {reason}"),
            Lost::Silent => f.write_str("the peer was silent for too long"),
            Lost::Replaced => f.write_str("another connection took over the identity"),
            Lost::Closed => f.write_str("it was closed here"),
            Lost::Panicked => f.write_str("something panicked while it was served"),
        }
    }
}

/// The reason that a peer gave in an ERROR command: as much as has a place here, with a `?` for
/// each byte that is no visible character (RFC 37 has no others).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    len: u8,
    text: [u8; Refusal::BYTES_MAX],
}

impl Refusal {
    /// How much of a reason is kept.
    pub const BYTES_MAX: usize = 63;

    pub(crate) fn new(reason: &[u8]) -> Self {
        let mut text = [0; Refusal::BYTES_MAX];
        for (to, byte) in text.iter_mut().zip(reason) {
            *to = if byte.is_ascii_graphic() || *byte == b' ' { *byte } else { b'?' };
        }
        Refusal { len: reason.len().min(Refusal::BYTES_MAX) as u8, text }
    }

    /// As a text; empty if the peer gave no reason.
    pub fn as_str(&self) -> &str {
        // It is ASCII.
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.len == 0 { "it gave no reason" } else { self.as_str() })
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What a peer did that ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Breach {
    /// Its bytes are no frames of ZMTP, exceed a limit, or are not what its key makes.
    Decode(DecodeError),
    /// Its frames are, but break this rule of the pattern or of the transport.
    Rule(&'static str),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::Decode(error) => error.fmt(f),
            Breach::Rule(why) => f.write_str(why),
        }
    }
}

/// The receiving end of a socket's events.
///
/// The life of a connection, as seen by who connects and by who is connected to:
///
/// ```text
/// connect                                 bind
///   ConnectDelayed                          Listening
///   [ConnectRetried, ConnectDelayed]*       Accepted
///   Connected                               HandshakeSucceeded | HandshakeFailed
///   HandshakeSucceeded | HandshakeFailed    Disconnected
///   Disconnected, ConnectRetried            Closed (unbind, close)
/// ```
///
/// It holds up to [`Monitor::EVENTS_MAX`] events that nobody took. More are dropped and counted
/// ([`Monitor::missed`]): a monitor never delays its socket.
///
/// A clone shares the events with the original: each goes to one of them.
///
/// ```
/// use chaski_zmq::{Pull, What};
///
/// let pull = Pull::new();
/// let monitor = pull.monitor();
/// pull.bind("tcp://127.0.0.1:*")?;
/// assert_eq!(monitor.recv().unwrap().what, What::Listening);
/// # Ok::<(), chaski_zmq::BindError>(())
/// ```
#[derive(Clone)]
pub struct Monitor {
    events: mpmc::Receiver<Event>,
    missed: Arc<AtomicU64>,
}

impl Monitor {
    /// How many events it holds that nobody took. More are dropped and counted.
    pub const EVENTS_MAX: usize = EVENTS_MAX;

    /// Waits for the next event; `None` once the socket is closed and all were taken.
    pub fn recv(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// The next event, if one is there.
    pub fn try_recv(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event, but not for longer than this.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Waits for the next event as a task, of any executor. Dropped before it is ready, the future
    /// has taken none.
    pub async fn recv_async(&self) -> Option<Event> {
        let mut next = pin!(self.events.recv_async());
        // Events are told under locks of the socket's.
        poll_fn(|cx| next.as_mut().poll(&mut Context::from_waker(&patient(cx.waker())))).await.ok()
    }

    /// How many events were dropped because nobody took those before.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("missed", &self.missed()).finish_non_exhaustive()
    }
}

/// The sending end: a socket has one, for any number of monitors.
#[derive(Default)]
pub(crate) struct Announcer {
    /// Whether there is any monitor: the common socket has none and pays for none.
    heard: AtomicBool,
    ears: Mutex<Vec<Ear>>,
}

struct Ear {
    events: mpmc::Sender<Event>,
    missed: Arc<AtomicU64>,
}

impl Announcer {
    /// A new monitor, which gets all that happens from now on.
    pub(crate) fn monitor(&self) -> Monitor {
        let (sender, receiver) = mpmc::channel(EVENTS_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        self.lock().push(Ear { events: sender, missed: Arc::clone(&missed) });
        // ORDERING: pairs with the load in `tell`; a late reader only misses what came before.
        self.heard.store(true, Ordering::Release);
        Monitor { events: receiver, missed }
    }

    /// Tells all monitors. What happened is only put together if there is one.
    pub(crate) fn tell(
        &self,
        endpoint: &Endpoint,
        peer: Option<&str>,
        what: impl FnOnce() -> What,
    ) {
        if !self.heard.load(Ordering::Acquire) {
            return;
        }
        let peer = peer.map(str::to_owned);
        let event = Event { endpoint: endpoint.clone(), peer, what: what() };
        self.lock().retain(|ear| match ear.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                ear.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
    }

    /// Lets the monitors end: no event comes any more.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> Held<'_, Vec<Ear>> {
        hold(&self.ears)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        "tcp://127.0.0.1:5555".parse().unwrap()
    }

    #[test]
    fn every_monitor_hears_what_happens_after_it_was_made() {
        let announcer = Announcer::default();
        announcer.tell(&endpoint(), None, || unreachable!("nobody listens"));
        let first = announcer.monitor();
        announcer.tell(&endpoint(), None, || What::Listening);
        let second = announcer.monitor();
        announcer.tell(&endpoint(), Some("[::1]:9"), || What::Accepted);
        announcer.close();
        assert_eq!(first.recv().unwrap().what, What::Listening);
        assert_eq!(first.recv().unwrap().what, What::Accepted);
        let event = second.recv().unwrap();
        assert_eq!((event.what, event.peer.as_deref()), (What::Accepted, Some("[::1]:9")));
        assert!(first.recv().is_none() && second.recv().is_none());
    }

    #[test]
    fn a_reason_is_bounded_and_can_be_printed() {
        assert_eq!(Refusal::new(b"Invalid-Metadata").as_str(), "Invalid-Metadata");
        assert_eq!(Refusal::new(b"\x1b[2J\xff").as_str(), "?[2J?");
        assert_eq!(Refusal::new(&[b'x'; 255]).as_str(), "x".repeat(Refusal::BYTES_MAX));
        assert_eq!(
            Lost::Refused(Refusal::new(b"")).to_string(),
            "the peer refused us: it gave no reason"
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let announcer = Announcer::default();
        let monitor = announcer.monitor();
        for _ in 0..2 * EVENTS_MAX {
            announcer.tell(&endpoint(), None, || What::Accepted);
        }
        let held = std::iter::from_fn(|| monitor.try_recv()).count();
        assert!(held >= EVENTS_MAX);
        assert_eq!(held as u64 + monitor.missed(), 2 * EVENTS_MAX as u64);
    }
}
