//! What a dead peer had not taken, taken back out of our own memory.
//!
//! The records are in the half of this side, which nobody else can write. All that is needed to
//! read them is a consumer's area, and there is one to spare: the one with which this side took the
//! dead peer's records.

use chaski_ring::region::{AttachError, Consumer, Fence};

use super::{LARGE, Link};
use crate::memory::RingMemory;

impl Link {
    /// The payloads that the peer, now gone, had not taken, the oldest first; what was staged is
    /// among them. `head` is where it stopped: the caller knows that a record ends there.
    ///
    /// A large one is left out if its segment has been lent again, which happens only if the peer
    /// gave it back without having taken it.
    pub(crate) fn take_back(mut self, head: u64) -> Result<Vec<Vec<u8>>, AttachError> {
        self.outgoing.tx.publish();
        let Link { outgoing, incoming, ends, session, .. } = self;
        let lender = outgoing.lender;
        drop(incoming);
        let layout = ends.half.layout();
        let memory = RingMemory::outgoing(&ends.mine, ends.half, &ends.mine, ends.half);
        layout.format_consumer(&memory, head)?;
        let mut records = Consumer::resume(memory, layout, Fence::Both)?;
        let (mut payloads, mut payload) = (Vec::new(), Vec::new());
        while let Ok(Some(record)) = records.try_recv(&mut payload) {
            if record.tag & LARGE == 0 {
                payloads.push(std::mem::take(&mut payload));
                continue;
            }
            let mut large = Vec::new();
            if lender.take_back(&payload, &mut large) {
                payloads.push(large);
            }
        }
        drop(session);
        Ok(payloads)
    }
}
