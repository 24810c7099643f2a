//! The wire side of topics: requests that make, grow, trim and delete them.

use std::collections::BTreeSet;
use std::sync::Arc;

use chaski_kafka::{
    DecodeError, ErrorCode, Message, Reader, Writer, create_partitions, create_topics,
    delete_records, delete_topics, describe_configs, init_producer_id, metadata as wire,
};
use chaski_log::store::StoreError;
use uuid::Uuid;

use super::topics::{Growth, NewTopic, Refused, Room, code_of, message_of, named_twice, repeated};
use super::{Control, number};
use crate::cluster::{Source, Topic, effective};
use crate::limits::{TOPICS_PER_METADATA_MAX, TOPICS_PER_REQUEST_MAX};
use crate::metadata;
use crate::settings::{Given, TOPIC};

/// The body of a response.
pub(super) fn encode<'a>(version: i16, response: &impl Message<'a>) -> Vec<u8> {
    let mut w = Writer::new();
    response.encode(&mut w, version);
    w.into_parts().0
}

impl Control {
    /// Makes the topics a client asked metadata of, then answers.
    pub(super) fn metadata(&mut self, version: i16, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let request = wire::Request::decode(&mut Reader::new(body), version)?;
        let missing: BTreeSet<&str> = metadata::missing(&request, &self.cluster).collect();
        let names: Vec<String> =
            missing.into_iter().take(TOPICS_PER_METADATA_MAX).map(str::to_owned).collect();
        let partitions = number(&self.broker.settings, "num.partitions") as usize;
        let mut room = self.room();
        let mut check = |name: &String| {
            self.check_name(name)?;
            room.add_topic(partitions)?;
            Ok(NewTopic { name: name.clone(), id: Uuid::new_v4(), partitions, given: Given::new() })
        };
        let asked = names.iter().map(&mut check).collect();
        for (name, made) in names.iter().zip(self.make(asked)) {
            if let Err((_, why)) = made {
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
        let twice = repeated(request.topics.iter().map(|topic| topic.name));
        let mut room = self.room();
        let check = |(index, topic): (usize, &create_topics::RequestTopic<'_>)| {
            if index >= TOPICS_PER_REQUEST_MAX {
                let why = format!("at most {TOPICS_PER_REQUEST_MAX} topics a request");
                return Err((ErrorCode::POLICY_VIOLATION, why));
            }
            if twice.contains(topic.name) {
                return Err(named_twice());
            }
            self.check_new(topic, &mut room)
        };
        let asked = request.topics.iter().enumerate().map(check).collect();
        let made = if request.validate_only { asked } else { self.make(asked) };
        let answered = request.topics.iter().zip(&made);
        let topics = answered
            .map(|(topic, made)| self.created(topic.name, made, request.validate_only))
            .collect();
        Ok(encode(version, &create_topics::Response { topics, ..Default::default() }))
    }

    /// What became of a topic.
    fn created<'a>(
        &'a self,
        name: &'a str,
        made: &'a Result<NewTopic, Refused>,
        only_checked: bool,
    ) -> create_topics::Topic<'a> {
        let mut answer = create_topics::Topic {
            name,
            error_code: code_of(made),
            error_message: message_of(made),
            configs: Some(Vec::new()),
            ..Default::default()
        };
        if let Ok(new) = made {
            answer.topic_id = if only_checked { Uuid::nil() } else { new.id };
            answer.num_partitions = new.partitions as i32;
            answer.replication_factor = 1;
            answer.configs = Some(self.created_configs(&new.given));
        }
        answer
    }

    /// Whether there is such a topic comes first: a client that makes sure of a topic wants to
    /// hear that it is there, whatever else it asks for.
    fn check_new(
        &self,
        topic: &create_topics::RequestTopic<'_>,
        room: &mut Room,
    ) -> Result<NewTopic, Refused> {
        self.check_name(topic.name)?;
        let partitions = self.partitions_asked(topic)?;
        let mut given = Given::new();
        for config in &topic.configs {
            let Some(value) = config.value else { continue };
            given
                .set(TOPIC, config.name, value)
                .map_err(|e| (ErrorCode::INVALID_CONFIG, e.to_string()))?;
        }
        room.add_topic(partitions)?;
        Ok(NewTopic { name: topic.name.to_owned(), id: Uuid::new_v4(), partitions, given })
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

    fn created_configs<'a>(&'a self, given: &'a Given) -> Vec<create_topics::Config<'a>> {
        TOPIC
            .iter()
            .map(|setting| {
                let (value, source) = effective(given, &self.broker.settings, setting.name);
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
        let named: Vec<(Option<&str>, Uuid)> = by_name.chain(by_either).collect();
        let find = |(name, id): &(Option<&str>, Uuid)| match name {
            Some(name) => self.topic(name),
            None => self
                .cluster
                .by_id
                .get(id)
                .cloned()
                .ok_or_else(|| (ErrorCode::UNKNOWN_TOPIC_ID, format!("no topic {id}"))),
        };
        let found: Vec<Result<Arc<Topic>, Refused>> = named.iter().map(find).collect();
        let twice = repeated(found.iter().flatten().map(|topic| &*topic.name));
        let once = |found: &Result<Arc<Topic>, Refused>| match found {
            Ok(topic) if twice.contains(&*topic.name) => Err(named_twice()),
            found => found.clone(),
        };
        let deleted = self.delete(found.iter().map(once).collect());
        let responses = named
            .iter()
            .zip(&found)
            .zip(&deleted)
            .map(|(((name, id), found), deleted)| delete_topics::Topic {
                name: found.as_ref().map_or(*name, |topic| Some(&*topic.name)),
                topic_id: found.as_ref().map_or(*id, |topic| topic.id),
                error_code: code_of(deleted),
                error_message: message_of(deleted),
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
        let twice = repeated(request.topics.iter().map(|topic| topic.name));
        let mut room = self.room();
        let check = |topic: &create_partitions::RequestTopic<'_>| {
            if twice.contains(topic.name) {
                return Err(named_twice());
            }
            let count = usize::try_from(topic.count).unwrap_or(0);
            self.check_growth(topic.name, count, &mut room)
        };
        let asked: Vec<Result<Growth, Refused>> = request.topics.iter().map(check).collect();
        let grown = match request.validate_only {
            true => asked.into_iter().map(|growth| growth.map(drop)).collect(),
            false => self.grow(asked),
        };
        let results = request
            .topics
            .iter()
            .zip(&grown)
            .map(|(topic, grown)| create_partitions::Topic {
                name: topic.name,
                error_code: code_of(grown),
                error_message: message_of(grown),
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
