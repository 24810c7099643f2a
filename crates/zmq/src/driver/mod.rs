//! What happens in the background: one thread per context, started at first need.
//!
//! A socket is driven by whoever calls it. The driver does what nobody waits for: it accepts and
//! dials, greets and shakes hands, connects again, asks idle peers whether they live, notices
//! hang-ups, writes what was stuck when no caller is there, reads what nobody receives so that
//! PINGs are answered and subscriptions heard, and lingers for closed sockets.
//!
//! | file | what |
//! |---|---|
//! | `engine`, `inbox`, `timers` | the thread: its poll, what is asked of it, what is due |
//! | `listen` | binding and accepting |
//! | `dial`, `backoff`, `resolve` | connecting, and connecting again; looking names up |
//! | `meet`, `local`, `auth` | handshakes; what options say in them; who may enter |
//! | `tend` | connections in traffic: input nobody reads, heartbeats |
//! | `linger`, `close` | peers and sockets that go |
//! | `near` | peers reached through memory |
//! | `guard` | what becomes of whom a panic is about |
//! | `flusher` | the tick that flushes what bursts have gathered: a thread of its own |
//! | `limits` | what others can make it do, at most |
//!
//! It waits for nothing but its own poll: not for a name to be resolved (a thread for each look-up
//! does), not for a peer, and for a socket's locks only as long as those are held for memory.
//!
//! A socket's descriptors belong to the socket once its handshake is done. The driver watches them
//! too, by number; so a socket closes a connection's descriptor only when the driver tells it to,
//! by `down` or `gone`.

mod auth;
mod backoff;
mod close;
mod dial;
mod engine;
mod error;
mod flusher;
mod guard;
mod inbox;
mod limits;
mod linger;
mod listen;
mod local;
mod meet;
mod near;
mod origin;
pub(crate) mod resolve;
mod tend;
#[cfg(test)]
mod tests;
mod timers;

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chaski_zmtp::pattern::Peer;
use mio::{Poll, Waker};

pub use auth::{Answer, Authenticator};
pub(crate) use backoff::{Backoff, Reason};
pub(crate) use close::Closing;
pub use error::{BindError, ConnectError, UnbindError};
pub use origin::Forked;
pub(crate) use origin::Origin;

use crate::endpoint::{Address, Endpoint};
use crate::link::{Link, Stream, shm};
use crate::monitor::{Lost, What};
use crate::socket::shared::Shared;
use close::Done;
use engine::{Engine, WAKE};
use flusher::Flusher;
use inbox::{Command, Common};
use listen::Listener;

/// A socket, by where it lies in memory: the driver holds on to those that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SocketId(usize);

impl SocketId {
    fn of(socket: &Arc<Shared>) -> Self {
        SocketId(Arc::as_ptr(socket).addr())
    }
}

/// A peer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PeerKey {
    socket: SocketId,
    peer: Peer,
}

impl PeerKey {
    fn of(socket: &Arc<Shared>, peer: Peer) -> Self {
        PeerKey { socket: SocketId::of(socket), peer }
    }
}

/// The handle of a context's driver. Clones are the same driver.
#[derive(Clone)]
pub(crate) struct Driver {
    shared: Arc<Handle>,
}

struct Handle {
    origin: Origin,
    common: Arc<Common>,
    starting: Mutex<()>,
    flusher: Flusher,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In a forked child neither thread exists.
        if self.origin.is_here() {
            self.common.push(Command::Quit);
            self.flusher.stop();
        }
    }
}

impl Driver {
    pub(crate) fn new() -> Self {
        let common = Arc::new(Common::new());
        let flusher = Flusher::new(Arc::clone(&common));
        let starting = Mutex::default();
        Driver { shared: Arc::new(Handle { origin: Origin::here(), common, starting, flusher }) }
    }

    /// The process that it serves.
    pub(crate) fn origin(&self) -> Origin {
        self.shared.origin
    }

    /// Whether both are the same driver.
    pub(crate) fn same(&self, other: &Driver) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Says who authenticates peers from now on.
    pub(crate) fn authenticate_by(&self, authenticator: Option<Arc<dyn Authenticator>>) {
        let mut current =
            self.common().authenticator.write().unwrap_or_else(PoisonError::into_inner);
        *current = authenticator;
    }

    /// Binds, on the caller's thread, and accepts from then on. Says what was bound: the port
    /// chosen, the file made up.
    pub(crate) fn listen(
        &self,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, BindError> {
        let near = &self.common().near;
        let bound = match endpoint.address() {
            Address::Inproc(name) => near.bind(name, socket, endpoint).map(|()| endpoint.clone()),
            Address::Shm(_) => {
                near.shares(socket);
                shm::listen(socket, endpoint).map(|()| endpoint.clone())
            }
            Address::Tcp(_) | Address::Ipc(_) => self.listen_by_wire(socket, endpoint),
        };
        if let Err(error) = &bound {
            socket.announcer.tell(endpoint, None, || What::BindFailed(error.to_string()));
        }
        bound
    }

    fn listen_by_wire(
        &self,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, BindError> {
        self.start().map_err(|error| BindError::of_io(endpoint, error))?;
        let listener = Box::new(Listener::bind(endpoint, socket.options())?);
        let bound = listener.bound.clone();
        socket.announcer.tell(&bound, None, || What::Listening);
        self.common().push(Command::Listen { socket: Arc::clone(socket), listener });
        Ok(bound)
    }

    /// Connects for a peer that the socket has attached, and again whenever that is lost. Returns
    /// at once.
    ///
    /// # Errors
    ///
    /// If the driver could not be started, the address is one to bind to, or the options make every
    /// handshake fail.
    pub(crate) fn dial(
        &self,
        socket: &Arc<Shared>,
        peer: Peer,
        endpoint: &Endpoint,
    ) -> io::Result<()> {
        let near = &self.common().near;
        match endpoint.address() {
            Address::Inproc(name) => {
                near.connect(name, socket, peer, endpoint);
                return Ok(());
            }
            Address::Shm(_) => {
                near.shares(socket);
                return shm::dial(socket, peer, endpoint);
            }
            Address::Tcp(_) | Address::Ipc(_) => {}
        }
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        dial::check(endpoint).map_err(invalid)?;
        local::check(&socket.options()).map_err(invalid)?;
        self.start()?;
        let (socket, endpoint) = (Arc::clone(socket), endpoint.clone());
        self.common().push(Command::Dial { socket, peer, endpoint });
        Ok(())
    }

    /// Stops accepting at this endpoint: what `listen` returned or was given. Connections that
    /// came from it stay. When it returns, the address is free.
    pub(crate) fn unlisten(
        &self,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), UnbindError> {
        let found = match endpoint.address() {
            Address::Inproc(name) => self.common().near.names.unbind(name, socket),
            Address::Shm(_) => shm::unlisten(socket, endpoint),
            Address::Tcp(_) | Address::Ipc(_) => {
                let (socket, endpoint) = (SocketId::of(socket), endpoint.clone());
                self.ask(|found| Command::Unlisten { socket, endpoint, found })
            }
        };
        known(found, endpoint)
    }

    /// Lets the peers go that were dialled at this endpoint, once what waits for them is sent or
    /// the linger time is over.
    pub(crate) fn undial(
        &self,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), UnbindError> {
        let found = match endpoint.address() {
            Address::Inproc(name) => self.common().near.disconnect(name, socket, endpoint),
            Address::Shm(_) => shm::undial(socket, endpoint),
            Address::Tcp(_) | Address::Ipc(_) => {
                let (socket, endpoint) = (SocketId::of(socket), endpoint.clone());
                self.ask(|found| Command::Undial { socket, endpoint, found })
            }
        };
        known(found, endpoint)
    }

    /// Asks the thread for something, and waits for its answer.
    fn ask(&self, command: impl FnOnce(SyncSender<bool>) -> Command) -> bool {
        let (sender, found) = sync_channel(1);
        self.common().push(command(sender));
        // A thread that does not run drops the sender.
        found.recv().unwrap_or(false)
    }

    /// The data path met the end of a peer's connection of this number. Answered by `down` or
    /// `gone`; until then the descriptor stays open.
    pub(crate) fn lost(&self, socket: &Arc<Shared>, peer: Peer, connection: u64, why: Lost) {
        // Near peers need no thread before one of them is lost. If there is none to be had, the
        // peer stays, and is told nothing.
        let _ = self.start();
        self.common().push(Command::Lost { socket: Arc::clone(socket), peer, connection, why });
    }

    /// The user is done with a peer: it goes once what waits for it is sent or the linger time is
    /// over, and is not connected to again.
    pub(crate) fn part(&self, socket: &Arc<Shared>, peer: Peer) {
        self.common().push(Command::Part { peer: PeerKey::of(socket, peer) });
    }

    /// The peer says that it is to be believed alive for this long without another word.
    pub(crate) fn lives(&self, socket: &Arc<Shared>, peer: Peer, ttl: Duration) {
        self.common().push(Command::Lives { peer: PeerKey::of(socket, peer), ttl });
    }

    /// Output was gathered that is to leave soon: flushed by the next tick. A link that is armed
    /// already need not be armed again.
    pub(crate) fn arm(&self, link: &Arc<Link>) {
        if self.shared.flusher.arm(link) {
            return;
        }
        // No thread can be had for the tick: then there is no gathering, and the driver
        // watches for what is stuck. The next send asks again.
        link.outbox.ends_ticking();
        let Some(socket) = link.socket() else { return };
        socket.ticked(link, link.outbox.flush());
        if link.outbox.is_stuck() {
            self.common().push(Command::Stuck { peer: PeerKey::of(&socket, link.peer) });
        }
    }

    /// The socket is closed by its user: goes on sending what waits for this long, then lets go of
    /// everything. See [`Closing`].
    pub(crate) fn close(&self, socket: Arc<Shared>, linger: Option<Duration>) -> Closing {
        let done = Arc::new(Done::default());
        let near = &self.common().near;
        near.close(&socket);
        let shares = near.close_shared(&socket, linger);
        if shares {
            let _ = self.start();
        }
        if self.common().is_open() {
            let theirs = Arc::clone(&done);
            self.common().closing.begin();
            self.common().push(Command::Close { socket, linger, shares, done: theirs });
        } else {
            // What was never bound or connected has nothing to send.
            socket.announcer.close();
            done.set();
        }
        Closing(done)
    }

    /// Waits until all sockets that were closed or dropped have sent what waited, or no longer
    /// linger. Whether that is so.
    pub(crate) fn wait_closed(&self, timeout: Option<Duration>) -> bool {
        self.common().closing.wait(timeout)
    }

    /// Calls the socket's `readable` when its poll has something to say, and again as long as that
    /// returns true.
    pub(crate) fn watch_poll(&self, socket: &Arc<Shared>) {
        if self.start().is_ok() {
            self.common().push(Command::Watch { socket: Arc::clone(socket) });
        } else {
            socket.readable();
        }
    }

    fn common(&self) -> &Arc<Common> {
        &self.shared.common
    }

    /// Starts the thread, unless it runs.
    fn start(&self) -> io::Result<()> {
        let _one = self.shared.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.common().is_open() {
            return Ok(());
        }
        let poll = Poll::new()?;
        self.common().open(Waker::new(poll.registry(), WAKE)?);
        let engine = Engine::new(poll, Arc::clone(self.common()));
        let thread = thread::Builder::new().name("chaski-zmq".into());
        let started = thread.spawn(move || engine.run());
        if started.is_err() {
            self.common().shut();
        }
        started.map(|_| ())
    }
}

fn known(found: bool, endpoint: &Endpoint) -> Result<(), UnbindError> {
    if found { Ok(()) } else { Err(UnbindError::Unknown(endpoint.clone())) }
}

/// How many messages wait to be sent to a peer.
fn unsent(socket: &Arc<Shared>, peer: Peer) -> usize {
    socket.link(peer).map_or(0, |link| link.outbox.queued())
}

/// Whether nothing more can be written to a peer.
fn is_broken(socket: &Arc<Shared>, peer: Peer) -> bool {
    socket.link(peer).is_some_and(|link| link.outbox.is_broken())
}

/// The connection to a peer, if one is up.
fn stream(socket: &Arc<Shared>, peer: Peer) -> Option<Arc<Stream>> {
    socket.link(peer)?.about()?.stream
}

/// A number that nobody can foretell.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library's hashers are keyed at random.
    RandomState::new().build_hasher().finish()
}
