//! A place among those who wait at a socket for one who sleeps elsewhere: at several sockets at
//! once (see [`crate::poll`]).
//!
//! Who stands by is woken like a task that waits: by its waker. It watches the descriptors itself.

use std::sync::Arc;
use std::task::Waker;

use super::shared::Shared;
pub(crate) use super::turn::Want;
use super::turn::{Seat, Who};
use crate::driver::Forked;

/// A place among those who wait. Dropped, it is given back, and a wake-up that came is passed on:
/// who stands by takes nothing, so what it was woken for is still there.
pub(crate) struct Standby<'a> {
    socket: &'a Arc<Shared>,
    want: Want,
    seat: Option<Seat>,
}

impl<'a> Standby<'a> {
    /// Takes a place. The caller looks again for what it wants before it sleeps.
    pub(crate) fn enter(socket: &'a Arc<Shared>, want: Want, waker: &Waker) -> Self {
        let seat = socket.turn.sit(want, Who::Task(waker.clone()));
        Standby { socket, want, seat: Some(seat) }
    }

    /// After a wake-up: takes the place anew, if that was what it was taken for. The caller looks
    /// again.
    pub(crate) fn renew(&mut self, waker: &Waker) {
        let turn = &self.socket.turn;
        if self.seat.as_ref().is_some_and(|seat| !turn.still(seat, None)) {
            self.seat = Some(turn.sit_again(self.want, Who::Task(waker.clone())));
        }
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.socket.answer(self.socket.turn.leave(seat, self.want, None));
        }
    }
}

impl Shared {
    /// Whether what is wanted would be had without waiting.
    pub(crate) fn is_ready_to(self: &Arc<Self>, want: Want) -> bool {
        match want {
            Want::Recv => self.kind.receives() && self.can_recv(),
            Want::Send => self.can_send(),
        }
    }

    /// Waits as a task until what is wanted would be had. Dropped before, it passes on a wake-up
    /// that it did not use.
    pub(crate) async fn ready_to(self: &Arc<Self>, want: Want) -> Result<(), Forked> {
        // What there is is left to others who wait for it.
        self.wait_as_task(want, || self.is_ready_to(want).then_some(((), true))).await
    }

    /// Takes what events there are, before somebody sleeps elsewhere or after the descriptor was
    /// found readable.
    pub(crate) fn look_up(self: &Arc<Self>) {
        self.flush_armed();
        self.harvest(None);
    }
}
