//! Which records of a connection have not been taken yet: where each of them ends.

use std::collections::VecDeque;

use crate::link::Link;

/// The head is looked at when the list has grown by so much.
const LOOK_EVERY: usize = 1024;

/// The records sent to one peer.
#[derive(Debug)]
pub(super) struct Sent {
    /// Where each ends that is not known to be taken, the oldest first.
    ends: VecDeque<u64>,
    /// Where the last one ends that is known to be taken.
    taken_to: u64,
    /// All, taken or not.
    count: u64,
    /// Records on the list at which the head is looked at.
    look_at: usize,
}

/// The head of the peer is no place at which it can have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Astray;

impl Default for Sent {
    fn default() -> Self {
        Sent { ends: VecDeque::new(), taken_to: 0, count: 0, look_at: LOOK_EVERY }
    }
}

impl Sent {
    /// The last record of this connection has just been staged.
    #[inline]
    pub(super) fn push(&mut self, link: &mut Link) {
        self.ends.push_back(link.position());
        self.count += 1;
        if self.ends.len() >= self.look_at {
            self.look(link);
        }
    }

    /// Keeps the list short: what was taken leaves it.
    #[cold]
    fn look(&mut self, link: &mut Link) {
        if let Ok(head) = link.released() {
            // Who lies is found out when the list is needed.
            let _ = self.settle(head);
        }
        self.look_at = self.ends.len() + LOOK_EVERY;
    }

    /// The peer has taken all that ends at `head` or before.
    pub(super) fn settle(&mut self, head: u64) -> Result<(), Astray> {
        while let Some(end) = self.ends.front().copied().filter(|end| *end <= head) {
            self.taken_to = end;
            self.ends.pop_front();
        }
        if self.taken_to == head { Ok(()) } else { Err(Astray) }
    }

    /// Up to where the peer is known to have taken records.
    pub(super) fn taken_to(&self) -> u64 {
        self.taken_to
    }

    /// How many there were.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many are not known to be taken.
    pub(super) fn untaken(&self) -> u64 {
        self.ends.len() as u64
    }

    /// How many are.
    pub(super) fn taken(&self) -> u64 {
        self.count - self.untaken()
    }

    /// A successor takes up what is left; from now on that is all there was.
    pub(super) fn succeed(&mut self) {
        self.count = self.untaken();
    }

    /// The ring begins anew. What was in it counts as taken; how many that were.
    pub(super) fn restart(&mut self) -> u64 {
        std::mem::take(self).count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(ends: impl IntoIterator<Item = u64>) -> Sent {
        let ends: VecDeque<_> = ends.into_iter().collect();
        Sent { count: ends.len() as u64, ends, ..Sent::default() }
    }

    #[test]
    fn what_ends_at_the_head_or_before_was_taken() {
        let mut sent = sent([16, 48, 56]);
        assert_eq!((sent.taken(), sent.untaken(), sent.settle(0)), (0, 3, Ok(())));
        assert_eq!((sent.settle(48), sent.taken(), sent.untaken()), (Ok(()), 2, 1));
        assert_eq!((sent.settle(48), sent.taken_to()), (Ok(()), 48));
        sent.succeed();
        assert_eq!((sent.count(), sent.taken(), sent.untaken()), (1, 0, 1));
        assert_eq!((sent.settle(56), sent.taken()), (Ok(()), 1));
    }

    #[test]
    fn a_head_inside_a_record_is_astray() {
        for head in [8, 40, 64] {
            assert_eq!(sent([16, 48, 56]).settle(head), Err(Astray), "{head}");
        }
        let mut sent = sent([16, 48]);
        assert_eq!(sent.settle(16), Ok(()));
        assert_eq!(sent.settle(8), Err(Astray), "back");
        assert_eq!((sent.restart(), sent.count(), sent.untaken()), (2, 0, 0));
    }
}
