//! `chaski topic create`.

use chaski_kafka::{ErrorCode, create_topics};

use crate::args::TopicCreate;
use crate::client::{Client, ClientError, REQUEST_MS, Refusal};
use crate::failure::Failure;
use crate::output::{count, say};

/// As many as the broker makes of its own accord.
const BY_DEFAULT: i32 = -1;

pub(super) fn run(args: &TopicCreate) -> Result<(), Failure> {
    let name = &args.name;
    let mut client = Client::connect(&args.broker.broker)?;
    match create(&mut client, args)? {
        Ok(Some(partitions)) => {
            say(&format!("created topic `{name}` with {}", count(partitions, "partition")))
        }
        Ok(None) => say(&format!("created topic `{name}`")),
        Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS && args.if_not_exists => {
            say(&format!("topic `{name}` exists already, and is left as it is"))
        }
        Err(refusal) => Err(explain(name, &refusal)),
    }
}

/// Creates the topic. The number of its partitions, if the broker is new enough to say.
fn create(
    client: &mut Client,
    args: &TopicCreate,
) -> Result<Result<Option<u32>, Refusal>, ClientError> {
    let topic = create_topics::RequestTopic {
        name: &args.name,
        num_partitions: args.partitions.unwrap_or(BY_DEFAULT),
        replication_factor: BY_DEFAULT as i16,
        configs: args
            .configs
            .iter()
            .map(|(name, value)| create_topics::RequestConfig { name, value: Some(value) })
            .collect(),
        ..Default::default()
    };
    let request = create_topics::Request {
        topics: vec![topic],
        timeout_ms: REQUEST_MS,
        ..Default::default()
    };
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let Some(topic) = response.topics.first() else { return Ok(Ok(None)) };
    let created = Refusal::check(topic.error_code, topic.error_message);
    Ok(created.map(|()| u32::try_from(topic.num_partitions).ok()))
}

fn explain(name: &str, refusal: &Refusal) -> Failure {
    let failure = Failure::because(format!("topic `{name}` was not created"), refusal);
    match refusal.code {
        ErrorCode::TOPIC_ALREADY_EXISTS => {
            failure.hint("`--if-not-exists` takes it as it is; `chaski topic alter` changes it")
        }
        ErrorCode::INVALID_CONFIG => {
            failure.hint("`chaski topic describe NAME --all` lists every setting of a topic")
        }
        ErrorCode::INVALID_TOPIC_EXCEPTION => failure
            .hint("a name has 1 to 249 letters, digits, `.`, `_` and `-`, and is not `.` or `..`"),
        _ => failure,
    }
}
