//! Peers that are reached through memory, and so need no descriptors of the driver's.
//!
//! `inproc` peers meet by the names of the context; `shm` peers are served by a thread that all
//! contexts of the process share. Both are called from here, so that a socket need not know which
//! of its peers are near.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_zmtp::pattern::Peer;

use super::SocketId;
use super::backoff::{Backoff, Reason};
use super::engine::{Due, Engine};
use super::error::BindError;
use crate::endpoint::{Address, Endpoint};
use crate::link::inproc::Names;
use crate::link::{Route, shm};
use crate::monitor::{Lost, What};
use crate::options::Options;
use crate::socket::shared::Shared;

/// What is known of near peers.
pub(super) struct Near {
    pub(super) names: Arc<Names>,
    /// Peers that were connected to a name of this context.
    dialled: Mutex<Vec<Dialled>>,
    /// Sockets with an endpoint in shared memory.
    sharing: Mutex<HashSet<SocketId>>,
}

struct Dialled {
    socket: SocketId,
    peer: Peer,
    endpoint: Endpoint,
    /// As they were at `connect`.
    options: Arc<Options>,
    backoff: Backoff,
}

impl Near {
    pub(super) fn new() -> Self {
        Near { names: Arc::default(), dialled: Mutex::default(), sharing: Mutex::default() }
    }

    /// Binds to a name.
    pub(super) fn bind(
        &self,
        name: &str,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), BindError> {
        let taken = |_| BindError::InUse { endpoint: endpoint.clone() };
        self.names.bind(name, socket, endpoint).map_err(taken)
    }

    /// Connects to a name.
    pub(super) fn connect(
        &self,
        name: &str,
        socket: &Arc<Shared>,
        peer: Peer,
        endpoint: &Endpoint,
    ) {
        let options = socket.options();
        let backoff = Backoff::new(&options);
        let (id, endpoint_of) = (SocketId::of(socket), endpoint.clone());
        let dialled = Dialled { socket: id, peer, endpoint: endpoint_of, options, backoff };
        self.lock().push(dialled);
        self.names.connect(name, socket, peer, endpoint);
    }

    /// Lets the peers go that were connected to this name. Whether there was any. What they were
    /// sent stays for them to receive.
    pub(super) fn disconnect(&self, name: &str, socket: &Arc<Shared>, endpoint: &Endpoint) -> bool {
        let id = SocketId::of(socket);
        let meant = |it: &mut Dialled| it.socket == id && it.endpoint == *endpoint;
        let going: Vec<Dialled> = self.lock().extract_if(.., meant).collect();
        for it in &going {
            self.names.disconnect(name, socket, it.peer);
            socket.gone(it.peer);
        }
        !going.is_empty()
    }

    /// Whether the peer was connected to a name, and is to be again.
    fn is_dialled(&self, socket: &Arc<Shared>, peer: Peer) -> bool {
        let id = SocketId::of(socket);
        self.lock().iter().any(|it| it.socket == id && it.peer == peer)
    }

    /// How long to wait before the peer is connected again, if it is to be. The first failure after
    /// a connection that was up is the first again.
    fn again(&self, socket: &Arc<Shared>, peer: Peer, was_up: bool) -> Option<Duration> {
        let id = SocketId::of(socket);
        let mut dialled = self.lock();
        let it = dialled.iter_mut().find(|it| it.socket == id && it.peer == peer)?;
        if was_up {
            it.backoff = Backoff::new(&it.options);
        }
        let reason = if was_up { Reason::Lost } else { Reason::Handshake };
        it.backoff.next(&it.options, reason, super::seed())
    }

    fn forget(&self, socket: &Arc<Shared>, peer: Peer) {
        let id = SocketId::of(socket);
        self.lock().retain(|it| it.socket != id || it.peer != peer);
    }

    /// The socket is closed: its names are free, and its peers have what they were sent.
    pub(super) fn close(&self, socket: &Arc<Shared>) {
        let id = SocketId::of(socket);
        self.lock().retain(|it| it.socket != id);
        self.names.leave(socket);
        for peer in socket.near_peers() {
            socket.gone(peer);
        }
    }

    /// The socket has an endpoint in shared memory.
    pub(super) fn shares(&self, socket: &Arc<Shared>) {
        let mut sharing = self.sharing.lock().unwrap_or_else(PoisonError::into_inner);
        sharing.insert(SocketId::of(socket));
    }

    /// Closes what the socket has in shared memory. Whether it ever had anything.
    pub(super) fn close_shared(&self, socket: &Arc<Shared>, linger: Option<Duration>) -> bool {
        let mut sharing = self.sharing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = sharing.remove(&SocketId::of(socket));
        drop(sharing);
        if shared {
            shm::close(socket, linger.and_then(|linger| Instant::now().checked_add(linger)));
        }
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Dialled>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// The connection to a near peer is over, as the socket found.
    pub(super) fn lose_near(&mut self, socket: &Arc<Shared>, peer: Peer, why: Lost) {
        let Some(link) = socket.link(peer) else { return };
        let route: &Route = &link.route;
        match route.endpoint.address() {
            Address::Inproc(_) => {}
            Address::Shm(_) => return shm::lost(socket, peer, why),
            // The socket has been told to let it go.
            Address::Tcp(_) | Address::Ipc(_) => return,
        }
        let was_up = link.about().is_some();
        if was_up {
            socket.announcer.tell(&route.endpoint, None, || What::Disconnected(why));
        }
        let near = &self.common.near;
        if let Some(after) = near.again(socket, peer, was_up) {
            socket.down(peer);
            let retried = || What::ConnectRetried { after, why: why.to_string() };
            socket.announcer.tell(&route.endpoint, None, retried);
            return self.after(after, Due::Near(Arc::clone(socket), peer, route.endpoint.clone()));
        }
        if near.is_dialled(socket, peer) {
            let stopped = || What::ConnectStopped(why.to_string());
            socket.announcer.tell(&route.endpoint, None, stopped);
            near.forget(socket, peer);
        }
        socket.gone(peer);
    }

    /// Connects to a name again.
    pub(super) fn meet_again(&mut self, socket: &Arc<Shared>, peer: Peer, endpoint: &Endpoint) {
        let near = &self.common.near;
        if let Address::Inproc(name) = endpoint.address()
            && near.is_dialled(socket, peer)
        {
            near.names.connect(name, socket, peer, endpoint);
        }
    }
}
