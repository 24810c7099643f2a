//! Which peers have a queue for outgoing messages (RFC 28 to 31, 41, 49, 51, 52: "general
//! behavior" of every kind that sends).
//!
//! One that we connect to has its queue "whether or not the connection is established", unless the
//! user asked for established connections only (`ZMQ_IMMEDIATE`). One that connected to us has it
//! until it disconnects.

use super::peers::Peers;
use super::{Attach, Peer};

#[derive(Debug)]
struct Queue {
    early: bool,
    up: bool,
}

/// The peers that are attached, and whether each has a queue.
#[derive(Debug, Default)]
pub(crate) struct Queues(Peers<Queue>);

impl Queues {
    /// Says whether `peer` has a queue from now on.
    pub(crate) fn attach(&mut self, peer: Peer, how: &Attach) -> bool {
        let early = how.is_early();
        self.0.insert(peer, Queue { early, up: false });
        early
    }

    /// Says whether `peer` has a queue from now on and had none.
    pub(crate) fn greet(&mut self, peer: Peer) -> bool {
        let Some(queue) = self.0.get_mut(peer) else { return false };
        let had = queue.early || queue.up;
        queue.up = true;
        !had
    }

    /// Says whether `peer` had a queue and has none from now on.
    pub(crate) fn hang_up(&mut self, peer: Peer) -> bool {
        let Some(queue) = self.0.get_mut(peer) else { return false };
        let had = queue.early || queue.up;
        queue.up = false;
        had && !queue.early
    }

    pub(crate) fn detach(&mut self, peer: Peer) {
        self.0.remove(peer);
    }

    /// Whether `peer` has a queue now.
    pub(crate) fn has(&self, peer: Peer) -> bool {
        self.0.get(peer).is_some_and(|queue| queue.early || queue.up)
    }

    /// Those that have a queue now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Peer> {
        self.0.iter().filter(|(_, queue)| queue.early || queue.up).map(|(peer, _)| peer)
    }
}
