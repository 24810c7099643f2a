//! How far a PUSH is done: what has left the socket, and whose worker has stayed.
//!
//! ZeroMQ tells no sender what became of a message. What can be known is seen from outside: how
//! many messages each peer's queue has given to the kernel, and when a connection is lost.
//!
//! ```text
//!   handed to the socket   given to the kernel, by all peers   `settle` later, none was lost
//!   ---- mark ------------- drained --------------------------- settled: committed
//! ```
//! A mark is a position together with the count at which each queue will have given away all that
//! was in it. Queues are in order, so when each has come to its count, all before the mark has
//! left. A peer that goes takes its queue and what it had not worked on along: then all marks are
//! off, and what is not settled is sent again.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chaski_zmq::PeerStats;

/// Marks that are kept: with more, a position waits until there is room for the next.
const MARKS_MAX: usize = 256;

/// Where each partition is.
pub(super) type Positions = Vec<(i32, i64)>;

/// What one look at a peer has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) connected: bool,
    pub(super) connections: u64,
    pub(super) sent: u64,
    pub(super) queued: u64,
}

impl From<&PeerStats> for Queue {
    fn from(peer: &PeerStats) -> Queue {
        let PeerStats { connected, connections, sent, queued, .. } = *peer;
        Queue { connected, connections, sent, queued }
    }
}

#[derive(Debug)]
struct Mark {
    positions: Positions,
    /// Messages handed to the socket up to here.
    handed: u64,
    /// What each peer must have sent.
    goals: Vec<u64>,
    drained_at: Option<Instant>,
}

/// The marks of a gateway.
#[derive(Debug)]
pub(super) struct Drain {
    settle: Duration,
    marks: VecDeque<Mark>,
    /// The peers as they were at the last look, in the socket's order, which changes only when one
    /// comes or goes.
    queues: Vec<Queue>,
    settled: Positions,
    settled_handed: u64,
}

impl Drain {
    pub(super) fn new(settle: Duration, settled: Positions) -> Drain {
        let (marks, queues) = (VecDeque::new(), Vec::new());
        Drain { settle, marks, queues, settled, settled_handed: 0 }
    }

    /// How far it is done.
    pub(super) fn settled(&self) -> &Positions {
        &self.settled
    }

    /// Whether all that was handed over is done with.
    pub(super) fn is_settled(&self) -> bool {
        self.marks.is_empty()
    }

    /// Looks at the peers. False: one was lost since the last look.
    pub(super) fn look(&mut self, now: Instant, queues: Vec<Queue>) -> bool {
        let is_lost = |(before, after): (&Queue, &Queue)| {
            after.sent < before.sent
                || before.connected && after.connections != before.connections
                || before.connected && !after.connected
        };
        // Where one has come, the order may be another, and only the monitor tells who goes.
        let lost = match queues.len().cmp(&self.queues.len()) {
            Ordering::Less => true,
            Ordering::Equal => self.queues.iter().zip(&queues).any(is_lost),
            Ordering::Greater => false,
        };
        if queues.len() > self.queues.len() {
            // Who is new may stand anywhere in the order: the old counts are of nobody. What they
            // were for is marked again, a little later.
            self.merge_marks(&queues);
        }
        self.queues = queues;
        if lost {
            return false;
        }
        for mark in &mut self.marks {
            let reached = |(queue, goal): (&Queue, &u64)| queue.sent >= *goal;
            if mark.drained_at.is_none() && self.queues.iter().zip(&mark.goals).all(reached) {
                mark.drained_at = Some(now);
            }
        }
        let settle = self.settle;
        while let Some(mark) = self.marks.front()
            && mark.drained_at.is_some_and(|at| at < now && now.duration_since(at) >= settle)
            && let Some(mark) = self.marks.pop_front()
        {
            self.settled = mark.positions;
            self.settled_handed = mark.handed;
        }
        true
    }

    /// Takes a partition in that the topic has got.
    pub(super) fn adopt(&mut self, partition: i32, offset: i64) {
        self.settled.push((partition, offset));
    }

    /// Marks where the gateway is, after a look. False: there is no room for a mark.
    pub(super) fn mark(&mut self, positions: Positions, handed: u64) -> bool {
        if self.marks.len() >= MARKS_MAX {
            return false;
        }
        let goals = goals(&self.queues);
        self.marks.push_back(Mark { positions, handed, goals, drained_at: None });
        true
    }

    /// A peer was lost: what is not settled is to be sent again. How many messages that are, of
    /// `handed` in all.
    pub(super) fn rewind(&mut self, handed: u64) -> u64 {
        self.marks.clear();
        let again = handed - self.settled_handed;
        self.settled_handed = handed;
        again
    }

    /// Gives all marks that have not drained the goals of these peers.
    fn merge_marks(&mut self, queues: &[Queue]) {
        let goals = goals(queues);
        for mark in self.marks.iter_mut().filter(|mark| mark.drained_at.is_none()) {
            mark.goals.clone_from(&goals);
        }
    }
}

fn goals(queues: &[Queue]) -> Vec<u64> {
    queues.iter().map(|queue| queue.sent + queue.queued).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(sent: u64, queued: u64) -> Queue {
        Queue { connected: true, connections: 1, sent, queued }
    }

    fn drain(settle_ms: u64) -> (Drain, Instant) {
        (Drain::new(Duration::from_millis(settle_ms), vec![(0, 0)]), Instant::now())
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_position_is_settled_when_every_queue_has_passed_it_and_time_has() {
        let (mut drain, now) = drain(10);
        assert!(drain.look(now, vec![queue(5, 2), queue(0, 1)]));
        drain.mark(vec![(0, 8)], 8);
        assert!(drain.look(now + MS, vec![queue(9, 0), queue(0, 1)]), "one has it still");
        assert!(drain.look(now + 2 * MS, vec![queue(9, 0), queue(1, 7)]));
        assert!(drain.look(now + 11 * MS, vec![queue(9, 0), queue(1, 7)]));
        assert_eq!(drain.settled(), &vec![(0, 0)]);
        assert!(drain.look(now + 12 * MS, vec![queue(9, 0), queue(1, 7)]));
        assert_eq!(drain.settled(), &vec![(0, 8)]);
        assert!(drain.is_settled());
    }

    #[test]
    fn what_is_drained_is_looked_at_once_more_before_it_is_settled() {
        let (mut drain, now) = drain(0);
        assert!(drain.look(now, vec![queue(1, 0)]));
        drain.mark(vec![(0, 1)], 1);
        assert!(drain.look(now + MS, vec![queue(1, 0)]));
        assert_eq!(drain.settled(), &vec![(0, 0)]);
        assert!(!drain.look(now + 2 * MS, vec![]), "it was lost");
        assert_eq!((drain.rewind(1), drain.settled()), (1, &vec![(0, 0)]));
    }

    #[test]
    fn whoever_goes_is_noticed() {
        let gone = Queue { connected: false, ..queue(3, 0) };
        let again = Queue { connections: 2, ..queue(3, 0) };
        for after in [vec![], vec![gone], vec![again], vec![queue(2, 0)]] {
            let (mut drain, now) = drain(0);
            assert!(drain.look(now, vec![queue(3, 0)]));
            assert!(!drain.look(now + MS, after.clone()), "{after:?}");
        }
    }

    #[test]
    fn whoever_comes_delays_what_is_not_drained_but_loses_nothing() {
        let (mut drain, now) = drain(0);
        assert!(drain.look(now, vec![queue(0, 5)]));
        drain.mark(vec![(0, 5)], 5);
        assert!(drain.look(now + MS, vec![queue(0, 0), queue(3, 2)]));
        assert!(drain.look(now + 2 * MS, vec![queue(9, 0), queue(4, 1)]));
        assert!(!drain.is_settled());
        for at in 3..6 {
            assert!(drain.look(now + at * MS, vec![queue(9, 0), queue(5, 0)]));
        }
        assert_eq!(drain.settled(), &vec![(0, 5)]);
    }
}
