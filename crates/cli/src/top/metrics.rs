//! The Prometheus text of a broker, summed up by topic and shard: what there is to see where the
//! API is not to be had.

use std::collections::BTreeMap;

/// Counters and gauges of one scrape.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Scrape {
    pub(super) version: String,
    pub(super) topics: BTreeMap<String, TopicSums>,
    pub(super) shards: BTreeMap<u64, ShardSums>,
    pub(super) produced_records: f64,
    pub(super) produced_bytes: f64,
    pub(super) fetched_bytes: f64,
    pub(super) requests: f64,
}

/// Of all partitions of a topic.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct TopicSums {
    pub(super) partitions: u64,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) bytes: f64,
    pub(super) damaged: f64,
    pub(super) failed: f64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct ShardSums {
    pub(super) connections: f64,
    pub(super) turns: f64,
    pub(super) received: f64,
    pub(super) sent: f64,
    pub(super) busy: f64,
}

impl Scrape {
    /// Takes what is known; other lines are passed over.
    pub(super) fn parse(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, labels, value)) = sample(line) {
                scrape.take(name, labels, value);
            }
        }
        scrape
    }

    fn take(&mut self, name: &str, labels: &str, value: f64) {
        match name {
            "chaski_build_info" => self.version = label(labels, "version").unwrap_or_default(),
            "chaski_produce_records_total"
            | "chaski_inside_produce_records_total"
            | "chaski_local_produce_records_total" => self.produced_records += value,
            "chaski_produce_bytes_total"
            | "chaski_inside_produce_bytes_total"
            | "chaski_local_produce_bytes_total" => self.produced_bytes += value,
            "chaski_fetch_bytes_total" | "chaski_inside_read_bytes_total" => {
                self.fetched_bytes += value;
            }
            "chaski_requests_total" => self.requests += value,
            _ => match (name.strip_prefix("chaski_partition_"), name.strip_prefix("chaski_shard_"))
            {
                (Some(what), _) => self.take_partition(what, labels, value),
                (_, Some(what)) => self.take_shard(what, labels, value),
                _ => {}
            },
        }
    }

    fn take_partition(&mut self, what: &str, labels: &str, value: f64) {
        let Some(topic) = label(labels, "topic") else { return };
        let sums = self.topics.entry(topic).or_default();
        match what {
            "log_start_offset" => sums.start += value,
            "log_end_offset" => {
                sums.end += value;
                sums.partitions += 1;
            }
            "bytes" => sums.bytes += value,
            "damaged" => sums.damaged += value,
            "failed" => sums.failed += value,
            _ => {}
        }
    }

    fn take_shard(&mut self, what: &str, labels: &str, value: f64) {
        let Some(shard) = label(labels, "shard").and_then(|shard| shard.parse().ok()) else {
            return;
        };
        let sums = self.shards.entry(shard).or_default();
        match what {
            "connections" => sums.connections = value,
            "turns_total" => sums.turns = value,
            "received_bytes_total" => sums.received = value,
            "sent_bytes_total" => sums.sent = value,
            "busy_seconds_total" => sums.busy = value,
            _ => {}
        }
    }
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    match series.split_once('{') {
        Some((name, labels)) => Some((name, labels.strip_suffix('}')?, value)),
        None => Some((series, "", value)),
    }
}

/// The value of a label. Quotes in values are escaped.
fn label(labels: &str, name: &str) -> Option<String> {
    let mut rest = labels;
    loop {
        let (found, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, c) => value.push(c),
            }
        };
        if found.trim_start_matches(',') == name {
            return Some(value);
        }
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_summed_by_topic() {
        let scrape = Scrape::parse(
            "# TYPE chaski_partition_log_end_offset gauge
chaski_partition_log_end_offset{topic=\"a\",partition=\"0\"} 3
chaski_partition_log_end_offset{topic=\"a\",partition=\"1\"} 4
chaski_partition_bytes{topic=\"a\",partition=\"1\"} 100
chaski_shard_busy_seconds_total{shard=\"1\"} 0.5
chaski_produce_records_total 4
chaski_inside_produce_records_total 2
chaski_local_produce_records_total 1
chaski_build_info{version=\"9\"} 1
nonsense
chaski_requests_total{api=\"Produce\"} NaN
",
        );
        let topic = scrape.topics["a"];
        assert_eq!((topic.partitions, topic.end, topic.bytes), (2, 7.0, 100.0));
        assert_eq!(scrape.shards[&1].busy, 0.5);
        assert_eq!((scrape.produced_records, scrape.requests), (7.0, 0.0));
        assert_eq!(scrape.version, "9");
    }

    #[test]
    fn labels_are_told_apart_whatever_is_in_them() {
        let labels = "x=\"topic=\\\"no\\\"\",topic=\"a\\\\b\\n\"";
        assert_eq!(label(labels, "topic").as_deref(), Some("a\\b\n"));
        assert_eq!(label(labels, "partition"), None);
        assert_eq!(label("topic=\"open", "topic"), None);
    }
}
