//! What came from a socket, into the log: used by all gateways in.

use std::collections::HashMap;
use std::sync::Arc;

use super::frames::{Frames, Parsed};
use super::gate::Gate;
use super::landing::Landing;
use super::limits::TOPICS_MAX;
use super::spec::Acks;
use crate::client::{
    ClientError, ErrorCode, Flushed, Placed, ProduceError, Producer, ProducerOptions, Record,
};

/// Why a message is not in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotStored {
    /// The reason, as Kafka's clients would be told it.
    pub(super) code: ErrorCode,
    pub(super) why: String,
    /// Whether the same message may fare better later.
    pub(super) later: bool,
}

impl NotStored {
    pub(super) fn malformed(why: &str) -> NotStored {
        NotStored { code: ErrorCode::INVALID_RECORD, why: why.to_owned(), later: false }
    }

    fn of_topic(error: &ClientError, later: bool) -> NotStored {
        let code = match error {
            ClientError::Stopped => ErrorCode::BROKER_NOT_AVAILABLE,
            _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        NotStored { code, why: error.to_string(), later }
    }

    fn of_produce(error: &ProduceError, topic_is_fixed: bool) -> NotStored {
        let later = match error {
            ProduceError::Refused { .. } | ProduceError::UnknownPartition { .. } => false,
            // It may be made anew, and then this is where its messages go.
            ProduceError::Deleted(_) => topic_is_fixed,
            _ => true,
        };
        NotStored { code: error.code(), why: error.to_string(), later }
    }
}

/// Where a message was put, good until the next flush.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    lane: usize,
    placed: Placed,
}

/// Where a message is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Puts messages into batches, one producer a topic.
pub(super) struct Writer<'a> {
    gate: &'a Gate<'a>,
    pub(super) frames: Frames,
    options: ProducerOptions,
    lanes: Vec<Lane>,
    by_topic: HashMap<String, usize>,
}

struct Lane {
    topic: String,
    /// None: the topic is not there, or not any more.
    producer: Option<Producer>,
}

/// What became of all that was put since the flush before, by lane.
pub(super) struct Outcomes {
    lanes: Vec<Flushed>,
    topic_is_fixed: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(gate: &'a Gate<'a>) -> Writer<'a> {
        let durability = match gate.spec.acks {
            Acks::One => gate.client.acks_one(),
            Acks::All => gate.client.acks_all(),
        };
        Writer {
            gate,
            frames: gate.spec.frames(),
            options: ProducerOptions::new().durability(durability),
            lanes: Vec::new(),
            by_topic: HashMap::new(),
        }
    }

    /// Puts a message into the batch of its partition.
    pub(super) fn put(&mut self, parsed: &Parsed<'_>) -> Result<Ticket, NotStored> {
        let named = parsed.topic.as_deref().filter(|topic| !topic.is_empty());
        let topic = named.or(self.gate.spec.topic.as_deref());
        let topic = topic.ok_or_else(|| NotStored::malformed("it names no topic"))?;
        let fixed = self.topic_is_fixed();
        let lane = self.lane(topic, fixed)?;
        let Lane { producer, .. } = &mut self.lanes[lane];
        let Some(open) = producer else {
            return Err(NotStored::malformed("its topic is gone"));
        };
        let headers: Vec<(&str, Option<&[u8]>)> =
            parsed.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        let record = Record {
            key: parsed.key.as_deref(),
            value: parsed.value.as_deref(),
            headers: &headers,
            ..Record::default()
        };
        match open.push(record) {
            Ok(placed) => Ok(Ticket { lane, placed }),
            Err(error) => {
                if matches!(error, ProduceError::Deleted(_)) {
                    *producer = None;
                }
                Err(NotStored::of_produce(&error, fixed))
            }
        }
    }

    /// Appends all batches, and waits until they are as durable as the gateway's `acks` says.
    pub(super) fn flush(&mut self) -> Outcomes {
        let flush =
            |lane: &mut Lane| lane.producer.as_mut().map_or(Ok(Vec::new()), Producer::flush);
        let lanes = self.lanes.iter_mut().map(flush).collect();
        Outcomes { lanes, topic_is_fixed: self.topic_is_fixed() }
    }

    /// Appends all batches, and does not wait until they are as durable as `acks` says.
    pub(super) fn send(&mut self) -> Arc<Landing> {
        let landing = Landing::new(self.lanes.len());
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let landing = landing.clone();
            match &mut lane.producer {
                Some(producer) => producer.flush_with(move |flushed| landing.tell(at, flushed)),
                None => landing.tell(at, Ok(Vec::new())),
            }
        }
        landing
    }

    /// What has become of what was sent, as far as that is known.
    pub(super) fn outcomes(&self, landing: &Landing) -> Outcomes {
        Outcomes { lanes: landing.take(), topic_is_fixed: self.topic_is_fixed() }
    }

    fn topic_is_fixed(&self) -> bool {
        !self.gate.spec.names_topics()
    }

    fn lane(&mut self, topic: &str, fixed: bool) -> Result<usize, NotStored> {
        if let Some(&lane) = self.by_topic.get(topic) {
            if self.lanes[lane].producer.is_none() {
                self.lanes[lane].producer = Some(self.producer(topic, fixed)?);
            }
            return Ok(lane);
        }
        let producer = Some(self.producer(topic, fixed)?);
        let lane = match self.lanes.len() {
            TOPICS_MAX => self.vacate()?,
            next => next,
        };
        let new = Lane { topic: topic.to_owned(), producer };
        match self.lanes.get_mut(lane) {
            Some(old) => *old = new,
            None => self.lanes.push(new),
        }
        self.by_topic.insert(topic.to_owned(), lane);
        Ok(lane)
    }

    /// Frees a lane that holds nothing.
    fn vacate(&mut self) -> Result<usize, NotStored> {
        let idle = |lane: &Lane| lane.producer.as_ref().is_none_or(|p| p.pending_records() == 0);
        let Some(lane) = self.lanes.iter().position(idle) else {
            let why = format!("more than {TOPICS_MAX} topics at once");
            return Err(NotStored { code: ErrorCode::POLICY_VIOLATION, why, later: true });
        };
        self.by_topic.remove(&self.lanes[lane].topic);
        Ok(lane)
    }

    fn producer(&self, topic: &str, fixed: bool) -> Result<Producer, NotStored> {
        let made = self.gate.client.producer(topic, self.options);
        made.map_err(|error| NotStored::of_topic(&error, fixed || error == ClientError::Stopped))
    }
}

impl Outcomes {
    /// What became of one message.
    pub(super) fn of(&self, ticket: Ticket) -> Result<Stored, NotStored> {
        let Ticket { lane, placed } = ticket;
        let unknown = Ok(Vec::new());
        match placed.offset_in(self.lanes.get(lane).unwrap_or(&unknown)) {
            Ok(offset) => Ok(Stored { partition: placed.partition, offset }),
            Err(error) => Err(NotStored::of_produce(&error, self.topic_is_fixed)),
        }
    }
}
