//! Counters of copies that a peer did not get because its queue was full.

use super::Peer;
use super::peers::Peers;

/// How many copies each peer missed since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    counts: Peers<u64>,
}

impl Drops {
    pub(crate) fn count(&mut self, peer: Peer) {
        *self.counts.get_or_default(peer) += 1;
    }

    /// Moves the counts to `out`.
    pub(crate) fn take(&mut self, out: &mut Vec<(Peer, u64)>) {
        out.extend(self.counts.iter().map(|(peer, &count)| (peer, count)));
        self.counts.clear();
    }

    /// What a peer missed is of no interest once it is gone.
    pub(crate) fn forget(&mut self, peer: Peer) {
        self.counts.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_once() {
        let mut drops = Drops::default();
        drops.count(Peer(2));
        drops.count(Peer(0));
        drops.count(Peer(2));
        drops.count(Peer(1));
        drops.forget(Peer(1));
        let mut out = Vec::new();
        drops.take(&mut out);
        assert_eq!(out, [(Peer(0), 1), (Peer(2), 2)]);
        drops.take(&mut out);
        assert_eq!(out.len(), 2);
    }
}
