//! Records on their way out: where a gateway begins, and how it gets over what cannot be read.

use super::frames::{Frames, Outgoing};
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
        for record in &batch {
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
}

impl<'a> Shape<'a> {
    pub(super) fn new(gate: &'a Gate<'a>) -> Shape<'a> {
        Shape { gate, frames: gate.spec.frames() }
    }

    /// What subscribers match.
    pub(super) fn topic_frame<'r>(&'r self, record: &chaski_batch::Record<'r>) -> &'r [u8] {
        match self.gate.spec.topic_frame {
            TopicFrame::Topic => self.gate.topic().as_bytes(),
            TopicFrame::Key => record.key.unwrap_or_default(),
        }
    }

    /// The message of a record, behind the frames that are in `message` already.
    pub(super) fn write(
        &self,
        partition: i32,
        record: &chaski_batch::Record<'_>,
        message: &mut chaski_zmq::Message,
    ) {
        if self.gate.spec.kind == GatewayKind::Pub {
            message.push(self.topic_frame(record));
        }
        self.frames.write(&Outgoing { topic: self.gate.topic(), partition, record }, message);
    }
}
