//! The wire side of topics: requests that make, grow, trim and delete them.
//!
//! A request is decoded for its first half, and once more for its answer: it is the bytes that wait
//! in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use chaski_kafka::{
    ApiKey, DecodeError, ErrorCode, Message, Reader, Writer, create_partitions, create_topics,
    delete_records, delete_topics, describe_configs, init_producer_id, metadata as wire,
};
use chaski_log::store::{LogStore, PartitionId, StoreError};
use uuid::Uuid;

use super::topics::{Growth, NewTopic, Refused, Room, code_of, message_of, named_twice, repeated};
use super::{Control, Work, number};
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
    /// Answers from the topics as they are.
    pub(super) fn metadata(&mut self, version: i16, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let request = wire::Request::decode(&mut Reader::new(body), version)?;
        Ok(encode(version, &metadata::respond(&self.broker, &self.cluster, &request, version)))
    }

    /// Whether a client asks metadata of topics that must be made first.
    pub(super) fn wants_topics(&self, work: &Work) -> bool {
        if work.api != ApiKey::Metadata {
            return false;
        }
        let request = wire::Request::decode(&mut Reader::new(&work.body), work.version);
        request.is_ok_and(|asked| metadata::wants_creation(&self.broker, &self.cluster, &asked))
    }

    /// Makes the topics a client asked metadata of, then answers.
    pub(super) fn make_missing(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = wire::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let missing: BTreeSet<&str> =
            metadata::missing(&self.broker, &self.cluster, &request).collect();
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
        self.make(asked, move |control, made| {
            for (name, made) in names.iter().zip(made) {
                if let Err((_, why)) = made {
                    tracing::warn!(topic = name, why, "topic not created");
                }
            }
            let body = control.metadata(work.version, &work.body);
            control.answer(&work, body);
        });
        Ok(())
    }

    pub(super) fn create_topics(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = create_topics::Request::decode(&mut Reader::new(&work.body), work.version)?;
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
        let only_checked = request.validate_only;
        let answer = move |control: &mut Control, made: Vec<Result<NewTopic, Refused>>| {
            let body = control.topics_created(&work, &made);
            control.answer(&work, body);
        };
        match only_checked {
            true => answer(self, asked),
            false => self.make(asked, answer),
        }
        Ok(())
    }

    /// The answer to a request for topics, given what became of each.
    fn topics_created(
        &self,
        work: &Work,
        made: &[Result<NewTopic, Refused>],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = create_topics::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let answered = request.topics.iter().zip(made);
        let topics = answered
            .map(|(topic, made)| self.created(topic.name, made, request.validate_only))
            .collect();
        Ok(encode(work.version, &create_topics::Response { topics, ..Default::default() }))
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

    pub(super) fn delete_topics(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = delete_topics::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let find = |(name, id): (Option<&str>, Uuid)| match name {
            Some(name) => self.topic(name),
            None => self
                .cluster
                .by_id
                .get(&id)
                .cloned()
                .ok_or_else(|| (ErrorCode::UNKNOWN_TOPIC_ID, format!("no topic {id}"))),
        };
        let found: Vec<Result<Arc<Topic>, Refused>> = doomed(&request).map(find).collect();
        let twice = repeated(found.iter().flatten().map(|topic| &*topic.name));
        let once = |found: &Result<Arc<Topic>, Refused>| match found {
            Ok(topic) if twice.contains(&*topic.name) => Err(named_twice()),
            found => found.clone(),
        };
        let asked = found.iter().map(once).collect();
        self.delete(asked, move |control, deleted| {
            let body = topics_deleted(&work, &found, &deleted);
            control.answer(&work, body);
        });
        Ok(())
    }

    pub(super) fn create_partitions(&mut self, work: Work) -> Result<(), DecodeError> {
        let request =
            create_partitions::Request::decode(&mut Reader::new(&work.body), work.version)?;
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
        let only_checked = request.validate_only;
        let answer = move |control: &mut Control, grown: Vec<Result<(), Refused>>| {
            let body = partitions_created(&work, &grown);
            control.answer(&work, body);
        };
        match only_checked {
            true => answer(self, asked.into_iter().map(|growth| growth.map(drop)).collect()),
            false => self.grow(asked, answer),
        }
        Ok(())
    }

    pub(super) fn delete_records(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = delete_records::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let mut asked = Vec::new();
        for topic in &request.topics {
            let found = self.cluster.by_name.get(topic.name);
            let partition = |index| found.and_then(|topic| topic.partition(index));
            asked.extend(topic.partitions.iter().map(|p| (partition(p.partition_index), p.offset)));
        }
        let trim = |store: &dyn LogStore, (partition, offset): (Option<PartitionId>, i64)| {
            let partition = partition.ok_or(StoreError::NotFound)?;
            store.trim(partition, offset)
        };
        self.with_files(
            move |store| asked.into_iter().map(|one| trim(store, one)).collect::<Vec<_>>(),
            move |control, trimmed| {
                let body = records_deleted(&work, &trimmed);
                control.answer(&work, body);
            },
        );
        Ok(())
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

/// The topics that a request wants deleted, by name or by id.
fn doomed<'a>(
    request: &'a delete_topics::Request<'a>,
) -> impl Iterator<Item = (Option<&'a str>, Uuid)> {
    let by_name = request.topic_names.iter().map(|name| (Some(*name), Uuid::nil()));
    by_name.chain(request.topics.iter().map(|topic| (topic.name, topic.topic_id)))
}

/// The answer to a request to delete topics, given which were found and what became of each.
fn topics_deleted(
    work: &Work,
    found: &[Result<Arc<Topic>, Refused>],
    deleted: &[Result<Arc<Topic>, Refused>],
) -> Result<Vec<u8>, DecodeError> {
    let request = delete_topics::Request::decode(&mut Reader::new(&work.body), work.version)?;
    let responses = doomed(&request)
        .zip(found)
        .zip(deleted)
        .map(|(((name, id), found), deleted)| delete_topics::Topic {
            name: found.as_ref().map_or(name, |topic| Some(&*topic.name)),
            topic_id: found.as_ref().map_or(id, |topic| topic.id),
            error_code: code_of(deleted),
            error_message: message_of(deleted),
        })
        .collect();
    Ok(encode(work.version, &delete_topics::Response { responses, ..Default::default() }))
}

/// The answer to a request for more partitions, given what became of each topic.
fn partitions_created(work: &Work, grown: &[Result<(), Refused>]) -> Result<Vec<u8>, DecodeError> {
    let request = create_partitions::Request::decode(&mut Reader::new(&work.body), work.version)?;
    let results = request
        .topics
        .iter()
        .zip(grown)
        .map(|(topic, grown)| create_partitions::Topic {
            name: topic.name,
            error_code: code_of(grown),
            error_message: message_of(grown),
        })
        .collect();
    Ok(encode(work.version, &create_partitions::Response { results, ..Default::default() }))
}

/// The answer to a request to delete records, given where each partition begins now.
fn records_deleted(
    work: &Work,
    trimmed: &[Result<i64, StoreError>],
) -> Result<Vec<u8>, DecodeError> {
    let request = delete_records::Request::decode(&mut Reader::new(&work.body), work.version)?;
    let mut trimmed = trimmed.iter();
    let mut partition = |asked: &delete_records::RequestPartition| {
        let (low_watermark, error_code) = match trimmed.next() {
            Some(Ok(log_start)) => (*log_start, ErrorCode::NONE),
            Some(Err(StoreError::NotFound)) => (-1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Some(Err(StoreError::OutOfRange { .. })) => (-1, ErrorCode::OFFSET_OUT_OF_RANGE),
            _ => (-1, ErrorCode::KAFKA_STORAGE_ERROR),
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
            partitions: topic.partitions.iter().map(&mut partition).collect(),
        })
        .collect();
    Ok(encode(work.version, &delete_records::Response { topics, ..Default::default() }))
}

/// The protocol's number for where a setting's value comes from.
pub(super) fn source_code(source: Source) -> i8 {
    match source {
        Source::Topic => describe_configs::TOPIC_CONFIG,
        Source::Broker => describe_configs::STATIC_BROKER_CONFIG,
        Source::Default => describe_configs::DEFAULT_CONFIG,
    }
}
