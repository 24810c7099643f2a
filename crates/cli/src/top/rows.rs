//! What is shown of a broker, row by row; what is None is not known.

use serde::Serialize;

use super::api::{self, Overview};
use crate::output::{Row, count, or_dash};
use crate::progress::show_bytes;
use crate::table::{Column, number, text};

/// The broker as a whole.
#[derive(Debug, Default, Serialize)]
pub(super) struct BrokerRow {
    pub(super) address: String,
    pub(super) version: String,
    pub(super) uptime_s: Option<f64>,
    pub(super) connections: Option<u64>,
    pub(super) partitions: Option<u64>,
    pub(super) records_per_second: Option<f64>,
    pub(super) bytes_in_per_second: Option<f64>,
    pub(super) bytes_out_per_second: Option<f64>,
    pub(super) requests_per_second: Option<f64>,
    pub(super) disk_free_bytes: Option<u64>,
    pub(super) latency: Vec<LatencyRow>,
    /// What the broker finds wrong.
    pub(super) findings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LatencyRow {
    pub(super) path: String,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct TopicRow {
    pub(super) name: String,
    pub(super) partitions: u64,
    pub(super) records: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) records_per_second: Option<f64>,
    /// How many read it; None: not known.
    pub(super) groups: Option<u64>,
    /// Of the slowest group; None: not known, or no group reads it.
    pub(super) lag: Option<i64>,
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct GroupRow {
    pub(super) group: String,
    pub(super) state: String,
    pub(super) members: Option<u64>,
    pub(super) topics: Option<u64>,
    /// None: not known.
    pub(super) lag: Option<i64>,
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct SocketRow {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) peers: u64,
    pub(super) messages_in: Option<u64>,
    pub(super) messages_out: Option<u64>,
    pub(super) drops: Option<u64>,
    pub(super) queued: Option<u64>,
    pub(super) endpoints: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct ShardRow {
    pub(super) shard: u64,
    pub(super) connections: Option<u64>,
    pub(super) busy_percent: Option<f64>,
    pub(super) turns_per_second: Option<f64>,
    pub(super) bytes_in_per_second: Option<f64>,
    pub(super) bytes_out_per_second: Option<f64>,
    pub(super) depth: Option<u64>,
    pub(super) moves: Option<u64>,
}

impl BrokerRow {
    pub(super) fn of(overview: Overview, address: String) -> BrokerRow {
        let latency = overview.latency.into_iter().filter(|path| path.count != Some(0));
        let latency = latency.map(|path| LatencyRow {
            path: path.path,
            p50_us: path.p50_us,
            p99_us: path.p99_us,
        });
        let wrong = overview.findings.into_iter().filter(|finding| finding.severity != "info");
        BrokerRow {
            address,
            version: overview.version,
            uptime_s: Some(overview.uptime_s),
            connections: overview.connections,
            partitions: overview.partitions,
            records_per_second: overview.rates.in_records_s,
            bytes_in_per_second: overview.rates.in_bytes_s,
            bytes_out_per_second: overview.rates.out_bytes_s,
            requests_per_second: overview.rates.requests_s,
            disk_free_bytes: overview.disk.free_bytes,
            latency: latency.collect(),
            findings: wrong.map(|f| format!("{}: {}", f.severity, f.what)).collect(),
        }
    }

    /// Two lines: what moves, and how long it takes.
    pub(super) fn lines(&self) -> [String; 2] {
        let some = |n: Option<u64>, noun: &str| match n {
            Some(n) => count(n, noun),
            None => format!("- {noun}s"),
        };
        let rate = |rate: Option<f64>, noun: &str| {
            format!("{}/s", some(rate.map(|rate| rate.round() as u64), noun))
        };
        let bytes = |rate: Option<f64>| or_dash(rate.map(show_bytes_rate));
        let moves = format!(
            "{} in, {} in, {} out, {}, {}, {}, {} free",
            rate(self.records_per_second, "record"),
            bytes(self.bytes_in_per_second),
            bytes(self.bytes_out_per_second),
            rate(self.requests_per_second, "request"),
            some(self.connections, "connection"),
            some(self.partitions, "partition"),
            or_dash(self.disk_free_bytes.map(show_bytes)),
        );
        let us = |us: Option<f64>| or_dash(us.map(|us| format!("{us:.0}")));
        let latency: Vec<String> = self
            .latency
            .iter()
            .map(|it| format!("{} {}/{} us", it.path, us(it.p50_us), us(it.p99_us)))
            .collect();
        let takes = match latency.is_empty() {
            true => String::new(),
            false => format!("p50/p99: {}", latency.join(", ")),
        };
        [moves, takes]
    }
}

fn show_bytes_rate(rate: f64) -> String {
    format!("{}/s", show_bytes(rate.max(0.0) as u64))
}

impl From<api::Topic> for TopicRow {
    fn from(topic: api::Topic) -> TopicRow {
        TopicRow {
            problems: api::words(&topic.problems),
            name: topic.name,
            partitions: topic.partitions,
            records: topic.records,
            bytes: topic.bytes,
            records_per_second: topic.in_records_s,
            groups: topic.groups,
            lag: topic.lag,
        }
    }
}

impl From<api::Group> for GroupRow {
    fn from(group: api::Group) -> GroupRow {
        GroupRow {
            members: api::how_many(&group.members),
            topics: api::how_many(&group.topics),
            problems: api::words(&group.problems),
            group: group.group,
            state: group.state,
            lag: group.lag,
        }
    }
}

impl From<api::Socket> for SocketRow {
    fn from(socket: api::Socket) -> SocketRow {
        let queued = socket.peers.iter().filter_map(|peer| peer.queued);
        SocketRow {
            queued: queued.clone().next().map(|_| queued.sum()),
            name: socket.name.unwrap_or_default(),
            kind: socket.kind,
            peers: socket.peers.len() as u64,
            messages_in: socket.messages_in,
            messages_out: socket.messages_out,
            drops: socket.drops,
            endpoints: socket.endpoints,
        }
    }
}

impl From<api::Shard> for ShardRow {
    fn from(shard: api::Shard) -> ShardRow {
        ShardRow {
            shard: shard.shard,
            connections: shard.connections,
            busy_percent: shard.busy.map(|busy| rounded(busy * 100.0)),
            turns_per_second: shard.turns_s,
            bytes_in_per_second: shard.bytes_in_s,
            bytes_out_per_second: shard.bytes_out_s,
            depth: shard.depth,
            moves: shard.moves,
        }
    }
}

impl TopicRow {
    /// A lag that is not known is told from that of a topic which nobody reads.
    fn shown_lag(&self) -> String {
        match (self.lag, self.groups) {
            (None, Some(1..)) => "unknown".to_owned(),
            (lag, _) => or_dash(lag),
        }
    }
}

impl Row for TopicRow {
    const COLUMNS: &'static [Column] = &[
        text("TOPIC"),
        number("PARTITIONS"),
        number("RECORDS"),
        number("BYTES"),
        number("RECORDS/S"),
        number("LAG"),
        text("PROBLEMS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.partitions.to_string(),
            or_dash(self.records),
            or_dash(self.bytes.map(show_bytes)),
            or_dash(self.records_per_second.map(|rate| format!("{rate:.1}"))),
            self.shown_lag(),
            self.problems.join("; "),
        ]
    }
}

impl Row for GroupRow {
    const COLUMNS: &'static [Column] = &[
        text("GROUP"),
        text("STATE"),
        number("MEMBERS"),
        number("TOPICS"),
        number("LAG"),
        text("PROBLEMS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.clone(),
            self.state.clone(),
            or_dash(self.members),
            or_dash(self.topics),
            or_dash(self.lag),
            self.problems.join("; "),
        ]
    }
}

impl Row for SocketRow {
    const COLUMNS: &'static [Column] = &[
        text("SOCKET"),
        text("KIND"),
        number("PEERS"),
        number("IN"),
        number("OUT"),
        number("QUEUED"),
        number("DROPS"),
        text("ENDPOINTS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            or_dash(self.kind.as_ref()),
            self.peers.to_string(),
            or_dash(self.messages_in),
            or_dash(self.messages_out),
            or_dash(self.queued),
            or_dash(self.drops),
            self.endpoints.join(" "),
        ]
    }
}

impl Row for ShardRow {
    const COLUMNS: &'static [Column] = &[
        number("SHARD"),
        number("CONNECTIONS"),
        number("BUSY"),
        number("TURNS/S"),
        number("IN/S"),
        number("OUT/S"),
        number("DEPTH"),
        number("MOVES"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.shard.to_string(),
            or_dash(self.connections),
            or_dash(self.busy_percent.map(|percent| format!("{percent:.0} %"))),
            or_dash(self.turns_per_second.map(|rate| format!("{rate:.0}"))),
            or_dash(self.bytes_in_per_second.map(show_bytes_rate)),
            or_dash(self.bytes_out_per_second.map(show_bytes_rate)),
            or_dash(self.depth),
            or_dash(self.moves),
        ]
    }
}

/// To one digit behind the point.
pub(super) fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_from_many_and_from_what_is_not_known() {
        let row = BrokerRow {
            partitions: Some(1),
            connections: Some(2),
            records_per_second: Some(0.6),
            ..BrokerRow::default()
        };
        let [moves, _] = row.lines();
        for shown in ["1 record/s in", "- requests/s", "2 connections", "1 partition,"] {
            assert!(moves.contains(shown), "`{shown}` is missing: {moves}");
        }
    }

    #[test]
    fn an_unknown_lag_is_told_from_none() {
        let shown = |groups, lag| TopicRow { groups, lag, ..TopicRow::default() }.shown_lag();
        assert_eq!(shown(Some(2), Some(0)), "0");
        assert_eq!(shown(Some(2), None), "unknown");
        assert_eq!(shown(Some(0), None), "-");
        assert_eq!(shown(None, Some(3)), "3", "of a broker that does not count them");
    }
}
