//! What is asked of the driver's thread, and how it is woken for that.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chaski_zmtp::pattern::Peer;
use chaski_zmtp::zap;
use mio::Waker;

use super::auth::{Answer, Authenticator};
use super::close::Done;
use super::listen::Listener;
use super::near::Near;
use super::{PeerKey, SocketId};
use crate::auth::Handler;
use crate::endpoint::Endpoint;
use crate::monitor::Lost;
use crate::socket::shared::Shared;

/// See the methods of [`super::Driver`] of the same names.
pub(super) enum Command {
    Listen {
        socket: Arc<Shared>,
        listener: Box<Listener>,
    },
    Dial {
        socket: Arc<Shared>,
        peer: Peer,
        endpoint: Endpoint,
    },
    Unlisten {
        socket: SocketId,
        endpoint: Endpoint,
        found: SyncSender<bool>,
    },
    Undial {
        socket: SocketId,
        endpoint: Endpoint,
        found: SyncSender<bool>,
    },
    Lost {
        socket: Arc<Shared>,
        peer: Peer,
        connection: u64,
        why: Lost,
    },
    Part {
        peer: PeerKey,
    },
    Stuck {
        peer: PeerKey,
    },
    Lives {
        peer: PeerKey,
        ttl: Duration,
    },
    Close {
        socket: Arc<Shared>,
        linger: Option<Duration>,
        shares: bool,
        done: Arc<Done>,
    },
    Watch {
        socket: Arc<Shared>,
    },
    /// A name was looked up for an attempt to connect.
    Resolved {
        peer: PeerKey,
        attempt: u64,
        found: io::Result<Vec<SocketAddr>>,
    },
    /// The authenticator has decided about a handshake.
    Answered {
        token: usize,
        reply: zap::Reply,
    },
    /// No handle of the driver is left.
    Quit,
}

impl Command {
    /// Whether the last one said just that. Peers cause these at will: they must not pile up.
    fn repeats(&self, last: Option<&Command>) -> bool {
        match (self, last) {
            (
                Command::Lives { peer, ttl },
                Some(Command::Lives { peer: same, ttl: for_as_long }),
            ) => peer == same && ttl == for_as_long,
            _ => false,
        }
    }
}

/// What the thread and the handles share.
pub(super) struct Common {
    queue: Mutex<Queue>,
    pub(super) authenticator: RwLock<Option<Arc<dyn Authenticator>>>,
    /// Who does, if a socket is bound to the name for that.
    handler: Handler,
    pub(super) near: Near,
    /// How many sockets are being closed now, and when one of them is.
    pub(super) closing: Arc<super::close::Count>,
    /// How many threads look a name up now.
    pub(super) lookups: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    /// There is one once the thread runs.
    waker: Option<Arc<Waker>>,
}

impl Common {
    pub(super) fn new() -> Self {
        let near = Near::new();
        Common {
            queue: Mutex::default(),
            authenticator: RwLock::new(None),
            handler: Handler::new(Arc::clone(&near.names)),
            near,
            closing: Arc::default(),
            lookups: AtomicUsize::new(0),
        }
    }

    /// Asks something of the thread; to no effect if it does not run.
    pub(super) fn push(&self, command: Command) {
        let mut queue = self.lock();
        if command.repeats(queue.commands.last()) {
            return;
        }
        let Some(waker) = &queue.waker else { return };
        // The thread takes all there is at once, so only the first need wake it.
        let wake = queue.commands.is_empty().then(|| Arc::clone(waker));
        queue.commands.push(command);
        drop(queue);
        if let Some(waker) = wake {
            // An eventfd that is full wakes as well.
            let _ = waker.wake();
        }
    }

    /// Takes all that was asked, in order.
    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut self.lock().commands)
    }

    /// Whether the thread runs.
    pub(super) fn is_open(&self) -> bool {
        self.lock().waker.is_some()
    }

    /// The thread runs from now on, and this wakes it.
    pub(super) fn open(&self, waker: Waker) {
        self.lock().waker = Some(Arc::new(waker));
    }

    /// It does not.
    pub(super) fn shut(&self) {
        self.lock().waker = None;
    }

    /// Whether anybody authenticates peers.
    pub(super) fn has_authenticator(&self) -> bool {
        self.given().is_some() || self.handler.is_bound()
    }

    /// Asks that one; gives the answer back if there is none.
    pub(super) fn authenticate(&self, request: &zap::Request, answer: Answer) -> Option<Answer> {
        if let Some(given) = self.given() {
            given.authenticate(request, answer);
        } else if self.handler.is_bound() {
            self.handler.authenticate(request, answer);
        } else {
            return Some(answer);
        }
        None
    }

    fn given(&self) -> Option<Arc<dyn Authenticator>> {
        self.authenticator.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
