//! `chaski topic list`.

use chaski_kafka::list_offsets::{EARLIEST, LATEST};
use serde::Serialize;

use crate::args::TopicList;
use crate::client::{Client, ClientError, TopicInfo};
use crate::failure::Failure;
use crate::output::{self, Row, or_dash};
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    partitions: usize,
    /// None if a partition could not tell.
    records: Option<i64>,
    id: String,
}

impl Row for Listed {
    const COLUMNS: &'static [Column] =
        &[text("TOPIC"), number("PARTITIONS"), number("RECORDS"), text("ID")];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.partitions.to_string(), or_dash(self.records), self.id.clone()]
    }
}

pub(super) fn run(args: &TopicList) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    output::list(args.output.output, &gather(&mut client)?)
}

fn gather(client: &mut Client) -> Result<Vec<Listed>, ClientError> {
    let topics = client.topics()?;
    let partitions = || topics.iter().flat_map(TopicInfo::keys);
    let earliest = client.offsets(partitions(), EARLIEST)?;
    let latest = client.offsets(partitions(), LATEST)?;
    let records = |topic: &TopicInfo| -> Option<i64> {
        topic.keys().map(|key| Some(latest.get(&key)? - earliest.get(&key)?)).sum()
    };
    Ok(topics
        .iter()
        .map(|topic| Listed {
            name: topic.name.clone(),
            partitions: topic.partitions.len(),
            records: records(topic),
            id: topic.id.to_string(),
        })
        .collect())
}
