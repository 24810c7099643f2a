//! Records on their way out: where a gateway begins, and how it gets over what cannot be read.

use chaski_zmq::{Frame, Message, Outgoing};

use super::frames::{Frames, Record};
use super::gate::Gate;
use super::spec::{From, GatewayKind, TopicFrame};
use crate::client::{Position, ReadError, Records, TopicReader};

/// A reader of a gateway's topic, where the gateway was last, or where its group was, or where
/// `from` says.
pub(super) fn reader(gate: &Gate<'_>) -> Result<TopicReader, String> {
    let from = match gate.spec.from {
        From::Earliest => Position::Earliest,
        From::Latest => Position::Latest,
    };
    let (client, topic) = (gate.client, gate.topic());
    let mut reader = client.topic_reader(topic, from).map_err(|error| error.to_string())?;
    let mut known = gate.counters.positions();
    if let Some(group) = gate.spec.group.as_deref().filter(|_| known.is_empty()) {
        let committed = client.committed(group, topic).map_err(|error| error.to_string())?;
        let at = |(partition, offset): (i32, Option<i64>)| Some((partition, offset?));
        known = committed.into_iter().filter_map(at).collect();
    }
    for (partition, offset) in known {
        // A partition that is gone is that of a topic that was made anew, with fewer.
        let _ = reader.seek(partition, Position::Offset(offset));
    }
    gate.counters.set_positions(reader.positions());
    Ok(reader)
}

/// Gets over an error of one partition, or ends the run.
pub(super) fn recover(
    gate: &Gate<'_>,
    reader: &mut TopicReader,
    partition: i32,
    error: &ReadError,
) -> Result<(), String> {
    let to = match error {
        ReadError::OutOfRange { offset, start, .. } => {
            let passed = usize::try_from(start - offset).unwrap_or(0);
            gate.counters.drop_messages(passed, &"retention was faster than the gateway");
            Position::Earliest
        }
        ReadError::Damaged { resumes, .. } => Position::Offset(*resumes),
        other => return Err(other.to_string()),
    };
    gate.counters.fail(&format!("partition {partition}: {error}"));
    reader.seek(partition, to).map(drop).map_err(|error| error.to_string())
}

/// Calls `take` with each record in turn until it says false; a batch that makes no sense is
/// passed over. Where it stopped: the offset of the next record.
pub(super) fn each(
    gate: &Gate<'_>,
    records: &Records<'_>,
    mut take: impl FnMut(&chaski_batch::Record<'_>) -> bool,
) -> i64 {
    for batch in records.batches() {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                gate.counters.fail(&error);
                continue;
            }
        };
        for record in batch.iter() {
            match record {
                Ok(record) if take(&record) => {}
                Ok(record) => return record.offset,
                Err(error) => {
                    gate.counters.fail(&error);
                    break;
                }
            }
        }
    }
    records.next_offset()
}

/// How a record becomes a message.
pub(super) struct Shape<'a> {
    gate: &'a Gate<'a>,
    frames: Frames,
    /// The topic's name, as a PUB may put it first.
    topic: Frame,
}

impl<'a> Shape<'a> {
    pub(super) fn new(gate: &'a Gate<'a>) -> Shape<'a> {
        Shape { gate, frames: gate.spec.frames(), topic: Frame::from(gate.topic()) }
    }

    /// What subscribers match.
    pub(super) fn topic_frame<'r>(&'r self, record: &chaski_batch::Record<'r>) -> &'r [u8] {
        match self.gate.spec.topic_frame {
            TopicFrame::Topic => self.gate.topic().as_bytes(),
            TopicFrame::Key => record.key.unwrap_or_default(),
        }
    }

    /// The message of a record. A value that is its last frame is lent, not copied.
    pub(super) fn message<'r>(
        &self,
        partition: i32,
        record: &chaski_batch::Record<'r>,
    ) -> Outgoing<'r> {
        let mut frames = Message::new();
        self.write_topic(record, &mut frames);
        let from = Record { topic: self.gate.topic(), partition, record };
        if self.frames.write_before_value(&from, &mut frames) {
            let mut lent = Outgoing::from(record.value.unwrap_or_default());
            lent.envelope = frames;
            return lent;
        }
        self.frames.write(&from, &mut frames);
        frames.into()
    }

    /// The same, behind the frames that are in `message` already.
    pub(super) fn write(
        &self,
        partition: i32,
        record: &chaski_batch::Record<'_>,
        message: &mut Message,
    ) {
        self.write_topic(record, message);
        self.frames.write(&Record { topic: self.gate.topic(), partition, record }, message);
    }

    fn write_topic(&self, record: &chaski_batch::Record<'_>, message: &mut Message) {
        if self.gate.spec.kind == GatewayKind::Pub {
            match self.gate.spec.topic_frame {
                TopicFrame::Topic => message.push(self.topic.clone()),
                TopicFrame::Key => message.push(record.key.unwrap_or_default()),
            }
        }
    }
}

/// Bytes of all frames of a message.
pub(super) fn byte_len(message: &Outgoing<'_>) -> u64 {
    message.frames().map(|(frame, _)| frame.len() as u64).sum()
}
