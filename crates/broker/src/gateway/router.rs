//! ROUTER: messages into a topic, and an answer to each.
//!
//! ```text
//!   DEALER sends     correlation .. | empty | frames of a record
//!          gets      correlation .. | empty | ok    | partition | offset
//!                or  correlation .. | empty | error | code      | text
//! ```
//! Correlation is any number of frames that are not empty, none for a REQ; they come back as they
//! were. Numbers are decimal text, codes the names of Kafka's (`MESSAGE_TOO_LARGE`). Any number of
//! messages may be unanswered; the answers of a peer come in the order of its messages.
//!
//! A record is in the log when its answer says so. What else may be is not known to who got no
//! answer: the broker died, or the answer was lost with a connection. So who sends again until
//! there is an answer stores each message at least once.
//!
//! An answer never waits for a peer that does not read: if `hwm` of them wait for it already, a
//! further one is lost, and counted as unanswered.

use std::time::Instant;

use chaski_zmq::{Frame, Message, SendFailure};

use super::gate::Gate;
use super::limits::{BATCH_MESSAGES_MAX, DRAIN};
use super::writer::{NotStored, Stored, Ticket, Writer};

/// Answers until it is told to stop.
pub(super) fn run(gate: &Gate<'_>) -> Result<(), String> {
    let mut router = Router { gate, writer: Writer::new(gate), messages: Vec::new() };
    while !gate.halted() {
        match gate.socket.recv_many(&mut router.messages, BATCH_MESSAGES_MAX) {
            Ok(_) => router.serve(),
            Err(error) if error.is_empty() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    router.drain();
    Ok(())
}

struct Router<'a> {
    gate: &'a Gate<'a>,
    writer: Writer<'a>,
    messages: Vec<Message>,
}

/// The frames before a record, the identity included, and where the record begins.
fn envelope(message: &Message) -> Option<usize> {
    let delimiter = message.iter().skip(1).position(|frame| frame.is_empty())?;
    Some(delimiter + 2)
}

impl Router<'_> {
    fn drain(&mut self) {
        super::open::unbind(self.gate);
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline && !self.gate.client.has_stopped() {
            match self.gate.socket.try_recv_many(&mut self.messages, BATCH_MESSAGES_MAX) {
                Ok(count) if count > 0 => self.serve(),
                _ => return,
            }
        }
    }

    /// Appends all messages that were taken, and answers them.
    fn serve(&mut self) {
        let began = Instant::now();
        let counters = self.gate.counters;
        counters.received.add(self.messages.len() as u64);
        let messages = std::mem::take(&mut self.messages);
        let tickets: Vec<Result<Ticket, NotStored>> =
            messages.iter().map(|message| self.put(message)).collect();
        let outcomes = self.writer.flush();
        let (mut stored, mut bytes, mut refused, mut unanswered) = (0, 0, 0, 0);
        let mut last_refusal = None;
        for (message, ticket) in messages.iter().zip(tickets) {
            let outcome = ticket.and_then(|ticket| outcomes.of(ticket));
            if !self.answer(message, &outcome) {
                unanswered += 1;
            }
            match outcome {
                Ok(_) => {
                    stored += 1;
                    bytes += message.byte_len() as u64;
                }
                Err(why) => {
                    refused += 1;
                    last_refusal = Some(why);
                }
            }
        }
        self.gate.socket.flush();
        counters.messages.add(stored);
        counters.bytes.add(bytes);
        counters.unanswered.add(unanswered);
        if let Some(refusal) = last_refusal {
            counters.drop_messages(refused, &refusal.why);
        }
        counters.latency.record(began.elapsed());
        self.messages = messages;
        self.messages.clear();
    }

    fn put(&mut self, message: &Message) -> Result<Ticket, NotStored> {
        let malformed = |why| {
            self.gate.counters.malformed.add(1);
            NotStored::malformed(why)
        };
        let body =
            envelope(message).ok_or("no empty frame before the record").map_err(malformed)?;
        let record = &message.as_slice()[body..];
        let parsed = self.writer.frames.parse(record).map_err(malformed)?;
        self.writer.put(&parsed)
    }

    /// Whether the answer is on its way.
    fn answer(&self, message: &Message, outcome: &Result<Stored, NotStored>) -> bool {
        let frames = message.as_slice();
        let mut answer = match envelope(message) {
            Some(body) => Message::from_iter(frames[..body].iter().cloned()),
            // It has no envelope that could be given back.
            None => Message::from_iter(frames.iter().take(1).cloned()).with(Frame::empty()),
        };
        match outcome {
            Ok(stored) => {
                answer.push("ok");
                answer.push(stored.partition.to_string());
                answer.push(stored.offset.to_string());
            }
            Err(refusal) => {
                answer.push("error");
                answer.push(refusal.code.name());
                answer.push(refusal.why.as_str());
            }
        }
        match self.gate.socket.try_send(answer) {
            Ok(()) => true,
            Err(error) => {
                if !matches!(error.failure(), SendFailure::Misuse(_)) {
                    self.gate.counters.note(&format!("an answer was not taken: {error}"));
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_ends_with_the_first_empty_frame() {
        let message = |frames: &[&str]| Message::from_iter(frames.iter().copied());
        assert_eq!(envelope(&message(&["id", "", "v"])), Some(2), "a REQ");
        assert_eq!(envelope(&message(&["id", "7", "a", "", "", "v"])), Some(4));
        assert_eq!(envelope(&message(&["id", "v"])), None);
        assert_eq!(envelope(&message(&["", "v"])), None, "the identity is no delimiter");
    }
}
