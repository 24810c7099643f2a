//! The wire side of topics: requests that make, grow, trim and delete them.

use chaski_kafka::{
    DecodeError, ErrorCode, Message, Reader, Writer, create_partitions, create_topics,
    delete_records, delete_topics, describe_configs, init_producer_id, metadata as wire,
};
use chaski_log::store::StoreError;
use uuid::Uuid;

use super::topics::Refused;
use super::{Control, number};
use crate::cluster::{Source, effective};
use crate::metadata;
use crate::settings::{Given, TOPIC};

/// The body of a response.
pub(super) fn encode<'a>(version: i16, response: &impl Message<'a>) -> Vec<u8> {
    let mut w = Writer::new();
    response.encode(&mut w, version);
    w.into_parts().0
}

fn split<T>(result: Result<T, Refused>) -> (Option<T>, ErrorCode, Option<String>) {
    match result {
        Ok(value) => (Some(value), ErrorCode::NONE, None),
        Err((code, message)) => (None, code, Some(message)),
    }
}

/// What became of one topic of a CreateTopics request.
struct Created {
    id: Uuid,
    partitions: usize,
    given: Given,
}

impl Control {
    /// Makes the topics a client asked metadata of, then answers.
    pub(super) fn metadata(&mut self, version: i16, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let request = wire::Request::decode(&mut Reader::new(body), version)?;
        let wanted: Vec<String> =
            metadata::missing(&request, &self.cluster).map(str::to_owned).collect();
        let partitions = number(&self.broker.settings, "num.partitions") as usize;
        for name in wanted {
            let made = self
                .may_create(&name, partitions)
                .and_then(|()| self.create_topic(&name, partitions, Given::new()));
            if let Err((code, why)) = made
                && code != ErrorCode::TOPIC_ALREADY_EXISTS
            {
                tracing::warn!(topic = name, why, "topic not created");
            }
        }
        Ok(encode(version, &metadata::respond(&self.broker, &self.cluster, &request, version)))
    }

    pub(super) fn create_topics(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = create_topics::Request::decode(&mut Reader::new(body), version)?;
        let results: Vec<_> = request
            .topics
            .iter()
            .map(|topic| {
                let twice = request.topics.iter().filter(|t| t.name == topic.name).count() > 1;
                let made = match twice {
                    true => Err((ErrorCode::INVALID_REQUEST, "named twice".to_owned())),
                    false => self.create_one(topic, request.validate_only),
                };
                (topic.name, split(made))
            })
            .collect();
        let topics = results
            .iter()
            .map(|(name, (created, error_code, error_message))| create_topics::Topic {
                name,
                error_code: *error_code,
                error_message: error_message.as_deref(),
                topic_id: created.as_ref().map_or(Uuid::nil(), |c| c.id),
                num_partitions: created.as_ref().map_or(-1, |c| c.partitions as i32),
                replication_factor: if created.is_some() { 1 } else { -1 },
                configs: Some(created.as_ref().map_or(Vec::new(), |c| self.created_configs(c))),
                ..Default::default()
            })
            .collect();
        Ok(encode(version, &create_topics::Response { topics, ..Default::default() }))
    }

    fn create_one(
        &mut self,
        topic: &create_topics::RequestTopic<'_>,
        validate_only: bool,
    ) -> Result<Created, Refused> {
        let partitions = self.partitions_asked(topic)?;
        let mut given = Given::new();
        for config in &topic.configs {
            let Some(value) = config.value else { continue };
            given
                .set(TOPIC, config.name, value)
                .map_err(|e| (ErrorCode::INVALID_CONFIG, e.to_string()))?;
        }
        self.may_create(topic.name, partitions)?;
        let id = match validate_only {
            true => Uuid::nil(),
            false => self.create_topic(topic.name, partitions, given.clone())?,
        };
        Ok(Created { id, partitions, given })
    }

    /// How many partitions a request asks for: a count, the default, or one per assignment.
    fn partitions_asked(&self, topic: &create_topics::RequestTopic<'_>) -> Result<usize, Refused> {
        let node = self.broker.node.id;
        if !topic.assignments.is_empty() {
            if topic.num_partitions != -1 || topic.replication_factor != -1 {
                let why = "give either counts or assignments, not both".to_owned();
                return Err((ErrorCode::INVALID_REQUEST, why));
            }
            let mut indexes: Vec<i32> =
                topic.assignments.iter().map(|a| a.partition_index).collect();
            indexes.sort_unstable();
            let dense = indexes.iter().copied().eq(0..indexes.len() as i32);
            if !dense || topic.assignments.iter().any(|a| a.broker_ids != [node]) {
                let why = format!("partitions must count from 0, each on broker {node} alone");
                return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why));
            }
            return Ok(indexes.len());
        }
        if !matches!(topic.replication_factor, -1 | 1) {
            let factor = topic.replication_factor;
            let why = format!("replication factor {factor}: there is one broker");
            return Err((ErrorCode::INVALID_REPLICATION_FACTOR, why));
        }
        match topic.num_partitions {
            -1 => Ok(number(&self.broker.settings, "num.partitions") as usize),
            count => usize::try_from(count)
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| (ErrorCode::INVALID_PARTITIONS, format!("{count} partitions"))),
        }
    }

    fn created_configs<'a>(&'a self, created: &'a Created) -> Vec<create_topics::Config<'a>> {
        TOPIC
            .iter()
            .map(|setting| {
                let (value, source) =
                    effective(&created.given, &self.broker.settings, setting.name);
                create_topics::Config {
                    name: setting.name,
                    value: Some(value),
                    read_only: false,
                    config_source: source_code(source),
                    is_sensitive: false,
                }
            })
            .collect()
    }

    pub(super) fn delete_topics(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = delete_topics::Request::decode(&mut Reader::new(body), version)?;
        let by_name = request.topic_names.iter().map(|name| (Some(*name), Uuid::nil()));
        let by_either = request.topics.iter().map(|topic| (topic.name, topic.topic_id));
        let mut results = Vec::new();
        for (name, id) in by_name.chain(by_either) {
            let (name, id) = match name {
                Some(name) => {
                    let id = self.cluster.by_name.get(name).map_or(Uuid::nil(), |t| t.id);
                    (Some(name.to_owned()), id)
                }
                None => (self.cluster.by_id.get(&id).map(|t| t.name.to_string()), id),
            };
            let deleted = match &name {
                Some(name) => self.delete_topic(name),
                None => Err((ErrorCode::UNKNOWN_TOPIC_ID, format!("no topic {id}"))),
            };
            let (_, code, message) = split(deleted);
            results.push((name, id, code, message));
        }
        let responses = results
            .iter()
            .map(|(name, topic_id, error_code, error_message)| delete_topics::Topic {
                name: name.as_deref(),
                topic_id: *topic_id,
                error_code: *error_code,
                error_message: error_message.as_deref(),
            })
            .collect();
        Ok(encode(version, &delete_topics::Response { responses, ..Default::default() }))
    }

    pub(super) fn create_partitions(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = create_partitions::Request::decode(&mut Reader::new(body), version)?;
        let results: Vec<_> = request
            .topics
            .iter()
            .map(|topic| {
                let count = usize::try_from(topic.count).unwrap_or(0);
                let grown = self.grow_topic(topic.name, count, request.validate_only);
                (topic.name, split(grown))
            })
            .collect();
        let results = results
            .iter()
            .map(|(name, (_, error_code, error_message))| create_partitions::Topic {
                name,
                error_code: *error_code,
                error_message: error_message.as_deref(),
            })
            .collect();
        Ok(encode(version, &create_partitions::Response { results, ..Default::default() }))
    }

    pub(super) fn delete_records(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = delete_records::Request::decode(&mut Reader::new(body), version)?;
        let trim = |topic: &str, asked: &delete_records::RequestPartition| {
            let partition =
                self.cluster.by_name.get(topic).and_then(|t| t.partition(asked.partition_index));
            let trimmed = match partition {
                Some(partition) => self.broker.store.trim(partition, asked.offset),
                None => Err(StoreError::NotFound),
            };
            let (low_watermark, error_code) = match trimmed {
                Ok(log_start) => (log_start, ErrorCode::NONE),
                Err(StoreError::NotFound) => (-1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                Err(StoreError::OutOfRange { .. }) => (-1, ErrorCode::OFFSET_OUT_OF_RANGE),
                Err(_) => (-1, ErrorCode::KAFKA_STORAGE_ERROR),
            };
            delete_records::Partition {
                partition_index: asked.partition_index,
                low_watermark,
                error_code,
            }
        };
        let topics = request
            .topics
            .iter()
            .map(|topic| delete_records::Topic {
                name: topic.name,
                partitions: topic.partitions.iter().map(|p| trim(topic.name, p)).collect(),
            })
            .collect();
        Ok(encode(version, &delete_records::Response { topics, ..Default::default() }))
    }

    /// An id of its own for every producer that asks. One that has one already and asks again
    /// begins anew (KIP-360): Kafka too gives it another id.
    pub(super) fn init_producer_id(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = init_producer_id::Request::decode(&mut Reader::new(body), version)?;
        let response = match request.transactional_id {
            // The one code that every client takes for final.
            Some(_) => init_producer_id::Response {
                error_code: ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                ..Default::default()
            },
            None => init_producer_id::Response {
                producer_id: self.producers.take(&mut self.effects.changes),
                ..Default::default()
            },
        };
        Ok(encode(version, &response))
    }
}

/// The protocol's number for where a setting's value comes from.
pub(super) fn source_code(source: Source) -> i8 {
    match source {
        Source::Topic => describe_configs::TOPIC_CONFIG,
        Source::Broker => describe_configs::STATIC_BROKER_CONFIG,
        Source::Default => describe_configs::DEFAULT_CONFIG,
    }
}
