//! What is counted, as values: for the text Prometheus reads, and for whoever else shows it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chaski_kafka::ApiKey;

use super::histogram::Latency;
use super::{ShardStats, ShardView};
use crate::Broker;
use crate::groups::State;

/// What the broker has counted since it started, and what there is of some things.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One entry an event loop.
    pub shards: Vec<ShardMetrics>,
    /// Requests of Kafka clients by API, those that nobody has sent included.
    pub requests: Vec<(ApiKey, u64)>,
    /// What Kafka clients have produced and fetched.
    pub clients: Traffic,
    /// What this process has produced and read.
    pub inside: Traffic,
    /// What other processes of this machine have produced through shared memory. They read without
    /// the broker, which counts no bytes of that.
    pub local: Traffic,
    /// Such processes, as of about a second ago.
    pub local_producers: u64,
    /// What processes of this machine have read from the log's own pages.
    pub local_reads: LocalReads,
    /// Connections closed because they made no sense.
    pub malformed_requests: u64,
    /// Topics.
    pub topics: usize,
    /// Partitions of all topics.
    pub partitions: usize,
    /// Consumer groups by state, as of late.
    pub groups: Vec<(&'static str, usize)>,
    /// Members of all groups, as of late.
    pub group_members: usize,
    /// Partitions with an offset a group committed, as of late.
    pub group_offsets: usize,
    /// How long the broker takes, by path.
    pub latency: Latencies,
}

/// Records in, bytes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Records offered.
    pub produced_records: u64,
    /// Batches of them.
    pub produced_batches: u64,
    /// Bytes of these.
    pub produced_bytes: u64,
    /// Batches refused or failed.
    pub produce_errors: u64,
    /// Bytes of batches handed out.
    pub fetched_bytes: u64,
}

/// What consumers of this machine say of their reading when they ask the broker for something: one
/// that reads through a segment without a rest is ahead of this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalReads {
    /// Those that are connected.
    pub consumers: u64,
    /// Records they have read.
    pub records: u64,
    /// Segments they were handed.
    pub segments: u64,
    /// Times one had read all there was, and slept.
    pub sleeps: u64,
    /// Times one was woken.
    pub wakes: u64,
}

/// One event loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardMetrics {
    /// Client connections it has.
    pub connections: u64,
    /// Client connections it was given.
    pub accepted: u64,
    /// Turns of its loop.
    pub turns: u64,
    /// Bytes it read from clients.
    pub received_bytes: u64,
    /// Bytes it wrote to clients.
    pub sent_bytes: u64,
    /// Bytes that wait to be written.
    pub unsent_bytes: u64,
    /// Bytes of requests that have not come whole.
    pub input_bytes: u64,
    /// Time it was not asleep.
    pub busy: Duration,
    /// Requests it was sent.
    pub requests: u64,
    /// Records it received from producers.
    pub produced_records: u64,
    /// Bytes of record batches it sent to consumers.
    pub fetched_bytes: u64,
}

/// How long the broker takes, by path.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Latencies {
    /// Produce requests of Kafka clients: from when they have been read to when their answer is
    /// ready, the disk included where it was asked for.
    pub produce: Latency,
    /// Fetch requests that were answered with records: from when they have been read, or woken by
    /// records they waited for, to when their answer is ready.
    pub fetch: Latency,
    /// Flushes of producers in this process, from the call to the acknowledgement.
    pub inside: Latency,
    /// Batches of other processes of this machine: from when they have been taken from shared
    /// memory to when their answer is ready, the disk included where it was asked for.
    pub local: Latency,
}

impl Metrics {
    /// As of about now. Costs a look at each counter: nothing that a hot path would notice.
    pub(crate) fn of(broker: &Broker) -> Metrics {
        let shards = &broker.shards;
        let sum = |read: fn(&ShardStats) -> u64| shards.iter().map(|s| read(&s.stats)).sum();
        let requests = |api| (api, shards.iter().map(|s| s.stats.requests.get(api)).sum());
        let (cluster, groups) = (broker.cluster.load(), broker.groups.load());
        let (inside, local) = (&broker.inside, &broker.local);
        // A dead group is one that is not there.
        let states = State::ALL.iter().zip(groups.groups).filter(|(s, _)| **s != State::Dead);
        Metrics {
            shards: shards.iter().map(ShardMetrics::of).collect(),
            requests: chaski_kafka::served().iter().map(|range| requests(range.api)).collect(),
            clients: Traffic {
                produced_records: sum(|s| s.produced_records.get()),
                produced_batches: sum(|s| s.produced_batches.get()),
                produced_bytes: sum(|s| s.produced_bytes.get()),
                produce_errors: sum(|s| s.produce_errors.get()),
                fetched_bytes: sum(|s| s.fetched_bytes.get()),
            },
            inside: Traffic {
                produced_records: inside.produced_records.get(),
                produced_batches: inside.produced_batches.get(),
                produced_bytes: inside.produced_bytes.get(),
                produce_errors: inside.produce_errors.get(),
                fetched_bytes: inside.read_bytes.get(),
            },
            local: Traffic {
                produced_records: local.produced_records.get(),
                produced_batches: local.produced_batches.get(),
                produced_bytes: local.produced_bytes.get(),
                produce_errors: local.produce_errors.get(),
                fetched_bytes: 0,
            },
            local_producers: local.producers.load(Ordering::Relaxed),
            local_reads: LocalReads {
                consumers: local.consumers.load(Ordering::Relaxed),
                records: local.read_records.get(),
                segments: local.segments.get(),
                sleeps: local.sleeps.get(),
                wakes: local.wakes.load(Ordering::Relaxed),
            },
            malformed_requests: sum(|s| s.malformed.get()),
            topics: cluster.by_name.len(),
            partitions: cluster.partitions,
            groups: states.map(|(state, count)| (state.name(), count)).collect(),
            group_members: groups.members,
            group_offsets: groups.offsets,
            latency: Latencies::of(broker),
        }
    }
}

impl ShardMetrics {
    fn of(view: &ShardView) -> ShardMetrics {
        let (stats, reactor) = (&view.stats, &view.reactor);
        ShardMetrics {
            connections: reactor.connections.load(Ordering::Relaxed),
            accepted: reactor.accepted.load(Ordering::Relaxed),
            turns: reactor.turns.load(Ordering::Relaxed),
            received_bytes: reactor.bytes_in.load(Ordering::Relaxed),
            sent_bytes: reactor.bytes_out.load(Ordering::Relaxed),
            unsent_bytes: reactor.unsent_bytes.load(Ordering::Relaxed),
            input_bytes: reactor.input_bytes.load(Ordering::Relaxed),
            busy: Duration::from_nanos(reactor.busy_ns.load(Ordering::Relaxed)),
            requests: stats.requests.sum(),
            produced_records: stats.produced_records.get(),
            fetched_bytes: stats.fetched_bytes.get(),
        }
    }
}

impl Latencies {
    fn of(broker: &Broker) -> Latencies {
        let mut all = Latencies {
            inside: broker.inside.flushes.read(),
            local: broker.local.produce_latency.read(),
            ..Latencies::default()
        };
        for shard in &broker.shards {
            all.produce.merge(&shard.stats.produce_latency.read());
            all.fetch.merge(&shard.stats.fetch_latency.read());
        }
        all
    }
}
