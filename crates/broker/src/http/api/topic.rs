//! One topic: its partitions, its settings, the groups that read it.

use axum::Json;
use axum::extract::Path;
use serde::Serialize;

use super::config::Told;
use crate::Client;
use crate::client::{ClientError, PartitionStats};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::Answer;
use crate::http::extract::Live;

const DESCRIBE: Endpoint = Endpoint::get("/api/topics/{topic}", "A topic.").answer(
    "{name, id, partitions:[{partition, log_start, high_watermark, log_end, bytes, segments, \
     unflushed_bytes, damaged (stretches), failed: why it is closed for writing or null}], \
     settings:[{name, value, default, source: \"topic\"|\"broker\"|\"default\", doc}], \
     groups:[{group, lag (null: not known)}]}",
);

pub(super) fn add(all: &mut Endpoints) {
    all.add(DESCRIBE, describe);
}

#[derive(Serialize)]
struct Description {
    name: String,
    id: String,
    partitions: Vec<Partition>,
    settings: Vec<Told>,
    groups: Vec<Reader>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    log_start: i64,
    high_watermark: i64,
    log_end: i64,
    bytes: u64,
    segments: usize,
    unflushed_bytes: u64,
    damaged: usize,
    failed: Option<String>,
}

#[derive(Serialize)]
struct Reader {
    group: String,
    lag: Option<i64>,
}

impl Partition {
    fn new(partition: i32, stats: PartitionStats) -> Partition {
        Partition {
            partition,
            log_start: stats.offsets.log_start,
            high_watermark: stats.offsets.high_watermark,
            log_end: stats.offsets.log_end,
            bytes: stats.bytes,
            segments: stats.segments,
            unflushed_bytes: stats.unflushed_bytes,
            damaged: stats.damaged.len(),
            failed: stats.failed.map(|fault| fault.to_string()),
        }
    }
}

async fn describe(live: Live, Path(name): Path<String>) -> Answer<Description> {
    let mut told = {
        let name = name.clone();
        live.run(move |client| look(client, &name)).await?
    };
    if let Ok(seen) = live.view.lags.fresh(&live).await {
        let reader = |(group, lag): (&str, _)| Reader { group: group.to_owned(), lag };
        told.groups = seen.groups_of(&name).map(reader).collect();
    }
    Ok(Json(told))
}

fn look(client: &Client, name: &str) -> Result<Description, ClientError> {
    let settings = client.topic_settings(name)?;
    let topic = client.topic(name);
    let count = topic.as_ref().map_or(0, |topic| topic.partitions()) as i32;
    let partition = |at| client.stats(name, at).map(|stats| Partition::new(at, stats));
    Ok(Description {
        name: name.to_owned(),
        id: topic.map(|topic| topic.id().to_string()).unwrap_or_default(),
        partitions: (0..count).map(partition).collect::<Result<_, _>>()?,
        settings: settings.into_iter().map(Told::from).collect(),
        groups: Vec::new(),
    })
}
