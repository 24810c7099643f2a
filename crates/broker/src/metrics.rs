//! Counters and the text Prometheus reads.
//!
//! A shard's counters are written by that shard alone, with a plain load and store, and read by
//! anyone; the scrape adds them up. Names and meanings are in [`render`], once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chaski_kafka::ApiKey;
use chaski_reactor::{Reactor, Stats};

use crate::Broker;
use crate::client::InsideStats;
use crate::groups::{Counts, State};

/// A count with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds `n`; only the owner may call this.
    pub(crate) fn add(&self, n: u64) {
        // ORDERING: one writer, and readers want a recent value of this count alone.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count as of about now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// API keys a request may have: the table of counts is indexed by them.
const API_KEYS: usize = 128;

/// Requests by API key.
#[derive(Debug)]
pub(crate) struct ByApi(Box<[Count]>);

impl Default for ByApi {
    fn default() -> Self {
        ByApi((0..API_KEYS).map(|_| Count::default()).collect())
    }
}

impl ByApi {
    pub(crate) fn count(&self, api: ApiKey) {
        if let Some(count) = self.0.get(api as usize) {
            count.add(1);
        }
    }

    fn get(&self, api: ApiKey) -> u64 {
        self.0.get(api as usize).map_or(0, Count::get)
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub(crate) struct ShardStats {
    pub(crate) requests: ByApi,
    pub(crate) malformed: Count,
    pub(crate) produced_records: Count,
    pub(crate) produced_batches: Count,
    pub(crate) produced_bytes: Count,
    pub(crate) produce_errors: Count,
    pub(crate) fetched_bytes: Count,
}

/// A shard as the scrape sees it.
#[derive(Debug)]
pub(crate) struct ShardView {
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) reactor: Arc<Stats>,
}

impl ShardView {
    /// What the shard that runs on this reactor will count.
    pub(crate) fn of<M: Send + 'static>(reactor: &Reactor<M>) -> ShardView {
        ShardView { stats: Arc::default(), reactor: reactor.stats() }
    }
}

/// Writes families of samples in the Prometheus text format.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v))).collect();
            let _ = write!(self.0, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All metrics as text (exposition format 0.0.4).
pub(crate) fn render(broker: &Broker, shards: &[ShardView]) -> String {
    let mut text = Text(String::with_capacity(8192));
    render_totals(&mut text, shards);
    render_inside(&mut text, &broker.inside);
    render_requests(&mut text, shards);
    render_shards(&mut text, shards);
    render_partitions(&mut text, broker);
    render_groups(&mut text, &broker.groups.load());
    text.family("chaski_build_info", "gauge", "Always 1; the version is in the label.");
    text.sample("chaski_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.0
}

type Total = (&'static str, &'static str, fn(&ShardStats) -> u64);

const TOTALS: &[Total] = &[
    ("chaski_produce_records_total", "Records received from producers.", |s| {
        s.produced_records.get()
    }),
    ("chaski_produce_batches_total", "Record batches received from producers.", |s| {
        s.produced_batches.get()
    }),
    ("chaski_produce_bytes_total", "Bytes of record batches received from producers.", |s| {
        s.produced_bytes.get()
    }),
    ("chaski_produce_errors_total", "Record batches refused or failed.", |s| {
        s.produce_errors.get()
    }),
    ("chaski_fetch_bytes_total", "Bytes of record batches sent to consumers.", |s| {
        s.fetched_bytes.get()
    }),
    ("chaski_malformed_requests_total", "Connections closed because they made no sense.", |s| {
        s.malformed.get()
    }),
];

fn render_totals(text: &mut Text, shards: &[ShardView]) {
    for (name, help, read) in TOTALS {
        text.family(name, "counter", help);
        text.sample(name, &[], shards.iter().map(|s| read(&s.stats)).sum::<u64>());
    }
}

type Inside = (&'static str, &'static str, fn(&InsideStats) -> u64);

const INSIDE: &[Inside] = &[
    ("chaski_inside_produce_records_total", "Records produced inside the process.", |s| {
        s.produced_records.get()
    }),
    ("chaski_inside_produce_batches_total", "Record batches produced inside the process.", |s| {
        s.produced_batches.get()
    }),
    ("chaski_inside_produce_bytes_total", "Bytes of these batches.", |s| s.produced_bytes.get()),
    ("chaski_inside_produce_errors_total", "Batches from inside refused or failed.", |s| {
        s.produce_errors.get()
    }),
    ("chaski_inside_read_bytes_total", "Bytes of batches read inside the process.", |s| {
        s.read_bytes.get()
    }),
];

fn render_inside(text: &mut Text, inside: &InsideStats) {
    for (name, help, read) in INSIDE {
        text.family(name, "counter", help);
        text.sample(name, &[], read(inside));
    }
}

fn render_requests(text: &mut Text, shards: &[ShardView]) {
    let name = "chaski_requests_total";
    text.family(name, "counter", "Requests by Kafka API.");
    for range in chaski_kafka::served() {
        let sum: u64 = shards.iter().map(|s| s.stats.requests.get(range.api)).sum();
        text.sample(name, &[("api", range.api.name())], sum);
    }
}

type ShardSample = (&'static str, &'static str, &'static str, fn(&Stats) -> f64);

const SHARD_SAMPLES: &[ShardSample] = &[
    ("chaski_shard_connections", "gauge", "Client connections of a shard.", |s| {
        s.connections.load(Ordering::Relaxed) as f64
    }),
    ("chaski_shard_accepted_total", "counter", "Client connections a shard was given.", |s| {
        s.accepted.load(Ordering::Relaxed) as f64
    }),
    ("chaski_shard_turns_total", "counter", "Turns of a shard's event loop.", |s| {
        s.turns.load(Ordering::Relaxed) as f64
    }),
    ("chaski_shard_received_bytes_total", "counter", "Bytes a shard read from clients.", |s| {
        s.bytes_in.load(Ordering::Relaxed) as f64
    }),
    ("chaski_shard_sent_bytes_total", "counter", "Bytes a shard wrote to clients.", |s| {
        s.bytes_out.load(Ordering::Relaxed) as f64
    }),
    ("chaski_shard_busy_seconds_total", "counter", "Time a shard was not asleep.", |s| {
        s.busy_ns.load(Ordering::Relaxed) as f64 / 1e9
    }),
];

fn render_shards(text: &mut Text, shards: &[ShardView]) {
    for (name, kind, help, read) in SHARD_SAMPLES {
        text.family(name, kind, help);
        for (i, shard) in shards.iter().enumerate() {
            text.sample(name, &[("shard", &i.to_string())], read(&shard.reactor));
        }
    }
}

fn render_partitions(text: &mut Text, broker: &Broker) {
    let cluster = broker.cluster.load();
    text.family("chaski_topics", "gauge", "Topics.");
    text.sample("chaski_topics", &[], cluster.by_name.len());
    text.family("chaski_partitions", "gauge", "Partitions of all topics.");
    text.sample("chaski_partitions", &[], cluster.partitions);
    let mut rows = Vec::new();
    for topic in cluster.by_name.values() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if let Ok(stats) = broker.store.stats(*partition) {
                rows.push((topic.name.clone(), index.to_string(), stats));
            }
        }
    }
    let mut gauge =
        |name: &str, help: &str, read: &dyn Fn(&chaski_log::store::PartitionStats) -> i64| {
            text.family(name, "gauge", help);
            for (topic, index, stats) in &rows {
                text.sample(name, &[("topic", topic), ("partition", index)], read(stats));
            }
        };
    gauge("chaski_partition_log_start_offset", "Oldest offset kept.", &|s| s.offsets.log_start);
    gauge("chaski_partition_high_watermark", "First offset consumers may not read yet.", &|s| {
        s.offsets.high_watermark
    });
    gauge("chaski_partition_log_end_offset", "Offset the next record gets.", &|s| {
        s.offsets.log_end
    });
    gauge("chaski_partition_bytes", "Bytes of record batches kept.", &|s| s.bytes as i64);
    gauge("chaski_partition_segments", "Segment files.", &|s| s.segments as i64);
    gauge("chaski_partition_unflushed_bytes", "Bytes not yet known to be on disk.", &|s| {
        s.unflushed_bytes as i64
    });
    gauge("chaski_partition_damaged", "Damaged stretches found.", &|s| s.damaged.len() as i64);
    gauge("chaski_partition_failed", "1: closed for writing after a failed fdatasync.", &|s| {
        i64::from(s.failed.is_some())
    });
}

fn render_groups(text: &mut Text, counts: &Counts) {
    text.family("chaski_groups", "gauge", "Consumer groups by state.");
    for (state, count) in State::ALL.iter().zip(counts.groups) {
        // A dead group is one that is not there.
        if *state != State::Dead {
            text.sample("chaski_groups", &[("state", state.name())], count);
        }
    }
    text.family("chaski_group_members", "gauge", "Members of all consumer groups.");
    text.sample("chaski_group_members", &[], counts.members);
    text.family("chaski_group_offsets", "gauge", "Partitions with an offset a group committed.");
    text.sample("chaski_group_offsets", &[], counts.offsets);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = Text(String::new());
        text.sample("m", &[("topic", "a\"b\\c")], 3);
        assert_eq!(text.0, "m{topic=\"a\\\"b\\\\c\"} 3\n");
    }
}
