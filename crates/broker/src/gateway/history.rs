//! What was published before: for subscribers that come late, or have lost something.
//!
//! A SUB asks by subscribing to a name that nothing is published under, and gets the answer under
//! it, between live messages of other names:
//!
//! ```text
//!   subscribe   PREFIX@FROM           or  PREFIX@FROM#NAME    NAME: anything, to be alone with it
//!                      FROM: earliest | -N (the last N of each partition) | time:MS | P:O,P:O,..
//!
//!   +---------------+-----------+-------------+--------------------+
//!   | subscription  | P:O       | topic frame | frames as they go  |   each record whose topic
//!   +---------------+-----------+-------------+--------------------+   frame begins with PREFIX
//!   | subscription  | P:O,P:O.. |                                      the end: where live begins
//!   +---------------+-----------+--------+
//!   | subscription  | error     | reason |                             not to be had
//!   +---------------+-----------+--------+
//! ```
//! To miss nothing and see nothing twice, subscribe to PREFIX first, then to its history; keep the
//! live messages until the end has come, and pass over those (by `position`) that are before it.
//!
//! Nothing of an answer is dropped: who asked and does not read holds up this answer alone, and
//! loses it after a minute. [`HISTORIES_MAX`] are served at a time, a piece of each in turn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chaski_zmq::Message;

use super::gate::Gate;
use super::limits::{HISTORIES_MAX, NAP, READ_BYTES_MAX};
use super::outlet::{self, Shape};
use super::patience::refuse_to_drop;
use crate::client::{ClientError, Position, ReadError, Reader};

/// How long a subscriber may leave its answer unread.
const PATIENCE: Duration = Duration::from_secs(60);

/// How soon a subscriber whose queue is full is tried again.
const CROWDED_NAP: Duration = Duration::from_millis(5);

/// Subscriptions taken in one go.
const WISHES_PER_TURN: usize = 64;

/// The answers under way.
pub(super) struct Histories<'a> {
    gate: &'a Gate<'a>,
    active: VecDeque<History>,
}

/// One answer.
struct History {
    /// What was subscribed to, and every message of the answer begins with.
    name: Vec<u8>,
    prefix: Vec<u8>,
    /// Partitions to be read, the first at present: from, and to before.
    spans: VecDeque<(i32, i64, i64)>,
    reader: Option<Reader>,
    /// What the end says.
    ends: String,
    /// When a message last left.
    moved: Instant,
}

/// From where a wish wants history.
#[derive(Debug, PartialEq, Eq)]
enum Since {
    Earliest,
    Last(i64),
    Time(i64),
    Offsets(Vec<(i32, i64)>),
}

/// Reads a subscription; None: it is one like any other.
fn parse(name: &[u8]) -> Option<(&[u8], Since)> {
    let at = name.iter().rposition(|byte| *byte == b'@')?;
    let text = std::str::from_utf8(&name[at + 1..]).ok()?;
    let from = text.split_once('#').map_or(text, |(from, _)| from);
    let since = if from == "earliest" {
        Since::Earliest
    } else if let Some(ms) = from.strip_prefix("time:") {
        Since::Time(ms.parse().ok()?)
    } else if let Some(count) = from.strip_prefix('-') {
        Since::Last(count.parse().ok().filter(|count| *count >= 0)?)
    } else {
        let pair = |pair: &str| {
            let (partition, offset) = pair.split_once(':')?;
            Some((partition.parse().ok()?, offset.parse().ok()?))
        };
        Since::Offsets(from.split(',').map(pair).collect::<Option<_>>()?)
    };
    Some((&name[..at], since))
}

/// What became of a piece of an answer.
enum Piece {
    More,
    /// The subscriber has no room.
    Crowded,
    Done,
}

impl<'a> Histories<'a> {
    pub(super) fn new(gate: &'a Gate<'a>) -> Histories<'a> {
        Histories { gate, active: VecDeque::new() }
    }

    /// Takes wishes, and serves a piece of each answer. How soon there is more to do.
    pub(super) fn turn(&mut self, shape: &Shape<'_>) -> Result<Duration, String> {
        for _ in 0..WISHES_PER_TURN {
            match self.gate.socket.try_recv() {
                Ok(wish) => self.hear(&wish),
                Err(error) if error.is_empty() => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        if self.active.is_empty() {
            return Ok(NAP);
        }
        let mut soon = CROWDED_NAP;
        refuse_to_drop(self.gate.socket, true)?;
        for _ in 0..self.active.len() {
            let Some(mut history) = self.active.pop_front() else { break };
            match self.serve(&mut history, shape) {
                Ok(Piece::Done) => {}
                Ok(Piece::More) => {
                    soon = Duration::ZERO;
                    history.moved = Instant::now();
                    self.active.push_back(history);
                }
                Ok(Piece::Crowded) if history.moved.elapsed() < PATIENCE => {
                    self.active.push_back(history);
                }
                Ok(Piece::Crowded) => {
                    self.gate.counters.drop_messages(1, &"a subscriber left its history unread");
                }
                Err(why) => self.end_with_error(&history.name, &why),
            }
        }
        self.gate.socket.flush();
        refuse_to_drop(self.gate.socket, false)?;
        Ok(soon)
    }

    /// Takes a subscription, or the end of one.
    pub(super) fn hear(&mut self, wish: &Message) {
        let Some((&kind, name)) = wish.first().and_then(|frame| frame.split_first()) else {
            return;
        };
        self.active.retain(|history| history.name != name);
        if kind != 1 {
            return;
        }
        let Some((prefix, since)) = parse(name) else { return };
        if self.active.len() >= HISTORIES_MAX {
            return self.end_with_error(name, "too many ask for history; try again later");
        }
        match self.plan(&since) {
            Ok(spans) => {
                let ends: Vec<String> =
                    spans.iter().map(|(partition, _, end)| format!("{partition}:{end}")).collect();
                self.active.push_back(History {
                    name: name.to_vec(),
                    prefix: prefix.to_vec(),
                    spans,
                    reader: None,
                    ends: ends.join(","),
                    moved: Instant::now(),
                });
            }
            Err(error) => self.end_with_error(name, &error.to_string()),
        }
    }

    /// What is to be read: up to what is there now.
    fn plan(&self, since: &Since) -> Result<VecDeque<(i32, i64, i64)>, ClientError> {
        let (client, topic) = (self.gate.client, self.gate.topic());
        let partitions = client.topic(topic).map_or(0, |topic| topic.partitions()) as i32;
        let mut spans = VecDeque::new();
        for partition in 0..partitions {
            let bounds = client.offsets(topic, partition)?;
            let (start, end) = (bounds.log_start, bounds.high_watermark);
            let from = match since {
                Since::Earliest => start,
                Since::Last(count) => end.saturating_sub(*count),
                Since::Time(ms) => client.reader(topic, partition, Position::Time(*ms))?.position(),
                Since::Offsets(wanted) => {
                    let Some((_, offset)) = wanted.iter().find(|(p, _)| *p == partition) else {
                        continue;
                    };
                    *offset
                }
            };
            spans.push_back((partition, from.clamp(start, end), end));
        }
        Ok(spans)
    }

    fn serve(&self, history: &mut History, shape: &Shape<'_>) -> Result<Piece, String> {
        let Some(&(partition, from, end)) = history.spans.front() else {
            return Ok(self.finish(history));
        };
        if from >= end {
            history.spans.pop_front();
            history.reader = None;
            return Ok(Piece::More);
        }
        let reader = match &mut history.reader {
            Some(reader) => reader,
            none => none.insert(
                self.gate
                    .client
                    .reader(self.gate.topic(), partition, Position::Offset(from))
                    .map_err(|error| error.to_string())?,
            ),
        };
        let (name, prefix) = (&history.name, &history.prefix);
        let mut crowded = false;
        let next = match reader.next(READ_BYTES_MAX) {
            // Records that were there are gone: aborted, or deleted meanwhile.
            Ok(None) => end,
            Ok(Some(records)) => outlet::each(self.gate, &records, |record| {
                if record.offset >= end || !shape.topic_frame(record).starts_with(prefix) {
                    return true;
                }
                let mut message = Message::new().with(name.as_slice());
                message.push(format!("{partition}:{}", record.offset));
                shape.write(partition, record, &mut message);
                crowded = !self.send(message);
                !crowded
            }),
            Err(ReadError::OutOfRange { start, .. }) => start,
            Err(ReadError::Damaged { resumes, .. }) => resumes,
            Err(error) => return Err(error.to_string()),
        };
        let moved = next > from;
        reader.seek(Position::Offset(next)).map_err(|error| error.to_string())?;
        if let Some(span) = history.spans.front_mut() {
            span.1 = next;
        }
        Ok(if crowded && !moved { Piece::Crowded } else { Piece::More })
    }

    fn finish(&self, history: &History) -> Piece {
        let end = Message::from_iter([history.name.as_slice(), history.ends.as_bytes()]);
        if self.send(end) { Piece::Done } else { Piece::Crowded }
    }

    /// Whether the subscriber has room, or is gone.
    fn send(&self, message: Message) -> bool {
        let bytes = message.byte_len() as u64;
        match self.gate.socket.try_send(message) {
            Ok(()) => {
                self.gate.counters.messages.add(1);
                self.gate.counters.bytes.add(bytes);
                true
            }
            Err(error) if error.is_full() => false,
            Err(error) => {
                self.gate.counters.fail(&error);
                true
            }
        }
    }

    fn end_with_error(&self, name: &[u8], why: &str) {
        self.gate.counters.note(&why);
        self.send(Message::from_iter([name, b"error", why.as_bytes()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_says_what_and_from_where() {
        let wish = |name: &'static str| {
            parse(name.as_bytes()).map(|(prefix, since)| (prefix.to_vec(), since))
        };
        assert_eq!(wish("orders@earliest"), Some((b"orders".to_vec(), Since::Earliest)));
        assert_eq!(wish("@-10#me"), Some((Vec::new(), Since::Last(10))));
        assert_eq!(wish("a@b@time:7"), Some((b"a@b".to_vec(), Since::Time(7))));
        let offsets = Since::Offsets(vec![(0, 12), (3, 4)]);
        assert_eq!(wish("o@0:12,3:4#x"), Some((b"o".to_vec(), offsets)));
        for ordinary in ["orders", "me@example.com", "a@", "a@--1", "a@0:x", "a@time:", "@#"] {
            assert_eq!(wish(ordinary), None, "{ordinary}");
        }
    }
}
