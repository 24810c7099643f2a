//! Messages that nobody waits for an answer to, into a topic: PULL and SUB.
//!
//! All that is there is taken (within bounds), appended once, and only then is more taken: batches
//! are as large as the log is slow, and nobody waits for one to fill. What is not taken stays in
//! the kernel and holds the senders up.
//!
//! What cannot be stored at present is tried again, in place, for as long as it takes; what cannot
//! be stored at all is dropped and counted.

use std::time::Instant;

use chaski_zmq::Message;

use super::gate::Gate;
use super::limits::{BACKOFF_MAX, BACKOFF_MIN, BATCH_MESSAGES_MAX, DRAIN};
use super::writer::{NotStored, Writer};

/// Takes until it is told to stop.
pub(super) fn run(gate: &Gate<'_>) -> Result<(), String> {
    let mut intake = Intake { gate, writer: Writer::new(gate), messages: Vec::new() };
    while !gate.halted() {
        match gate.socket.recv_many(&mut intake.messages, BATCH_MESSAGES_MAX) {
            Ok(_) => intake.store(),
            Err(error) if error.is_empty() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    intake.drain();
    Ok(())
}

struct Intake<'a> {
    gate: &'a Gate<'a>,
    writer: Writer<'a>,
    /// Taken, and neither stored nor dropped.
    messages: Vec<Message>,
}

impl Intake<'_> {
    /// Takes what has come already, when nobody new may come: for a moment only, for senders may
    /// go on for ever.
    fn drain(&mut self) {
        super::open::unbind(self.gate);
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline && !self.gate.client.has_stopped() {
            match self.gate.socket.try_recv_many(&mut self.messages, BATCH_MESSAGES_MAX) {
                Ok(count) if count > 0 => self.store(),
                _ => return,
            }
        }
    }

    /// Stores all messages that were taken, however often that takes. Some are left if the gateway
    /// is told to stop meanwhile.
    fn store(&mut self) {
        let began = Instant::now();
        self.gate.counters.received.add(self.messages.len() as u64);
        let mut wait = BACKOFF_MIN;
        while let Some(failure) = self.attempt() {
            self.gate.counters.fail(&failure.why);
            if self.gate.halted() {
                break;
            }
            self.gate.halt.sleep(wait);
            wait = (wait * 2).min(BACKOFF_MAX);
        }
        let left = self.messages.len();
        self.messages.clear();
        let why = "the gateway has stopped before they could be stored";
        self.gate.counters.drop_messages(left, &why);
        self.gate.counters.latency.record(began.elapsed());
    }

    /// Tries once; keeps those messages that are worth another try, and returns why.
    fn attempt(&mut self) -> Option<NotStored> {
        let mut tries = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            let parsed = self.writer.frames.parse(message.as_slice());
            tries.push(match parsed {
                Ok(parsed) => self.writer.put(&parsed),
                Err(why) => {
                    self.gate.counters.malformed.add(1);
                    Err(NotStored::malformed(why))
                }
            });
        }
        let outcomes = self.writer.flush();
        let (mut stored, mut bytes, mut dropped) = (0, 0, 0);
        let (mut refusal, mut failure) = (None, None);
        let mut tries = tries.into_iter();
        self.messages.retain(|message| {
            let Some(tried) = tries.next() else { return false };
            match tried.and_then(|ticket| outcomes.of(ticket)) {
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
        failure
    }
}
