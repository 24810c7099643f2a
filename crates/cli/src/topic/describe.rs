//! `chaski topic describe`.

use chaski_kafka::describe_configs::{
    self, DEFAULT_CONFIG, DYNAMIC_BROKER_CONFIG, DYNAMIC_DEFAULT_BROKER_CONFIG,
    STATIC_BROKER_CONFIG, TOPIC, TOPIC_CONFIG,
};
use chaski_kafka::list_offsets::{EARLIEST, LATEST};
use serde::Serialize;

use crate::args::TopicDescribe;
use crate::client::{Client, ClientError, Refusal, TopicInfo};
use crate::failure::Failure;
use crate::output::{self, Described, Row, or_dash};
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct Description {
    name: String,
    id: String,
    records: Option<i64>,
    partitions: Vec<Partition>,
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: i32,
    earliest: Option<i64>,
    latest: Option<i64>,
    records: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: String,
    value: Option<String>,
    /// topic, broker or default.
    source: &'static str,
    doc: Option<String>,
}

pub(super) fn run(args: &TopicDescribe) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    let topic = client.topic(&args.name)?;
    let partitions = partitions(&mut client, &topic)?;
    let settings = settings(&mut client, &args.name, args.all)?;
    let description = Description {
        name: topic.name,
        id: topic.id.to_string(),
        records: partitions.iter().map(|partition| partition.records).sum(),
        partitions,
        settings,
    };
    output::describe(args.output.output, &description)
}

fn partitions(client: &mut Client, topic: &TopicInfo) -> Result<Vec<Partition>, ClientError> {
    let earliest = client.offsets(topic.keys(), EARLIEST)?;
    let latest = client.offsets(topic.keys(), LATEST)?;
    let describe = |key: (String, i32)| {
        let (earliest, latest) = (earliest.get(&key).copied(), latest.get(&key).copied());
        let records = latest.zip(earliest).map(|(latest, earliest)| latest - earliest);
        Partition { partition: key.1, earliest, latest, records }
    };
    Ok(topic.keys().map(describe).collect())
}

fn settings(client: &mut Client, topic: &str, all: bool) -> Result<Vec<Setting>, ClientError> {
    let asked = describe_configs::RequestResource {
        resource_type: TOPIC,
        resource_name: topic,
        configuration_keys: None,
    };
    let request = describe_configs::Request {
        resources: vec![asked],
        include_documentation: all,
        ..Default::default()
    };
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let Some(resource) = response.results.first() else { return Ok(Vec::new()) };
    Refusal::check(resource.error_code, resource.error_message)?;
    Ok(resource
        .configs
        .iter()
        .filter(|config| all || config.config_source != DEFAULT_CONFIG)
        .map(|config| Setting {
            name: config.name.to_owned(),
            value: config.value.map(str::to_owned),
            source: source(config.config_source),
            doc: config.documentation.map(str::to_owned),
        })
        .collect())
}

fn source(code: i8) -> &'static str {
    match code {
        TOPIC_CONFIG => "topic",
        DYNAMIC_BROKER_CONFIG | DYNAMIC_DEFAULT_BROKER_CONFIG | STATIC_BROKER_CONFIG => "broker",
        DEFAULT_CONFIG => "default",
        _ => "unknown",
    }
}

impl Described for Description {
    fn describe(&self) -> String {
        let Description { name, id, records, partitions, settings } = self;
        let settings = match settings.is_empty() {
            true => "All settings have their default; --all lists them.\n".to_owned(),
            false => output::table(settings),
        };
        format!(
            "topic    {name}\nid       {id}\nrecords  {}\n\n{}\n{settings}",
            or_dash(*records),
            output::table(partitions),
        )
    }
}

impl Row for Partition {
    const COLUMNS: &'static [Column] =
        &[number("PARTITION"), number("EARLIEST"), number("LATEST"), number("RECORDS")];

    fn cells(&self) -> Vec<String> {
        vec![
            self.partition.to_string(),
            or_dash(self.earliest),
            or_dash(self.latest),
            or_dash(self.records),
        ]
    }
}

impl Row for Setting {
    const COLUMNS: &'static [Column] = &[text("SETTING"), text("VALUE"), text("SOURCE"), text("")];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            or_dash(self.value.as_ref()),
            self.source.to_owned(),
            self.doc.clone().unwrap_or_default(),
        ]
    }
}
