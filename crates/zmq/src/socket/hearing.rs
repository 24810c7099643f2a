//! What near peers say to a socket that nobody receives from: what they subscribe to, and that they
//! went.
//!
//! The driver reads such sockets' wires, whose descriptors tell it when. Near peers have none: they
//! ring the doorbell, and the next send answers it first. So a message that is published after a
//! subscription was made in the same process finds it there.

use std::sync::Arc;

use super::shared::Shared;

impl Shared {
    /// Takes what those who rang have said.
    #[cold]
    pub(super) fn hear(self: &Arc<Self>) {
        while self.doorbell.has_rung() {
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
