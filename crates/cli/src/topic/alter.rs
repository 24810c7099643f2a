//! `chaski topic alter`.

use chaski_kafka::describe_configs::TOPIC;
use chaski_kafka::incremental_alter_configs::{self as alter, DELETE, SET};
use chaski_kafka::{ErrorCode, create_partitions};

use crate::args::TopicAlter;
use crate::client::{Client, ClientError, REQUEST_MS, Refusal};
use crate::failure::Failure;
use crate::output::{count, say};

pub(super) fn run(args: &TopicAlter) -> Result<(), Failure> {
    let name = &args.name;
    let mut client = Client::connect(&args.broker.broker)?;
    let topic = client.topic(name)?;
    let changes = changes(args);
    if !changes.is_empty() {
        // What the broker would refuse is found before the partitions are changed for good.
        configure(&mut client, name, &changes, true)?.map_err(|e| explain(name, &e))?;
    }
    if let Some(partitions) = args.partitions {
        grow(&mut client, name, partitions)?.map_err(|e| explain(name, &e))?;
        let (now, before) = (count(partitions.unsigned_abs(), "partition"), topic.partitions.len());
        say(&format!("topic `{name}` has {now}, {before} before"))?;
    }
    if !changes.is_empty() {
        configure(&mut client, name, &changes, false)?.map_err(|e| explain(name, &e))?;
        for change in &changes {
            say(&match change.value {
                Some(value) => format!("set {} to {value}", change.name),
                None => format!("{} has its default again", change.name),
            })?;
        }
    }
    Ok(())
}

fn changes(args: &TopicAlter) -> Vec<alter::Config<'_>> {
    let set = args.set.iter().map(|(name, value)| alter::Config {
        name,
        config_operation: SET,
        value: Some(value),
    });
    let unset =
        args.unset.iter().map(|name| alter::Config { name, config_operation: DELETE, value: None });
    set.chain(unset).collect()
}

fn configure(
    client: &mut Client,
    topic: &str,
    changes: &[alter::Config<'_>],
    validate_only: bool,
) -> Result<Result<(), Refusal>, ClientError> {
    let resource = alter::RequestResource {
        resource_type: TOPIC,
        resource_name: topic,
        configs: changes.to_vec(),
    };
    let request = alter::Request { resources: vec![resource], validate_only };
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let refusal = |r: &alter::Resource<'_>| Refusal::check(r.error_code, r.error_message);
    Ok(response.responses.iter().try_for_each(refusal))
}

fn grow(client: &mut Client, topic: &str, count: i32) -> Result<Result<(), Refusal>, ClientError> {
    let topic = create_partitions::RequestTopic { name: topic, count, assignments: None };
    let request = create_partitions::Request {
        topics: vec![topic],
        timeout_ms: REQUEST_MS,
        ..Default::default()
    };
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let refusal = |t: &create_partitions::Topic<'_>| Refusal::check(t.error_code, t.error_message);
    Ok(response.results.iter().try_for_each(refusal))
}

fn explain(name: &str, refusal: &Refusal) -> Failure {
    let failure = Failure::because(format!("topic `{name}` was not altered"), refusal);
    match refusal.code {
        ErrorCode::INVALID_CONFIG => {
            failure.hint(format!("`chaski topic describe {name} --all` lists every setting"))
        }
        ErrorCode::INVALID_PARTITIONS => failure
            .hint("partitions can only be added: fewer would lose records, and keys their place"),
        _ => failure,
    }
}
