//! What goes out to a peer in shared memory: the ring, and behind it a queue for what the ring has
//! no room for.
//!
//! ```text
//!   push --> [ spill ] --pump--> [ ring ] --> peer
//!               |____________________|
//!                 together at most sndhwm
//! ```
//!
//! Mostly the spill is empty and a message is copied into the ring at once. It fills while nobody
//! is connected, while the ring is full, and with messages too long for one record, which go in
//! parts.
//! Whoever learns that the peer has taken something pumps: a sender that waits, a receive of this
//! socket, or the thread in the background, in this order of likelihood.
//!
//! What is in the ring when a connection breaks is lost with it, as are bytes that the kernel has
//! taken; what is in the spill goes to the next one.

use std::collections::VecDeque;

use chaski_shm::Error;
use chaski_shm::pipe::PipeSender;
use chaski_zmtp::{Command, Message};

use super::PART_BYTES;
use super::record::{self, COMMAND, PART};

/// What waits for room in the ring.
enum Queued {
    Message(Message),
    Command(Command),
}

/// The way out. See the head of this module.
pub(super) struct Outgoing {
    pipe: Option<PipeSender>,
    spill: VecDeque<Queued>,
    /// The first of the spill, if it goes in parts: tag, record, and how much of it has been sent.
    parts: Option<(u8, Vec<u8>, usize)>,
    /// Records sent through this pipe, and how many of them the peer had taken when last asked.
    sent: u64,
    taken: u64,
    /// Messages that may wait; commands go beyond it.
    limit: usize,
    /// Only the newest message is kept.
    conflate: bool,
    /// It waits for the peer to take something.
    armed: bool,
    /// Nothing more is sent.
    closed: bool,
}

impl Outgoing {
    pub(super) fn new(hwm: u32, conflate: bool) -> Outgoing {
        Outgoing {
            pipe: None,
            spill: VecDeque::new(),
            parts: None,
            sent: 0,
            taken: 0,
            limit: if hwm == 0 { usize::MAX } else { hwm as usize },
            conflate,
            armed: false,
            closed: false,
        }
    }

    /// A connection is up. One record has gone through it, the first.
    pub(super) fn plug(&mut self, pipe: PipeSender) {
        (self.sent, self.taken, self.armed) = (1, 0, false);
        self.parts = None;
        self.pipe = Some(pipe);
        self.pump();
    }

    /// The connection is over. Commands were for that one.
    pub(super) fn unplug(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.bell().close();
        }
        (self.sent, self.taken, self.armed) = (0, 0, false);
        self.parts = None;
        self.spill.retain(|queued| matches!(queued, Queued::Message(_)));
    }

    /// Sends nothing more, whatever waits.
    pub(super) fn close(&mut self) {
        self.unplug();
        self.spill.clear();
        self.closed = true;
    }

    /// Messages that the peer has not taken.
    pub(super) fn queued(&mut self) -> usize {
        self.ask();
        self.waiting()
    }

    /// Whether something waits for room in the ring of a pipe that is up.
    pub(super) fn spills(&self) -> bool {
        self.pipe.is_some() && !self.spill.is_empty()
    }

    /// Whether nothing waits but what is in the ring.
    pub(super) fn is_empty(&self) -> bool {
        self.spill.is_empty()
    }

    /// As [`Outgoing::queued`], by what was known last.
    fn waiting(&self) -> usize {
        self.spill.len() + self.sent.saturating_sub(self.taken) as usize
    }

    /// Whether one more message fits, by what was known last.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        !self.closed && (self.conflate || self.waiting() < self.limit)
    }

    /// Whether one more message fits, after a look at what the peer has taken.
    pub(super) fn finds_room(&mut self) -> bool {
        self.ask();
        self.pump();
        self.has_room()
    }

    /// As [`Outgoing::finds_room`]; and if not, the pipe's descriptor becomes readable when the
    /// peer takes something.
    pub(super) fn finds_room_or_waits(&mut self) -> bool {
        if self.finds_room() {
            return true;
        }
        self.wait();
        self.finds_room()
    }

    /// Whether it waits for the peer to take something. From now on it does not.
    pub(super) fn was_waiting(&mut self) -> bool {
        std::mem::take(&mut self.armed)
    }

    /// Queues a message; the message, if there is no room.
    #[inline]
    pub(super) fn push(&mut self, message: Message) -> Option<Message> {
        if !self.has_room() {
            return Some(message);
        }
        if self.conflate {
            self.ask();
            if self.waiting() > 0 {
                // But what is on its way in parts goes on.
                self.spill.truncate(usize::from(self.parts.is_some()));
            }
        }
        let spills = !self.spill.is_empty() || (self.conflate && self.waiting() > 0);
        if spills || !self.stage_message(&message) {
            self.spill.push_back(Queued::Message(message));
            self.wait();
        } else {
            self.publish();
        }
        None
    }

    /// Queues a command.
    pub(super) fn tell(&mut self, command: Command) {
        if self.pipe.is_none() {
            return;
        }
        if !self.spill.is_empty() || !self.stage(COMMAND, &[&record::command(&command)]) {
            self.spill.push_back(Queued::Command(command));
            self.wait();
        } else {
            self.publish();
        }
    }

    /// Sends of the spill what there is room for; whether all is sent.
    pub(super) fn pump(&mut self) -> bool {
        if self.spill.is_empty() {
            return true;
        }
        let mut some = false;
        while let Some(first) = self.spill.pop_front() {
            let staged = match &first {
                // What was conflated waits until the peer has taken the one before.
                Queued::Message(_) if self.conflate && self.sent > self.taken => false,
                Queued::Message(message) => self.stage_message(message) || self.send_parts(message),
                Queued::Command(command) => self.stage(COMMAND, &[&record::command(command)]),
            };
            if !staged {
                self.spill.push_front(first);
                break;
            }
            some = true;
        }
        if some {
            self.publish();
        }
        self.spill.is_empty()
    }

    /// Lies down until the peer takes something: says so first, and then looks once more.
    pub(super) fn wait(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            let before = self.sent;
            self.armed = true;
            if !pipe.arm_until(|_| false) || self.pump() || self.sent == before {
                return;
            }
            // What was sent has taken back that this side lies down.
        }
    }

    /// If it waits for the peer: forgets that the bell rang, for whatever. The receiving half must
    /// then be looked at, too.
    pub(super) fn clear(&mut self) -> bool {
        let waited = std::mem::take(&mut self.armed);
        if waited && let Some(pipe) = &self.pipe {
            pipe.bell().clear();
        }
        waited
    }

    /// Asks how much the peer has taken.
    fn ask(&mut self) {
        if let Some(pipe) = &self.pipe {
            // Its own word, and only about what it was sent.
            self.taken = pipe.taken().clamp(self.taken, self.sent);
        }
    }

    fn publish(&mut self) {
        if let Some(pipe) = &mut self.pipe {
            pipe.publish();
        }
    }

    /// Writes a message into the ring, if it fits into a record and there is room.
    #[inline]
    fn stage_message(&mut self, message: &Message) -> bool {
        if let [frame] = message.as_slice() {
            return frame.len() <= PART_BYTES && self.stage(record::SINGLE, &[frame]);
        }
        let head = record::head(message);
        let (tag, pieces) = record::message(&head, message);
        message.byte_len() + head.len() <= PART_BYTES && self.stage(tag, &pieces)
    }

    #[inline]
    fn stage(&mut self, tag: u8, pieces: &[&[u8]]) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        match pipe.try_stage(tag, pieces) {
            Ok(()) => {
                self.sent += 1;
                true
            }
            Err(error) => {
                refused(pipe, &error);
                false
            }
        }
    }

    /// Sends as many parts of the first message as there is room for; whether all of it is sent.
    #[cold]
    fn send_parts(&mut self, message: &Message) -> bool {
        if self.pipe.is_none() || message.byte_len() + WORDS_MAX * message.len() <= PART_BYTES {
            return false;
        }
        let (tag, record, mut done) = self.parts.take().unwrap_or_else(|| {
            let head = record::head(message);
            let (tag, pieces) = record::message(&head, message);
            (tag, pieces.concat(), 0)
        });
        loop {
            let end = (done + PART_BYTES).min(record.len());
            let last = end == record.len();
            if !self.stage(if last { tag } else { PART }, &[&record[done..end]]) {
                self.parts = Some((tag, record, done));
                return false;
            }
            if last {
                return true;
            }
            done = end;
        }
    }
}

/// Bytes by which a frame may lengthen a record.
const WORDS_MAX: usize = 8;

/// A pipe that takes nothing for another reason than want of room is of no more use.
#[cold]
fn refused(pipe: &PipeSender, error: &Error) {
    if !matches!(error, Error::Full | Error::Closed) {
        pipe.bell().close();
    }
}
