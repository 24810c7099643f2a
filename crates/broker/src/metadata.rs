//! Metadata responses, made from the snapshot: by shards at once, by the control thread after it
//! has made the topics a client asked for.

use std::collections::HashSet;
use std::sync::Arc;

use chaski_kafka::ErrorCode;
use chaski_kafka::metadata::{
    Broker as Node, OPERATIONS_NOT_ASKED, Partition, Request, RequestTopic, Response,
    Topic as TopicAnswer,
};
use uuid::Uuid;

use crate::Broker;
use crate::cluster::{Cluster, Topic, is_topic_name};
use crate::shard::LEADER_EPOCH;

/// Version from which a null list of topics means all, and an empty one none.
const NULL_MEANS_ALL_FROM: i16 = 1;

/// What anyone may do while there are no ACLs: every operation a topic or cluster knows.
const TOPIC_OPERATIONS: i32 = 0b0000_1101_1111_1000;
const CLUSTER_OPERATIONS: i32 = 0b0001_1111_1010_0000;

/// Topics that the request names, does not find, and wants made, where the broker makes any for
/// being asked; each as often as it is named.
pub(crate) fn missing<'a>(
    broker: &Broker,
    cluster: &'a Cluster,
    request: &'a Request<'_>,
) -> impl Iterator<Item = &'a str> {
    let wanted = broker.auto_create && request.allow_auto_topic_creation;
    request
        .topics
        .iter()
        .flatten()
        .filter(move |_| wanted)
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| topic.name)
        .filter(|name| is_topic_name(name) && !cluster.by_name.contains_key(*name))
}

/// Whether topics must be made before this request is answered.
pub(crate) fn wants_creation(broker: &Broker, cluster: &Cluster, request: &Request<'_>) -> bool {
    missing(broker, cluster, request).next().is_some()
}

/// The answer to a metadata request.
pub(crate) fn respond<'a>(
    broker: &'a Broker,
    cluster: &'a Cluster,
    request: &'a Request<'a>,
    version: i16,
) -> Response<'a> {
    let with_operations = request.include_topic_authorized_operations;
    let known = |topic: &'a Arc<Topic>| describe(broker, topic, with_operations);
    let mut seen = HashSet::new();
    let topics = match &request.topics {
        Some(topics) if version >= NULL_MEANS_ALL_FROM || !topics.is_empty() => topics
            .iter()
            .filter(|asked| seen.insert(identity(asked)))
            .map(|asked| match find(cluster, asked) {
                Some(topic) => known(topic),
                None => unknown(asked),
            })
            .collect(),
        _ => cluster.by_name.values().map(known).collect(),
    };
    Response {
        brokers: vec![Node {
            node_id: broker.node.id,
            host: &broker.node.host,
            port: i32::from(broker.node.port),
            rack: None,
        }],
        cluster_id: Some(&broker.cluster_id),
        controller_id: broker.node.id,
        topics,
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => OPERATIONS_NOT_ASKED,
        },
        ..Default::default()
    }
}

/// What a topic is asked about by. However often that is, one answer will do: a short request must
/// not have a long one.
fn identity<'a>(asked: &RequestTopic<'a>) -> (Option<&'a str>, Uuid) {
    match asked.name {
        Some(name) => (Some(name), Uuid::nil()),
        None => (None, asked.topic_id),
    }
}

fn find<'a>(cluster: &'a Cluster, asked: &RequestTopic<'_>) -> Option<&'a Arc<Topic>> {
    match asked.name {
        Some(name) => cluster.by_name.get(name),
        None => cluster.by_id.get(&asked.topic_id),
    }
}

fn describe<'a>(broker: &Broker, topic: &'a Topic, with_operations: bool) -> TopicAnswer<'a> {
    let node = broker.node.id;
    let partition = |index: usize| Partition {
        partition_index: index as i32,
        leader_id: node,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        ..Default::default()
    };
    TopicAnswer {
        error_code: ErrorCode::NONE,
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: false,
        partitions: (0..topic.partitions.len()).map(partition).collect(),
        topic_authorized_operations: match with_operations {
            true => TOPIC_OPERATIONS,
            false => OPERATIONS_NOT_ASKED,
        },
    }
}

fn unknown<'a>(asked: &RequestTopic<'a>) -> TopicAnswer<'a> {
    let error_code = match asked.name {
        Some(name) if !is_topic_name(name) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        Some(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        None => ErrorCode::UNKNOWN_TOPIC_ID,
    };
    TopicAnswer { error_code, name: asked.name, topic_id: asked.topic_id, ..Default::default() }
}
