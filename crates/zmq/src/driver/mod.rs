//! What happens in the background: one thread per context, started at first need.
//!
//! A socket is driven by whoever calls it. The driver does what nobody waits for: it accepts and
//! dials, greets and shakes hands, connects again, asks idle peers whether they live, notices
//! hang-ups, writes what was stuck when no caller is there, reads what nobody receives so that
//! PINGs are answered and subscriptions heard, and lingers for closed sockets.
//!
//! It waits for nothing but its own poll: not for a name to be resolved (a thread for each look-up
//! does), not for a peer, and for a socket's locks only as long as those are held for memory.
//!
//! A socket's descriptors belong to the socket once its handshake is done. The driver watches them
//! too, by number; so a socket closes a connection's descriptor only when the driver tells it to,
//! by `down` or `gone`.

mod error;
mod origin;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chaski_zmtp::pattern::Peer;

pub use error::{BindError, ConnectError, UnbindError};
pub use origin::Forked;
pub(crate) use origin::Origin;

use crate::endpoint::Endpoint;
use crate::link::Link;
use crate::monitor::Lost;
use crate::socket::shared::Shared;

/// The handle of a context's driver. Clones are the same driver.
#[derive(Clone)]
pub(crate) struct Driver {
    shared: Arc<Handle>,
}

struct Handle {
    origin: Origin,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Driver { shared: Arc::new(Handle { origin: Origin::here() }) }
    }

    /// The process that it serves.
    pub(crate) fn origin(&self) -> Origin {
        self.shared.origin
    }

    /// Whether both are the same driver.
    pub(crate) fn same(&self, other: &Driver) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Binds, on the caller's thread, and accepts from then on. Says what was bound: the port
    /// chosen, the file made up.
    pub(crate) fn listen(
        &self,
        _socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, BindError> {
        Err(BindError::Unsuitable { endpoint: endpoint.clone(), why: "not yet" })
    }

    /// Connects for a peer that the socket has attached, and again whenever that is lost. Returns
    /// at once; the only error is that the driver could not be started.
    pub(crate) fn dial(
        &self,
        _socket: &Arc<Shared>,
        _peer: Peer,
        _endpoint: &Endpoint,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Stops accepting at this endpoint: what `listen` returned or was given. Connections that
    /// came from it stay.
    pub(crate) fn unlisten(
        &self,
        _socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), UnbindError> {
        Err(UnbindError::Unknown(endpoint.clone()))
    }

    /// Lets the peers go that were dialled at this endpoint, once what waits for them is sent or
    /// the linger time is over.
    pub(crate) fn undial(
        &self,
        _socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), UnbindError> {
        Err(UnbindError::Unknown(endpoint.clone()))
    }

    /// The data path met the end of a connection. Answered by `down` or `gone`; until then the
    /// descriptor stays open.
    pub(crate) fn lost(&self, _socket: &Arc<Shared>, _peer: Peer, _why: Lost) {}

    /// Output waits for the kernel to take more, and nobody is there: answered by `service` when
    /// it does.
    pub(crate) fn stuck(&self, _socket: &Arc<Shared>, _peer: Peer) {}

    /// Output was gathered that is to leave soon: flushed by the next tick. A link that is armed
    /// already need not be armed again.
    pub(crate) fn arm(&self, _link: &Arc<Link>) {}

    /// The socket is closed by its user: goes on sending what waits for this long, then lets go of
    /// everything. See [`Closing`].
    pub(crate) fn close(&self, _socket: Arc<Shared>, _linger: Option<Duration>) -> Closing {
        Closing {}
    }

    /// Calls the socket's `readable` when its poll has something to say, and again as long as that
    /// returns true.
    pub(crate) fn watch_poll(&self, _socket: &Arc<Shared>) {}
}

/// A socket that is being closed. Dropped, it goes on in the background.
#[must_use = "the socket lingers in the background, unless somebody waits"]
pub(crate) struct Closing {}

impl Closing {
    /// Waits until all is sent or given up.
    pub(crate) fn wait(self) {}
}
