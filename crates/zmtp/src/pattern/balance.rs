//! Round robin over the peers that have room (RFC 28, DEALER; RFC 30, PUSH; RFC 41, CLIENT).
//!
//! Two rules of those RFCs meet here: outgoing messages go round "available" peers, and a peer is
//! available "only when it has an outgoing queue that is not full".

use super::queues::Queues;
use super::{Attach, Peer, Room, Verdict};

/// The peers that messages go round.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    queues: Queues,
    /// Those that have a queue now. A message goes to the first with room, from `next` on.
    line: Vec<Peer>,
    next: usize,
}

impl Balance {
    pub(crate) fn attach(&mut self, peer: Peer, how: &Attach) {
        if self.queues.attach(peer, how) {
            self.line.push(peer);
        }
    }

    pub(crate) fn greet(&mut self, peer: Peer) {
        if self.queues.greet(peer) {
            self.line.push(peer);
        }
    }

    pub(crate) fn hang_up(&mut self, peer: Peer) {
        if self.queues.hang_up(peer) {
            self.leave(peer);
        }
    }

    pub(crate) fn detach(&mut self, peer: Peer) {
        self.queues.detach(peer);
        self.leave(peer);
    }

    fn leave(&mut self, peer: Peer) {
        let Some(at) = self.line.iter().position(|&other| other == peer) else { return };
        self.line.remove(at);
        // Whoever was next stays next.
        if at < self.next {
            self.next -= 1;
        }
        if self.next >= self.line.len() {
            self.next = 0;
        }
    }

    /// Sends a message to the next peer that has room, or lets the sender wait.
    pub(crate) fn route(&mut self, room: &dyn Room, to: &mut Vec<Peer>) -> Verdict {
        match self.pick(room) {
            Some(peer) => {
                to.push(peer);
                Verdict::Send
            }
            None => Verdict::Wait,
        }
    }

    /// The peer that the next message goes to; `None` if nobody has room.
    pub(crate) fn pick(&mut self, room: &dyn Room) -> Option<Peer> {
        let mut at = self.next;
        for _ in 0..self.line.len() {
            let peer = self.line[at];
            at = if at + 1 < self.line.len() { at + 1 } else { 0 };
            if room.has_room(peer) {
                self.next = at;
                return Some(peer);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Boundless, Full, early};

    fn of(count: u32) -> Balance {
        let mut balance = Balance::default();
        for peer in 0..count {
            balance.attach(Peer(peer), &Attach::Accepted);
            balance.greet(Peer(peer));
        }
        balance
    }

    #[test]
    fn every_peer_has_its_turn() {
        let mut balance = of(3);
        let turns: Vec<_> = (0..6).map(|_| balance.pick(&Boundless).unwrap().0).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_full_peer_is_passed_over() {
        let mut balance = of(3);
        let full = Full::of([1]);
        let turns: Vec<_> = (0..4).map(|_| balance.pick(&full).unwrap().0).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
        assert_eq!(balance.pick(&Full::of([0, 1, 2])), None);
        assert_eq!(balance.pick(&Boundless), Some(Peer(0)));
    }

    #[test]
    fn one_that_leaves_takes_nobody_elses_turn() {
        let mut balance = of(4);
        balance.pick(&Boundless);
        balance.pick(&Boundless);
        balance.detach(Peer(0));
        assert_eq!(balance.pick(&Boundless), Some(Peer(2)));
        balance.detach(Peer(3));
        assert_eq!(balance.pick(&Boundless), Some(Peer(1)));
    }

    #[test]
    fn an_early_peer_keeps_its_queue_without_a_connection() {
        let mut balance = Balance::default();
        balance.attach(Peer(0), &early());
        assert_eq!(balance.pick(&Boundless), Some(Peer(0)));
        balance.greet(Peer(0));
        balance.hang_up(Peer(0));
        assert_eq!(balance.pick(&Boundless), Some(Peer(0)));
        balance.detach(Peer(0));
        assert_eq!(balance.pick(&Boundless), None);
    }

    #[test]
    fn one_that_is_not_early_gets_nothing_until_it_is_there() {
        let mut balance = Balance::default();
        balance.attach(Peer(0), &Attach::Connecting { early: false, identity: Default::default() });
        assert_eq!(balance.pick(&Boundless), None);
        balance.greet(Peer(0));
        assert_eq!(balance.pick(&Boundless), Some(Peer(0)));
        balance.hang_up(Peer(0));
        assert_eq!(balance.pick(&Boundless), None);
    }
}
