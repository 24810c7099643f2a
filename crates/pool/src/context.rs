//! What a handler sees of its worker.

use std::fmt;

use crate::arena::Arena;
use crate::partition::WorkerId;
use crate::shard::Orders;
use crate::topology::Cpu;
use crate::worker::Seat;

/// What a handler sees of the worker it runs on.
pub struct Context {
    pub(crate) seat: Seat,
    pub(crate) arena: Arena,
    pub(crate) orders: std::sync::Arc<Orders>,
}

impl Context {
    /// The worker's id.
    pub fn worker(&self) -> WorkerId {
        self.seat.worker
    }

    /// The CPU its thread is bound to, if it is.
    pub fn cpu(&self) -> Option<Cpu> {
        self.seat.cpu
    }

    /// How often its state was built anew.
    pub fn restarts(&self) -> u64 {
        self.seat.restarts
    }

    /// Memory for what lives no longer than the batch that is being handled.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether the worker is to stop at once: what is still queued will not be handled. A handler
    /// that takes long may look at it and return early.
    pub fn is_stopping(&self) -> bool {
        self.orders.stop()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("seat", &self.seat).field("arena", &self.arena).finish()
    }
}
