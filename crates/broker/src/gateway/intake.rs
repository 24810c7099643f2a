//! Messages that nobody waits for an answer to, into a topic: PULL and SUB.
//!
//! ```text
//!   socket --take--> messages --begin--> | flight | flight | flight | --settle--> counted
//!                        ^                 waits for the disk            |
//!                        +------------- again, in order -----------------+
//! ```
//! All that is there is taken (within bounds) and appended as one batch, which goes while more is
//! taken: batches are as large as the log is slow, and nobody waits for one to fill. Where `acks`
//! asks for the page cache only, a batch has landed as soon as it has begun; for the disk a few may
//! be on their way, so that one group commit takes them all. What is not taken stays in the kernel
//! and holds the senders up.
//!
//! What cannot be stored at present is tried again, in place, for as long as it takes, and nothing
//! is taken meanwhile; what cannot be stored at all is dropped and counted. An append is refused at
//! once or not at all, but for a disk that fails to sync, after which its partition takes nothing
//! more: so nothing that is tried again is overtaken by what came behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use chaski_zmq::Message;

use super::gate::Gate;
use super::landing::Landing;
use super::limits::{
    BACKOFF_MAX, BACKOFF_MIN, BATCH_MESSAGES_MAX, DRAIN, FLIGHT_BYTES_MAX, FLIGHT_TIME_MAX,
    FLIGHTS_MAX, NAP,
};
use super::wait;
use super::writer::{NotStored, Outcomes, Ticket, Writer};

/// Takes until it is told to stop.
pub(super) fn run(gate: &Gate<'_>) -> Result<(), String> {
    let mut intake = Intake {
        gate,
        writer: Writer::new(gate),
        messages: Vec::new(),
        spare: Vec::new(),
        flights: VecDeque::new(),
    };
    while !gate.halted() {
        intake.take()?;
        intake.begin();
        intake.land();
    }
    intake.drain();
    Ok(())
}

struct Intake<'a> {
    gate: &'a Gate<'a>,
    writer: Writer<'a>,
    /// Taken, and not on their way.
    messages: Vec<Message>,
    /// Memory of a flight that has landed, for the next batch.
    spare: Vec<Message>,
    /// On their way, the oldest first.
    flights: VecDeque<Flight>,
}

/// A batch on its way.
struct Flight {
    began: Instant,
    messages: Vec<Message>,
    tickets: Vec<Result<Ticket, NotStored>>,
    bytes: usize,
    landing: Arc<Landing>,
}

impl Intake<'_> {
    /// Waits for messages, or until the oldest flight has landed.
    fn take(&mut self) -> Result<(), String> {
        let Some(oldest) = self.flights.front() else {
            return match self.gate.socket.recv_many(&mut self.messages, BATCH_MESSAGES_MAX) {
                Err(error) if !error.is_empty() => Err(error.to_string()),
                _ => Ok(()),
            };
        };
        let bytes: usize = self.flights.iter().map(|flight| flight.bytes).sum();
        if self.flights.len() >= FLIGHTS_MAX || bytes >= FLIGHT_BYTES_MAX {
            oldest.landing.wait(NAP);
            return Ok(());
        }
        let first = wait::for_message(self.gate.socket, NAP, |cx| oldest.landing.poll(cx));
        self.messages.extend(first);
        self.take_more()
    }

    /// Takes what is there.
    fn take_more(&mut self) -> Result<(), String> {
        let max = BATCH_MESSAGES_MAX - self.messages.len();
        match self.gate.socket.try_recv_many(&mut self.messages, max) {
            Err(error) if !error.is_empty() && self.messages.is_empty() => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Takes what has come already, when nobody new may come: for a moment only, for senders may
    /// go on for ever.
    fn drain(&mut self) {
        super::open::unbind(self.gate);
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline && !self.gate.client.has_stopped() {
            if self.take_more().is_err() || self.messages.is_empty() {
                break;
            }
            self.begin();
            self.settle_all();
        }
        self.settle_all();
    }

    /// Sends what was taken on its way.
    fn begin(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let began = Instant::now();
        let spare = std::mem::take(&mut self.spare);
        let messages = std::mem::replace(&mut self.messages, spare);
        self.gate.counters.received.add(messages.len() as u64);
        let tickets = messages.iter().map(|message| self.put(message)).collect();
        let bytes = messages.iter().map(Message::byte_len).sum();
        let landing = self.writer.send();
        self.flights.push_back(Flight { began, messages, tickets, bytes, landing });
    }

    fn put(&mut self, message: &Message) -> Result<Ticket, NotStored> {
        #[cfg(test)]
        super::registry::tests::trip(message);
        let parsed = self.writer.frames.parse(message.as_slice()).map_err(|why| {
            self.gate.counters.malformed.add(1);
            NotStored::malformed(why)
        })?;
        self.writer.put(&parsed)
    }

    /// Settles the flights that have landed. If the newest has, it may have been refused: the
    /// others are waited for, so that it is the next to be tried again.
    fn land(&mut self) {
        if self.flights.back().is_some_and(|newest| newest.landing.is_over()) {
            return self.settle_all();
        }
        while self.flights.front().is_some_and(|oldest| oldest.landing.is_over()) {
            self.flights.pop_front().into_iter().for_each(|oldest| self.settle(oldest));
        }
    }

    fn settle_all(&mut self) {
        while let Some(oldest) = self.flights.pop_front() {
            self.settle(oldest);
        }
    }

    /// Counts what has become of a flight, and stores what is worth another try, however often
    /// that takes. Some is left if the gateway is told to stop meanwhile.
    fn settle(&mut self, flight: Flight) {
        let began = flight.began;
        let (mut left, mut failure) = self.sort_out(flight);
        if failure.is_some() {
            // What went behind it comes before what is tried again with it.
            while let Some(next) = self.flights.pop_front() {
                let (more, why) = self.sort_out(next);
                left.extend(more);
                failure = failure.or(why);
            }
        }
        let mut wait = BACKOFF_MIN;
        while let Some(why) = failure.take() {
            self.gate.counters.fail(&why.why);
            if self.gate.halted() {
                break;
            }
            self.gate.halt.sleep(wait);
            wait = (wait * 2).min(BACKOFF_MAX);
            (left, failure) = self.attempt(left);
        }
        let why = "the gateway has stopped before they could be stored";
        self.gate.counters.drop_messages(left.len(), &why);
        self.gate.counters.latency.record(began.elapsed());
        left.clear();
        self.spare = left;
    }

    /// Waits for a flight; what of it is worth another try, and why.
    fn sort_out(&mut self, flight: Flight) -> (Vec<Message>, Option<NotStored>) {
        let Flight { messages, tickets, landing, .. } = flight;
        landing.wait(FLIGHT_TIME_MAX);
        let outcomes = self.writer.outcomes(&landing);
        self.count(messages, tickets, &outcomes)
    }

    /// Tries once more; what is still worth another try, and why.
    fn attempt(&mut self, messages: Vec<Message>) -> (Vec<Message>, Option<NotStored>) {
        let tickets = messages.iter().map(|message| self.put(message)).collect();
        let outcomes = self.writer.flush();
        self.count(messages, tickets, &outcomes)
    }

    /// Counts what is stored and what is dropped; keeps what is worth another try.
    fn count(
        &self,
        mut messages: Vec<Message>,
        tickets: Vec<Result<Ticket, NotStored>>,
        outcomes: &Outcomes,
    ) -> (Vec<Message>, Option<NotStored>) {
        let (mut stored, mut bytes, mut dropped) = (0, 0, 0);
        let (mut refusal, mut failure) = (None, None);
        let mut tickets = tickets.into_iter();
        messages.retain(|message| {
            let Some(ticket) = tickets.next() else { return false };
            match ticket.and_then(|ticket| outcomes.of(ticket)) {
                Ok(_) => {
                    stored += 1;
                    bytes += message.byte_len() as u64;
                    false
                }
                Err(why) if why.later => {
                    failure = Some(why);
                    true
                }
                Err(why) => {
                    dropped += 1;
                    refusal = Some(why);
                    false
                }
            }
        });
        self.gate.counters.messages.add(stored);
        self.gate.counters.bytes.add(bytes);
        if let Some(refusal) = refusal {
            self.gate.counters.drop_messages(dropped, &refusal.why);
        }
        (messages, failure)
    }
}
