//! What the JSON API tells, as far as it is shown. A field that an answer lacks is not known.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) version: String,
    pub(super) uptime_s: f64,
    pub(super) partitions: Option<u64>,
    pub(super) connections: Option<u64>,
    pub(super) rates: Rates,
    pub(super) latency: Vec<Latency>,
    pub(super) disk: Disk,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rates {
    pub(super) in_records_s: Option<f64>,
    pub(super) in_bytes_s: Option<f64>,
    pub(super) out_bytes_s: Option<f64>,
    pub(super) requests_s: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) path: String,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) count: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Disk {
    pub(super) free_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) severity: String,
    pub(super) what: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topics {
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: u64,
    pub(super) records: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) in_records_s: Option<f64>,
    pub(super) groups: Option<u64>,
    pub(super) lag: Option<i64>,
    pub(super) problems: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    pub(super) group: String,
    pub(super) state: String,
    pub(super) members: Value,
    pub(super) topics: Value,
    pub(super) lag: Option<i64>,
    pub(super) problems: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sockets {
    pub(super) sockets: Vec<Socket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Socket {
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) endpoints: Vec<String>,
    pub(super) messages_in: Option<u64>,
    pub(super) messages_out: Option<u64>,
    pub(super) drops: Option<u64>,
    pub(super) peers: Vec<Peer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Peer {
    pub(super) queued: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rings {
    pub(super) rings: Vec<Ring>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ring {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) pid: u32,
    pub(super) program: Option<String>,
    pub(super) answered: bool,
    pub(super) generation: String,
    pub(super) clients: Vec<Client>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Client {
    pub(super) slot: u64,
    pub(super) pid: u64,
    pub(super) alive: bool,
    pub(super) fill: u64,
    pub(super) capacity: u64,
    pub(super) waiting: u64,
    pub(super) stalls: u64,
    pub(super) wakes: u64,
    pub(super) drops: u64,
    #[serde(rename = "in")]
    pub(super) taken: u64,
    pub(super) out: u64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shards {
    pub(super) shards: Vec<Shard>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shard {
    pub(super) shard: u64,
    pub(super) connections: Option<u64>,
    /// A share of 1.
    pub(super) busy: Option<f64>,
    pub(super) turns_s: Option<f64>,
    pub(super) bytes_in_s: Option<f64>,
    pub(super) bytes_out_s: Option<f64>,
    pub(super) depth: Option<u64>,
    pub(super) moves: Option<u64>,
}

/// How many: a number, or as many as are listed.
pub(super) fn how_many(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_array().map(|list| list.len() as u64))
}

/// What is wrong, in words: texts, or objects that say `what`.
pub(super) fn words(problems: &[Value]) -> Vec<String> {
    let word = |problem: &Value| {
        let text = problem.as_str().or_else(|| problem["what"].as_str());
        text.map_or_else(|| problem.to_string(), str::to_owned)
    };
    problems.iter().map(word).collect()
}
