//! What near peers say to a socket that nobody receives from: what they subscribe to, and that they
//! went.
//!
//! The driver reads such sockets' wires, whose descriptors tell it when. Near peers have none: they
//! ring the doorbell, and the next send answers it first. So a message that is published after a
//! subscription was made in the same process finds it there.

use std::sync::Arc;

use super::shared::Shared;

/// How often a send looks again whether somebody has more to say.
const LAPS_MAX: usize = 16;

impl Shared {
    /// Takes what those who rang have said; of one who does not stop talking, as much as
    /// [`LAPS_MAX`] times what is taken at once.
    #[cold]
    pub(super) fn hear(self: &Arc<Self>) {
        for _ in 0..LAPS_MAX {
            if !self.doorbell.has_rung() {
                break;
            }
            let rang = {
                let mut receiving = self.receiving();
                receiving.answer(&self.doorbell);
                receiving.unlist_all()
            };
            for peer in rang {
                self.read_in_background(peer);
            }
        }
    }
}
