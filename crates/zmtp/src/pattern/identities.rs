//! The identities by which a ROUTER or a STREAM knows its peers.
//!
//! A generated identity is a zero byte and a counter of four bytes, as libzmq's; no peer can choose
//! such a one, since those that peers choose must not begin with a zero byte (RFC 37, "The Identity
//! Property").

use std::collections::HashMap;

use super::Peer;
use super::peers::Peers;
use crate::message::Frame;

/// Identities of at most 255 bytes, and whose each is.
#[derive(Debug)]
pub(super) struct Identities {
    /// Who has an identity now.
    holders: HashMap<Box<[u8]>, Peer>,
    /// What goes before the messages of each. One whose identity was taken over has it still, for
    /// what it had sent.
    names: Peers<Frame>,
    next_generated: u32,
}

impl Identities {
    pub(super) fn new(seed: u32) -> Self {
        Identities { holders: HashMap::new(), names: Peers::default(), next_generated: seed }
    }

    /// Who has this identity now.
    pub(super) fn holder(&self, identity: &[u8]) -> Option<Peer> {
        self.holders.get(identity).copied()
    }

    /// What goes before the messages of `peer`.
    pub(super) fn name(&self, peer: Peer) -> Option<&Frame> {
        self.names.get(peer)
    }

    /// Whether `peer` is the one that has its identity.
    pub(super) fn is_known(&self, peer: Peer) -> bool {
        self.name(peer).is_some_and(|name| self.holder(name) == Some(peer))
    }

    /// Gives `peer` an identity, which nobody else has from now on.
    pub(super) fn give(&mut self, peer: Peer, identity: Frame) {
        self.withdraw(peer);
        // A slice of the page that the handshake was read into would keep it alive.
        let identity = identity.detach();
        self.holders.insert(identity.as_slice().into(), peer);
        self.names.insert(peer, identity);
    }

    /// Gives `peer` an identity that nobody has.
    pub(super) fn generate(&mut self, peer: Peer) {
        let identity = loop {
            let [a, b, c, d] = self.next_generated.to_be_bytes();
            self.next_generated = self.next_generated.wrapping_add(1);
            let identity = [0, a, b, c, d];
            if self.holder(&identity).is_none() {
                break identity;
            }
        };
        self.give(peer, Frame::from(&identity));
    }

    /// `peer` has no identity any more.
    pub(super) fn withdraw(&mut self, peer: Peer) {
        if let Some(name) = self.names.remove(peer)
            && self.holder(&name) == Some(peer)
        {
            self.holders.remove(name.as_slice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_that_was_taken_over_is_not_withdrawn_by_who_had_it() {
        let mut identities = Identities::new(0);
        identities.give(Peer(0), Frame::from("ann"));
        identities.give(Peer(1), Frame::from("ann"));
        assert_eq!(identities.holder(b"ann"), Some(Peer(1)));
        assert!(!identities.is_known(Peer(0)));
        assert_eq!(identities.name(Peer(0)), Some(&Frame::from("ann")));
        identities.withdraw(Peer(0));
        assert_eq!(identities.holder(b"ann"), Some(Peer(1)));
        identities.give(Peer(1), Frame::from("ben"));
        assert_eq!(identities.holder(b"ann"), None);
    }

    #[test]
    fn the_counter_goes_round_and_passes_those_in_use() {
        let mut identities = Identities::new(u32::MAX);
        for peer in 0..3 {
            identities.generate(Peer(peer));
        }
        let names: Vec<_> =
            (0..3).map(|peer| identities.name(Peer(peer)).unwrap().to_vec()).collect();
        assert_eq!(names, [[0, 255, 255, 255, 255], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]);
        identities.next_generated = u32::MAX;
        identities.generate(Peer(3));
        assert_eq!(identities.name(Peer(3)).unwrap(), &[0, 0, 0, 0, 2]);
    }
}
