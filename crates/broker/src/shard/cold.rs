//! Requests a shard answers from the snapshot or the store, besides Produce and Fetch: versions,
//! metadata, offsets, coordinators. All others go to the control thread.

use chaski_kafka::{
    ApiKey, DecodeError, ErrorCode, Message, Reader, Writer, api_versions, describe_cluster,
    find_coordinator, frame_response, frame_response_with, list_offsets, offset_for_leader_epoch,
    produce,
};
use chaski_log::store::{OffsetQuery, PartitionId, StoreError};
use chaski_reactor::Io;

use super::connection::Answer;
use super::{Shard, Ticket};
use crate::metadata;

/// The epoch of the only leader there ever is.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The frame of a response whose body is encoded already.
pub(super) fn frame(ticket: Ticket, body: &[u8]) -> Vec<u8> {
    let raw = |w: &mut Writer| w.raw(body);
    frame_response_with(ticket.api, ticket.version, ticket.correlation_id, raw).into_bytes()
}

/// The answer to a version that is not served; None where the protocol names none.
///
/// An ApiVersions request of an unknown version is answered in version 0, so that the client can
/// learn what to speak (KIP-511). Produce is advertised from version 0 although it is served from
/// 3, so the older ones get their error in their own form.
pub(super) fn unsupported_version(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &[u8],
) -> Option<Answer> {
    match api {
        ApiKey::ApiVersions => {
            let response = api_versions::Response::unsupported_version();
            let frame = frame_response(api, 0, correlation_id, &response);
            Some(Answer::Frame(frame.into_bytes()))
        }
        ApiKey::Produce if (0..3).contains(&version) => old_produce(version, correlation_id, body),
        _ => None,
    }
}

fn old_produce(version: i16, correlation_id: i32, body: &[u8]) -> Option<Answer> {
    let request = produce::Request::decode(&mut Reader::new(body), version).ok()?;
    if request.acks == 0 {
        return Some(Answer::None);
    }
    let refuse = |partition: &produce::RequestPartition<'_>| produce::Partition {
        index: partition.index,
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        base_offset: -1,
        ..Default::default()
    };
    let topic =
        |topic: &produce::RequestTopic<'_>| topic.partition_data.iter().map(refuse).collect();
    let responses = request
        .topic_data
        .iter()
        .map(|t| produce::Topic { name: t.name, partition_responses: topic(t) })
        .collect();
    let response = produce::Response { responses, ..Default::default() };
    let frame = frame_response(ApiKey::Produce, version, correlation_id, &response);
    Some(Answer::Frame(frame.into_bytes()))
}

/// API number of SaslHandshake, which clients send before they ask what is served.
const SASL_HANDSHAKE: i16 = 17;

/// The answer to an API that is not served: an error code where nearly every response has one.
pub(super) fn unknown_api(api_key: i16, correlation_id: i32) -> Answer {
    let mut body = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes().to_vec();
    if api_key == SASL_HANDSHAKE {
        body.extend(0_i32.to_be_bytes());
    }
    let length = (4 + body.len()) as i32;
    let mut frame = Vec::with_capacity(4 + length as usize);
    frame.extend(length.to_be_bytes());
    frame.extend(correlation_id.to_be_bytes());
    frame.extend(body);
    Answer::Frame(frame)
}

impl Shard {
    /// Answers a request, or hands it to the control thread.
    pub(super) fn take_cold(
        &mut self,
        io: &mut Io<'_>,
        ticket: Ticket,
        client_id: &str,
        body: &[u8],
    ) -> Result<(), DecodeError> {
        let frame = match ticket.api {
            ApiKey::ApiVersions => encode(ticket, &api_versions::Response::advertised()),
            ApiKey::Metadata => match self.metadata(ticket, body)? {
                Some(frame) => frame,
                None => {
                    self.to_control(io, ticket, client_id, body);
                    return Ok(());
                }
            },
            ApiKey::ListOffsets => self.list_offsets(ticket, body)?,
            ApiKey::OffsetForLeaderEpoch => self.offset_for_leader_epoch(ticket, body)?,
            ApiKey::FindCoordinator => self.find_coordinator(ticket, body)?,
            ApiKey::DescribeCluster => self.describe_cluster(ticket),
            _ => {
                self.to_control(io, ticket, client_id, body);
                return Ok(());
            }
        };
        self.answer(io, ticket.conn, ticket.sequence, Answer::Frame(frame));
        Ok(())
    }

    /// None: topics must be made first, which the control thread does.
    fn metadata(&self, ticket: Ticket, body: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        let request =
            chaski_kafka::metadata::Request::decode(&mut Reader::new(body), ticket.version)?;
        let cluster = self.broker.cluster.load();
        if metadata::wants_creation(&self.broker, &cluster, &request) {
            return Ok(None);
        }
        Ok(Some(encode(
            ticket,
            &metadata::respond(&self.broker, &cluster, &request, ticket.version),
        )))
    }

    fn partition(&self, topic: &str, index: i32) -> Option<PartitionId> {
        self.broker.cluster.load().by_name.get(topic)?.partition(index)
    }

    fn list_offsets(&self, ticket: Ticket, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let request = list_offsets::Request::decode(&mut Reader::new(body), ticket.version)?;
        let topics = request
            .topics
            .iter()
            .map(|topic| list_offsets::Topic {
                name: topic.name,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|p| self.find_offset(topic.name, p))
                    .collect(),
            })
            .collect();
        Ok(encode(ticket, &list_offsets::Response { topics, ..Default::default() }))
    }

    fn find_offset(
        &self,
        topic: &str,
        asked: &list_offsets::RequestPartition,
    ) -> list_offsets::Partition {
        let mut answer = list_offsets::Partition {
            partition_index: asked.partition_index,
            ..Default::default()
        };
        let Some(partition) = self.partition(topic, asked.partition_index) else {
            answer.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return answer;
        };
        let query = match asked.timestamp {
            list_offsets::LATEST => OffsetQuery::Latest,
            list_offsets::EARLIEST | list_offsets::EARLIEST_LOCAL => OffsetQuery::Earliest,
            list_offsets::MAX_TIMESTAMP => OffsetQuery::MaxTimestamp,
            timestamp if timestamp < list_offsets::EARLIEST_LOCAL => {
                answer.error_code = ErrorCode::UNSUPPORTED_VERSION;
                return answer;
            }
            timestamp => OffsetQuery::AtOrAfter(timestamp),
        };
        match self.broker.store.find(partition, query) {
            Ok(Some(found)) => {
                answer.offset = found.offset;
                answer.timestamp = found.timestamp;
                answer.leader_epoch = LEADER_EPOCH;
            }
            // Nothing that young: offset -1 without an error.
            Ok(None) => {}
            Err(error) => answer.error_code = code_of(&error),
        }
        answer
    }

    fn offset_for_leader_epoch(&self, ticket: Ticket, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        use offset_for_leader_epoch::{Partition, Request, Response, Topic};
        let request = Request::decode(&mut Reader::new(body), ticket.version)?;
        let end_of = |topic: &str, index: i32, epoch: i32| {
            let Some(partition) = self.partition(topic, index) else {
                return (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1, -1);
            };
            match self.broker.store.offsets(partition) {
                Ok(offsets) if epoch == LEADER_EPOCH => {
                    (ErrorCode::NONE, LEADER_EPOCH, offsets.log_end)
                }
                Ok(_) => (ErrorCode::NONE, -1, -1),
                Err(error) => (code_of(&error), -1, -1),
            }
        };
        let topics = request
            .topics
            .iter()
            .map(|topic| Topic {
                topic: topic.topic,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|p| {
                        let (error_code, leader_epoch, end_offset) =
                            end_of(topic.topic, p.partition, p.leader_epoch);
                        Partition { error_code, partition: p.partition, leader_epoch, end_offset }
                    })
                    .collect(),
            })
            .collect();
        Ok(encode(ticket, &Response { topics, ..Default::default() }))
    }

    /// This broker coordinates every group; transactions have no coordinator yet.
    fn find_coordinator(&self, ticket: Ticket, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let request = find_coordinator::Request::decode(&mut Reader::new(body), ticket.version)?;
        let node = &self.broker.node;
        let (error_code, error_message) = match request.key_type {
            find_coordinator::GROUP => (ErrorCode::NONE, None),
            // The one code that clients take for final, and show with its message.
            find_coordinator::TRANSACTION => (
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                Some("transactions are not supported yet"),
            ),
            _ => (ErrorCode::INVALID_REQUEST, Some("unknown type of coordinator")),
        };
        let refused = error_code != ErrorCode::NONE;
        let (node_id, host, port) =
            if refused { (-1, "", -1) } else { (node.id, &*node.host, i32::from(node.port)) };
        let coordinators = request
            .coordinator_keys
            .iter()
            .map(|key| find_coordinator::Coordinator {
                key,
                node_id,
                host,
                port,
                error_code,
                error_message,
            })
            .collect();
        let response = find_coordinator::Response {
            error_code,
            error_message,
            node_id,
            host,
            port,
            coordinators,
            ..Default::default()
        };
        Ok(encode(ticket, &response))
    }

    fn describe_cluster(&self, ticket: Ticket) -> Vec<u8> {
        let node = &self.broker.node;
        let broker = describe_cluster::Broker {
            broker_id: node.id,
            host: &node.host,
            port: i32::from(node.port),
            ..Default::default()
        };
        let response = describe_cluster::Response {
            cluster_id: &self.broker.cluster_id,
            controller_id: node.id,
            brokers: vec![broker],
            ..Default::default()
        };
        encode(ticket, &response)
    }
}

fn encode<'a>(ticket: Ticket, response: &impl Message<'a>) -> Vec<u8> {
    frame_response(ticket.api, ticket.version, ticket.correlation_id, response).into_bytes()
}

fn code_of(error: &StoreError) -> ErrorCode {
    match error {
        StoreError::NotFound => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        StoreError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        StoreError::Corrupt(_) => ErrorCode::CORRUPT_MESSAGE,
        _ => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}
