//! A table by peer number. Numbers are small and used again, so a vector serves.

use super::Peer;

/// Something about each of some peers.
#[derive(Debug)]
pub(crate) struct Peers<T>(Vec<Option<T>>);

impl<T> Default for Peers<T> {
    fn default() -> Self {
        Peers(Vec::new())
    }
}

impl<T> Peers<T> {
    /// Sets what is known about `peer`; gives what was known before.
    pub(crate) fn insert(&mut self, peer: Peer, value: T) -> Option<T> {
        let at = peer.0 as usize;
        if at >= self.0.len() {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at].replace(value)
    }

    pub(crate) fn remove(&mut self, peer: Peer) -> Option<T> {
        let taken = self.0.get_mut(peer.0 as usize)?.take();
        while matches!(self.0.last(), Some(None)) {
            self.0.pop();
        }
        taken
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn get(&self, peer: Peer) -> Option<&T> {
        self.0.get(peer.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, peer: Peer) -> Option<&mut T> {
        self.0.get_mut(peer.0 as usize)?.as_mut()
    }

    /// What is known about `peer`; if nothing is, the default is from now on.
    pub(crate) fn get_or_default(&mut self, peer: Peer) -> &mut T
    where
        T: Default,
    {
        if self.get(peer).is_none() {
            self.insert(peer, T::default());
        }
        self.0[peer.0 as usize].get_or_insert_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Peer, &T)> {
        // A place is a peer's number, and those are u32.
        self.0.iter().enumerate().filter_map(|(at, value)| Some((Peer(at as u32), value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let mut peers = Peers::default();
        assert_eq!(peers.insert(Peer(3), 'a'), None);
        assert_eq!(peers.insert(Peer(3), 'b'), Some('a'));
        assert_eq!(peers.insert(Peer(0), 'c'), None);
        assert_eq!(peers.iter().collect::<Vec<_>>(), [(Peer(0), &'c'), (Peer(3), &'b')]);
        assert_eq!(peers.remove(Peer(3)), Some('b'));
        assert_eq!(peers.remove(Peer(3)), None);
        assert_eq!(peers.get(Peer(7)), None);
        assert_eq!(peers.0.len(), 1);
    }
}
