//! One client connection: its requests are answered in the order they came, though they may
//! complete in any.
//!
//! Each request takes the next sequence number and a slot. An answer waits in its slot until all
//! earlier ones have gone out.

use std::collections::VecDeque;
use std::net::SocketAddr;

use chaski_reactor::Output;

use super::seats::Seat;
use super::session::FetchSession;
use super::visitor::Visitor;

/// What goes back for one request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing at all: produce with acks=0.
    None,
    /// One frame in memory.
    Frame(Vec<u8>),
    /// A frame of several pieces.
    Pieces(Vec<Output>),
}

impl Answer {
    /// Bytes of memory it holds; file ranges hold none.
    fn bytes(&self) -> usize {
        let piece = |piece: &Output| match piece {
            Output::Bytes(bytes) => bytes.len(),
            Output::Shared(bytes) => bytes.len(),
            Output::File { .. } => 0,
        };
        match self {
            Answer::None => 0,
            Answer::Frame(frame) => frame.len(),
            Answer::Pieces(pieces) => pieces.iter().map(piece).sum(),
        }
    }
}

#[derive(Debug)]
enum Slot {
    Waiting,
    Ready(Answer),
}

/// The state of one client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) visitor: Visitor,
    /// The incremental fetch session, if the client has begun one (KIP-227).
    pub(crate) session: Option<FetchSession>,
    /// Reading is paused because too many requests are unanswered.
    pub(crate) paused: bool,
    /// Sequence number of the front slot.
    front: u64,
    slots: VecDeque<Slot>,
    /// Bytes of answers that wait for earlier ones.
    held: usize,
    _seat: Seat,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, seat: Seat) -> Connection {
        Connection {
            visitor: Visitor::new(peer),
            session: None,
            paused: false,
            front: 0,
            slots: VecDeque::new(),
            held: 0,
            _seat: seat,
        }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.front + self.slots.len() as u64
    }

    /// Takes the next sequence number for a request that has just come.
    pub(crate) fn begin(&mut self) -> u64 {
        self.slots.push_back(Slot::Waiting);
        self.front + self.slots.len() as u64 - 1
    }

    /// Requests not answered yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of answers that wait for earlier ones.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held
    }

    /// Puts an answer in its place; `next_ready` then gives all that may go out.
    pub(crate) fn finish(&mut self, sequence: u64, answer: Answer) {
        let slot = sequence.checked_sub(self.front).and_then(|i| self.slots.get_mut(i as usize));
        if let Some(slot) = slot {
            self.held += answer.bytes();
            *slot = Slot::Ready(answer);
        }
    }

    /// The next answer in order, if it is there.
    pub(crate) fn next_ready(&mut self) -> Option<Answer> {
        match self.slots.front()? {
            Slot::Waiting => None,
            Slot::Ready(_) => {
                self.front += 1;
                match self.slots.pop_front() {
                    Some(Slot::Ready(answer)) => {
                        self.held -= answer.bytes();
                        Some(answer)
                    }
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Seats;

    fn connection() -> Connection {
        let seat = Seats::new(1).take().expect("a seat");
        Connection::new(([127, 0, 0, 1], 1).into(), seat)
    }

    fn ready(connection: &mut Connection) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(answer) = connection.next_ready() {
            match answer {
                Answer::Frame(frame) => sent.extend(frame),
                Answer::None => {}
                Answer::Pieces(_) => panic!("no pieces here"),
            }
        }
        sent
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut connection = connection();
        let tickets: Vec<u64> = (0..4).map(|_| connection.begin()).collect();
        connection.finish(tickets[2], Answer::Frame(vec![2]));
        connection.finish(tickets[1], Answer::None);
        assert!(ready(&mut connection).is_empty());
        connection.finish(tickets[0], Answer::Frame(vec![0]));
        assert_eq!(ready(&mut connection), [0, 2]);
        assert_eq!(connection.unanswered(), 1);
        connection.finish(tickets[3], Answer::Frame(vec![3]));
        assert_eq!(ready(&mut connection), [3]);
    }

    #[test]
    fn an_answer_to_a_request_long_answered_is_ignored() {
        let mut connection = connection();
        let ticket = connection.begin();
        connection.finish(ticket, Answer::None);
        assert!(ready(&mut connection).is_empty());
        connection.finish(ticket, Answer::Frame(vec![9]));
        connection.finish(77, Answer::Frame(vec![9]));
        assert!(ready(&mut connection).is_empty());
    }
}
