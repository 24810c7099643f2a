//! The text Prometheus reads (exposition format 0.0.4), written by hand: a sample is a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chaski_log::store::PartitionStats;

use super::histogram::Latency;
use super::values::{Latencies, LocalReads, Metrics, ShardMetrics, Traffic};
use crate::Broker;
use crate::gateway::{GatewayState, GatewayStatus};

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

/// All metrics as text.
pub(crate) fn render(broker: &Broker) -> String {
    let metrics = Metrics::of(broker);
    let mut text = Text(String::with_capacity(16 << 10));
    render_traffic(&mut text, TRAFFIC, &metrics.clients);
    render_traffic(&mut text, INSIDE, &metrics.inside);
    render_traffic(&mut text, LOCAL, &metrics.local);
    let name = "chaski_local_producers";
    text.family(name, "gauge", "Processes of this machine that produce through shared memory.");
    text.sample(name, &[], metrics.local_producers);
    render_local_reads(&mut text, broker, &metrics.local_reads);
    let name = "chaski_malformed_requests_total";
    text.family(name, "counter", "Connections closed because they made no sense.");
    text.sample(name, &[], metrics.malformed_requests);
    render_requests(&mut text, &metrics);
    render_shards(&mut text, &metrics.shards);
    render_latency(&mut text, &metrics.latency);
    render_partitions(&mut text, broker, &metrics);
    render_groups(&mut text, &metrics);
    render_gateways(&mut text, &broker.gateways.statuses(broker));
    text.family("chaski_build_info", "gauge", "Always 1; the version is in the label.");
    text.sample("chaski_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.0
}

type Total = (&'static str, &'static str, fn(&Traffic) -> u64);

const TRAFFIC: &[Total] = &[
    ("chaski_produce_records_total", "Records received from producers.", |t| t.produced_records),
    ("chaski_produce_batches_total", "Record batches received from producers.", |t| {
        t.produced_batches
    }),
    ("chaski_produce_bytes_total", "Bytes of record batches received from producers.", |t| {
        t.produced_bytes
    }),
    ("chaski_produce_errors_total", "Record batches refused or failed.", |t| t.produce_errors),
    ("chaski_fetch_bytes_total", "Bytes of record batches sent to consumers.", |t| t.fetched_bytes),
];

const INSIDE: &[Total] = &[
    ("chaski_inside_produce_records_total", "Records produced inside the process.", |t| {
        t.produced_records
    }),
    ("chaski_inside_produce_batches_total", "Record batches produced inside the process.", |t| {
        t.produced_batches
    }),
    ("chaski_inside_produce_bytes_total", "Bytes of these batches.", |t| t.produced_bytes),
    ("chaski_inside_produce_errors_total", "Batches from inside refused or failed.", |t| {
        t.produce_errors
    }),
    ("chaski_inside_read_bytes_total", "Bytes of batches read inside the process.", |t| {
        t.fetched_bytes
    }),
];

const LOCAL: &[Total] = &[
    ("chaski_local_produce_records_total", "Records produced through shared memory.", |t| {
        t.produced_records
    }),
    ("chaski_local_produce_batches_total", "Record batches through shared memory.", |t| {
        t.produced_batches
    }),
    ("chaski_local_produce_bytes_total", "Bytes of these batches.", |t| t.produced_bytes),
    (
        "chaski_local_produce_errors_total",
        "Requests through shared memory refused or failed.",
        |t| t.produce_errors,
    ),
];

fn render_traffic(text: &mut Text, totals: &[Total], traffic: &Traffic) {
    for (name, help, read) in totals {
        text.family(name, "counter", help);
        text.sample(name, &[], read(traffic));
    }
}

type LocalSample = (&'static str, &'static str, &'static str, fn(&LocalReads) -> u64);

const LOCAL_READS: &[LocalSample] = &[
    (
        "chaski_local_consumers",
        "gauge",
        "Consumers of this machine that read the log's own pages.",
        |r| r.consumers,
    ),
    (
        "chaski_local_read_records_total",
        "counter",
        "Records they have read, as far as they have said so: when they sleep, go on to another \
         segment, or commit.",
        |r| r.records,
    ),
    ("chaski_local_segments_total", "counter", "Segments they were handed.", |r| r.segments),
    (
        "chaski_local_sleeps_total",
        "counter",
        "Times one of them had read all there was, and slept.",
        |r| r.sleeps,
    ),
    ("chaski_local_wakes_total", "counter", "Times one of them was woken.", |r| r.wakes),
];

fn render_local_reads(text: &mut Text, broker: &Broker, reads: &LocalReads) {
    for (name, kind, help, read) in LOCAL_READS {
        text.family(name, kind, help);
        text.sample(name, &[], read(reads));
    }
    // By partition, not by process: those come and go, and each would leave a series behind.
    let mut partitions: BTreeMap<(Arc<str>, i32), (u64, i64)> = BTreeMap::new();
    for reader in broker.local.readers.list() {
        let Some(lag) = reader.progress(&*broker.store).lag else { continue };
        let (readers, most) =
            partitions.entry((reader.topic.clone(), reader.partition)).or_default();
        *readers += 1;
        *most = lag.max(*most);
    }
    let mut family = |name: &str, help: &str, read: fn(&(u64, i64)) -> i64| {
        text.family(name, "gauge", help);
        for ((topic, partition), told) in &partitions {
            let labels = [("topic", &**topic), ("partition", &*partition.to_string())];
            text.sample(name, &labels, read(told));
        }
    };
    family("chaski_local_readers", "Consumers of this machine that read a partition.", |told| {
        told.0 as i64
    });
    let help = "Records that the slowest of them has not read, or less: see \
                chaski_local_read_records_total.";
    family("chaski_local_lag", help, |told| told.1);
}

fn render_requests(text: &mut Text, metrics: &Metrics) {
    let name = "chaski_requests_total";
    text.family(name, "counter", "Requests by Kafka API.");
    for (api, count) in &metrics.requests {
        text.sample(name, &[("api", api.name())], count);
    }
}

type ShardSample = (&'static str, &'static str, &'static str, fn(&ShardMetrics) -> f64);

const SHARD_SAMPLES: &[ShardSample] = &[
    ("chaski_shard_connections", "gauge", "Client connections of a shard.", |s| {
        s.connections as f64
    }),
    ("chaski_shard_accepted_total", "counter", "Client connections a shard was given.", |s| {
        s.accepted as f64
    }),
    ("chaski_shard_turns_total", "counter", "Turns of a shard's event loop.", |s| s.turns as f64),
    ("chaski_shard_received_bytes_total", "counter", "Bytes a shard read from clients.", |s| {
        s.received_bytes as f64
    }),
    ("chaski_shard_sent_bytes_total", "counter", "Bytes a shard wrote to clients.", |s| {
        s.sent_bytes as f64
    }),
    ("chaski_shard_busy_seconds_total", "counter", "Time a shard was not asleep.", |s| {
        s.busy.as_secs_f64()
    }),
];

fn render_shards(text: &mut Text, shards: &[ShardMetrics]) {
    for (name, kind, help, read) in SHARD_SAMPLES {
        text.family(name, kind, help);
        for (i, shard) in shards.iter().enumerate() {
            text.sample(name, &[("shard", &i.to_string())], read(shard));
        }
    }
}

/// The shortest and the longest limit of a bucket, in microseconds; each is twice the one before.
const BUCKET_US: (u64, u64) = (1, 1 << 24);

type Path = (&'static str, fn(&Latencies) -> &Latency);

const PATHS: &[Path] = &[
    ("produce", |l| &l.produce),
    ("fetch", |l| &l.fetch),
    ("inside", |l| &l.inside),
    ("local", |l| &l.local),
];

fn render_latency(text: &mut Text, latencies: &Latencies) {
    let name = "chaski_latency_seconds";
    let help = "Time the broker takes, by path: waiting for records to fetch is not counted.";
    text.family(name, "histogram", help);
    for (path, read) in PATHS {
        let latency = read(latencies);
        let mut limit = BUCKET_US.0;
        while limit <= BUCKET_US.1 {
            let limit_s = (limit as f64 / 1e6).to_string();
            let within = latency.at_most(Duration::from_micros(limit));
            text.sample(&format!("{name}_bucket"), &[("path", path), ("le", &limit_s)], within);
            limit *= 2;
        }
        let count = latency.count();
        text.sample(&format!("{name}_bucket"), &[("path", path), ("le", "+Inf")], count);
        text.sample(&format!("{name}_sum"), &[("path", path)], latency.sum().as_secs_f64());
        text.sample(&format!("{name}_count"), &[("path", path)], count);
    }
}

fn render_partitions(text: &mut Text, broker: &Broker, metrics: &Metrics) {
    let cluster = broker.cluster.load();
    text.family("chaski_topics", "gauge", "Topics.");
    text.sample("chaski_topics", &[], metrics.topics);
    text.family("chaski_partitions", "gauge", "Partitions of all topics.");
    text.sample("chaski_partitions", &[], metrics.partitions);
    let mut rows = Vec::new();
    for topic in cluster.by_name.values() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if let Ok(stats) = broker.store.stats(*partition) {
                rows.push((topic.name.clone(), index.to_string(), stats));
            }
        }
    }
    let mut gauge = |name: &str, help: &str, read: &dyn Fn(&PartitionStats) -> i64| {
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

fn render_groups(text: &mut Text, metrics: &Metrics) {
    text.family("chaski_groups", "gauge", "Consumer groups by state.");
    for (state, count) in &metrics.groups {
        text.sample("chaski_groups", &[("state", state)], count);
    }
    text.family("chaski_group_members", "gauge", "Members of all consumer groups.");
    text.sample("chaski_group_members", &[], metrics.group_members);
    text.family("chaski_group_offsets", "gauge", "Partitions with an offset a group committed.");
    text.sample("chaski_group_offsets", &[], metrics.group_offsets);
}

type GatewaySample = (&'static str, &'static str, &'static str, fn(&GatewayStatus) -> i64);

const GATEWAY_SAMPLES: &[GatewaySample] = &[
    ("chaski_gateway_up", "gauge", "1: the gateway works; 0: it has failed.", |g| {
        i64::from(g.state == GatewayState::Running)
    }),
    (
        "chaski_gateway_messages_total",
        "counter",
        "Messages stored, or handed to the socket.",
        |g| g.messages as i64,
    ),
    ("chaski_gateway_bytes_total", "counter", "Bytes of their frames.", |g| g.bytes as i64),
    (
        "chaski_gateway_drops_total",
        "counter",
        "Messages that did not get where they should.",
        |g| g.drops as i64,
    ),
    ("chaski_gateway_malformed_total", "counter", "Messages that were none.", |g| {
        g.malformed as i64
    }),
    ("chaski_gateway_resent_total", "counter", "Messages sent again for a lost worker.", |g| {
        g.resent as i64
    }),
    ("chaski_gateway_unanswered_total", "counter", "Answers that nobody took.", |g| {
        g.unanswered as i64
    }),
    ("chaski_gateway_errors_total", "counter", "Failures, made up for or not.", |g| {
        g.errors as i64
    }),
    ("chaski_gateway_lag", "gauge", "Messages not stored yet, or records not sent yet.", |g| {
        g.lag.unwrap_or(0)
    }),
    ("chaski_gateway_peers", "gauge", "Peers that messages can flow to or from.", |g| {
        g.peers.iter().filter(|peer| peer.connected).count() as i64
    }),
];

fn render_gateways(text: &mut Text, gateways: &[GatewayStatus]) {
    for (name, kind, help, read) in GATEWAY_SAMPLES {
        text.family(name, kind, help);
        for gateway in gateways {
            let labels = [("gateway", &*gateway.name), ("kind", gateway.kind.as_str())];
            text.sample(name, &labels, read(gateway));
        }
    }
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

    #[test]
    fn every_sample_has_a_family_and_buckets_only_rise() {
        let broker = Broker::for_tests();
        for us in [3, 300, 30_000_000] {
            broker.inside.flushes.record_shared(Duration::from_micros(us));
        }
        let text = render(&broker);
        let mut families = Vec::new();
        let mut buckets = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["#", "TYPE", family, _] = words[..] {
                assert!(!families.contains(&family), "{family} twice");
                families.push(family);
            } else if !line.starts_with('#') {
                assert!(families.last().is_some_and(|family| line.starts_with(family)), "{line}");
            }
            if line.starts_with("chaski_latency_seconds_bucket{path=\"inside\"") {
                buckets.push(words[1].parse::<u64>().expect("a count"));
            }
        }
        assert!(buckets.is_sorted() && buckets.contains(&1) && buckets.contains(&2));
        assert_eq!(buckets.last(), Some(&3), "what is longer than all limits is in the last");
        assert_eq!(buckets[buckets.len() - 2], 2);
    }
}
