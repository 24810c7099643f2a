//! Questions about topics.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use chaski_broker::nearest;
use chaski_kafka::{ErrorCode, list_offsets, metadata};
use uuid::Uuid;

use super::{Client, ClientError, Refusal};

/// How often to ask for a topic that is being created, and how long to wait in between.
const CREATION_ASKS_MAX: u32 = 50;
const CREATION_WAIT: Duration = Duration::from_millis(100);
/// Partitions asked about in one ListOffsets request.
const OFFSETS_PER_REQUEST: usize = 10_000;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    /// Partition numbers, rising.
    pub(crate) partitions: Vec<i32>,
}

/// Offsets by topic and partition; those that the broker could not tell are missing.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

impl TopicInfo {
    /// Topic and number of each partition.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (String, i32)> {
        self.partitions.iter().map(|&partition| (self.name.clone(), partition))
    }

    /// The partitions wanted, or all if none are.
    pub(crate) fn choose(&self, wanted: &[i32]) -> Result<Vec<i32>, ClientError> {
        if wanted.is_empty() {
            return Ok(self.partitions.clone());
        }
        let mut chosen = wanted.to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        match chosen.iter().find(|&wanted| !self.partitions.contains(wanted)) {
            None => Ok(chosen),
            Some(&partition) => Err(ClientError::UnknownPartition {
                topic: self.name.clone(),
                partition,
                last: self.partitions.last().copied().unwrap_or(-1),
            }),
        }
    }

    fn new(topic: &metadata::Topic<'_>) -> TopicInfo {
        let mut partitions: Vec<i32> =
            topic.partitions.iter().map(|partition| partition.partition_index).collect();
        partitions.sort_unstable();
        TopicInfo {
            name: topic.name.unwrap_or_default().to_owned(),
            id: topic.topic_id,
            partitions,
        }
    }
}

impl Client {
    /// All topics, by name.
    pub(crate) fn topics(&mut self) -> Result<Vec<TopicInfo>, ClientError> {
        let request = metadata::Request { topics: None, ..Default::default() };
        let mut buf = Vec::new();
        let response = self.call(&request, &mut buf)?;
        let mut topics: Vec<TopicInfo> = response.topics.iter().map(TopicInfo::new).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic, which must be there.
    pub(crate) fn topic(&mut self, name: &str) -> Result<TopicInfo, ClientError> {
        match self.ask_for_topic(name, false)? {
            Ok(topic) => Ok(topic),
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Err(self.unknown_topic(name)?),
            Err(code) => Err(Refusal::new(code, None).into()),
        }
    }

    /// One topic, which the broker creates if it is not there, and if it does such things.
    pub(crate) fn topic_or_create(&mut self, name: &str) -> Result<TopicInfo, ClientError> {
        for _ in 0..CREATION_ASKS_MAX {
            match self.ask_for_topic(name, true)? {
                Ok(topic) => return Ok(topic),
                // The topic is being created by now.
                Err(ErrorCode::LEADER_NOT_AVAILABLE) => thread::sleep(CREATION_WAIT),
                Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => return Err(self.unknown_topic(name)?),
                Err(code) => return Err(Refusal::new(code, None).into()),
            }
        }
        Err(Refusal::new(ErrorCode::LEADER_NOT_AVAILABLE, None).into())
    }

    fn ask_for_topic(
        &mut self,
        name: &str,
        create: bool,
    ) -> Result<Result<TopicInfo, ErrorCode>, ClientError> {
        let asked = metadata::RequestTopic { name: Some(name), ..Default::default() };
        let request = metadata::Request {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let mut buf = Vec::new();
        let response = self.call(&request, &mut buf)?;
        Ok(match response.topics.first() {
            Some(topic) => topic.error_code.ok().map(|()| TopicInfo::new(topic)),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        })
    }

    /// The error for a topic that is not there, with the name that may have been meant.
    pub(crate) fn unknown_topic(&mut self, name: &str) -> Result<ClientError, ClientError> {
        let topics = self.topics()?;
        let nearest = nearest(name, topics.iter().map(|topic| topic.name.as_str()));
        Ok(ClientError::UnknownTopic { name: name.to_owned(), nearest: nearest.map(str::to_owned) })
    }

    /// The offset that belongs to `timestamp`, or to one of the constants of [`list_offsets`], for
    /// each partition. -1 if all records are older.
    pub(crate) fn offsets(
        &mut self,
        partitions: impl IntoIterator<Item = (String, i32)>,
        timestamp: i64,
    ) -> Result<Offsets, ClientError> {
        let asked: Vec<(String, i32)> = partitions.into_iter().collect();
        let mut offsets = Offsets::new();
        for asked in asked.chunks(OFFSETS_PER_REQUEST) {
            self.ask_for_offsets(asked, timestamp, &mut offsets)?;
        }
        Ok(offsets)
    }

    fn ask_for_offsets(
        &mut self,
        asked: &[(String, i32)],
        timestamp: i64,
        offsets: &mut Offsets,
    ) -> Result<(), ClientError> {
        let topics = asked
            .chunk_by(|a, b| a.0 == b.0)
            .map(|of_topic| list_offsets::RequestTopic {
                name: &of_topic[0].0,
                partitions: of_topic
                    .iter()
                    .map(|&(_, partition_index)| list_offsets::RequestPartition {
                        partition_index,
                        timestamp,
                        ..Default::default()
                    })
                    .collect(),
            })
            .collect();
        let request = list_offsets::Request { topics, ..Default::default() };
        let mut buf = Vec::new();
        let response = self.call(&request, &mut buf)?;
        for topic in &response.topics {
            let known = topic.partitions.iter().filter(|partition| partition.error_code.is_none());
            offsets.extend(known.map(|p| ((topic.name.to_owned(), p.partition_index), p.offset)));
        }
        Ok(())
    }
}
