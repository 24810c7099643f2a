//! `chaski topic delete`.

use chaski_kafka::list_offsets::{EARLIEST, LATEST};
use chaski_kafka::{ApiKey, delete_topics};

use crate::args::TopicDelete;
use crate::client::{Client, ClientError, REQUEST_MS, Refusal, TopicInfo};
use crate::failure::Failure;
use crate::output::{count, say};
use crate::question;

/// First version of DeleteTopics that names topics by id or name.
const BY_ID_FROM: i16 = 6;

pub(super) fn run(args: &TopicDelete) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    // A wrong name among them is found before anything is deleted.
    let topics: Vec<TopicInfo> =
        args.names.iter().map(|name| client.topic(name)).collect::<Result<_, _>>()?;
    if !args.yes && question::can_ask() {
        for topic in &topics {
            say(&summary(&mut client, topic)?)?;
        }
        let what = count(topics.len() as u64, "topic");
        if !question::ask(&format!("Delete {what} with all records?"))? {
            return say("nothing was deleted");
        }
    }
    for (name, deleted) in delete(&mut client, &args.names)? {
        match deleted {
            Ok(()) => say(&format!("deleted topic `{name}`"))?,
            Err(refusal) => {
                return Err(Failure::because(format!("topic `{name}` was not deleted"), &refusal));
            }
        }
    }
    Ok(())
}

fn summary(client: &mut Client, topic: &TopicInfo) -> Result<String, ClientError> {
    let total = |offsets: crate::client::Offsets| offsets.values().sum::<i64>();
    let latest = total(client.offsets(topic.keys(), LATEST)?);
    let earliest = total(client.offsets(topic.keys(), EARLIEST)?);
    let records = u64::try_from(latest - earliest).unwrap_or(0);
    Ok(format!(
        "{}: {}, {}",
        topic.name,
        count(topic.partitions.len() as u64, "partition"),
        count(records, "record")
    ))
}

/// What became of each topic.
type Deleted = Vec<(String, Result<(), Refusal>)>;

fn delete(client: &mut Client, names: &[String]) -> Result<Deleted, ClientError> {
    let mut request = delete_topics::Request { timeout_ms: REQUEST_MS, ..Default::default() };
    if client.version(ApiKey::DeleteTopics)? >= BY_ID_FROM {
        let named = |name| delete_topics::RequestTopic { name: Some(name), ..Default::default() };
        request.topics = names.iter().map(|name| named(name.as_str())).collect();
    } else {
        request.topic_names = names.iter().map(String::as_str).collect();
    }
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let outcome = |topic: &delete_topics::Topic<'_>| {
        let name = topic.name.unwrap_or_default().to_owned();
        (name, Refusal::check(topic.error_code, topic.error_message))
    };
    Ok(response.responses.iter().map(outcome).collect())
}
