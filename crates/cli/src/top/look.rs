//! One look at everything there is: rows of each part, or why it has none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::api::{self, Groups, Overview, Shards, Sockets, Topics};
use super::metrics::Scrape;
use super::rings::{RingRow, Rings};
use crate::args::Top;
use crate::http::{Http, HttpError};
use crate::output::{self, Described, Row, or_dash};
use crate::progress::show_bytes;
use crate::table::{Column, number, text};

/// How long a broker is waited for: a look is old by then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Topics that are asked for: the busiest ones.
const TOPICS: &str = "/api/topics?limit=200&sort=rate&desc=true";

/// What was seen. A part that is missing is null, and `missing` says why.
#[derive(Debug, Default, Serialize)]
pub(super) struct Look {
    pub(super) time: String,
    pub(super) broker: Option<BrokerRow>,
    pub(super) topics: Option<Vec<TopicRow>>,
    pub(super) groups: Option<Vec<GroupRow>>,
    pub(super) sockets: Option<Vec<SocketRow>>,
    pub(super) rings: Option<Vec<RingRow>>,
    pub(super) shards: Option<Vec<ShardRow>>,
    pub(super) missing: BTreeMap<&'static str, String>,
}

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

/// Who looks, and what was seen last.
pub(super) struct Looker {
    http: Http,
    rings: Rings,
    scraped: Option<(Instant, Scrape)>,
}

impl Looker {
    pub(super) fn new(args: &Top) -> Looker {
        let http = Http::new(&args.http).patient_for(PATIENCE);
        Looker { http, rings: Rings::new(&args.dir), scraped: None }
    }

    pub(super) fn look(&mut self) -> Look {
        let mut look = Look { time: format!("{:.0}", jiff::Timestamp::now()), ..Look::default() };
        match self.http.get::<Overview>("/api/overview") {
            Ok(overview) => self.ask_api(overview, &mut look),
            Err(error) => self.without_api(&error, &mut look),
        }
        look.rings = part("rings", self.rings.look(), &mut look.missing);
        look
    }

    fn ask_api(&self, overview: Overview, look: &mut Look) {
        look.broker = Some(BrokerRow::of(overview, self.http.address().to_string()));
        let missing = &mut look.missing;
        let said = |error: HttpError| error.to_string();
        let topics = self.http.get::<Topics>(TOPICS).map_err(said);
        let topics = topics.map(|it| it.topics.into_iter().map(TopicRow::from).collect());
        look.topics = part("topics", topics, missing);
        let groups = self.http.get::<Groups>("/api/groups").map_err(said);
        let groups = groups.map(|it| it.groups.into_iter().map(GroupRow::from).collect());
        look.groups = part("groups", groups, missing);
        let sockets = self.http.get::<Sockets>("/api/sockets").map_err(said);
        let sockets = sockets.map(|it| it.sockets.into_iter().map(SocketRow::from).collect());
        look.sockets = part("sockets", sockets, missing);
        let shards = self.http.get::<Shards>("/api/shards").map_err(said);
        let shards = shards.map(|it| it.shards.into_iter().map(ShardRow::from).collect());
        look.shards = part("shards", shards, missing);
    }

    /// The metrics know topics and shards. Where nobody answered there is no use in asking again.
    fn without_api(&mut self, error: &HttpError, look: &mut Look) {
        let why = match error {
            HttpError::Unreachable { .. } | HttpError::Lost { .. } => {
                self.scraped = None;
                None
            }
            _ => self.http.text("/metrics").ok().map(|text| Scrape::parse(&text)),
        };
        let said = error.to_string();
        let absent: &[&'static str] = match why {
            Some(scrape) => {
                self.show_scrape(scrape, look);
                &["groups", "sockets"]
            }
            None => &["broker", "topics", "groups", "sockets", "shards"],
        };
        look.missing.extend(absent.iter().map(|part| (*part, said.clone())));
    }

    fn show_scrape(&mut self, scrape: Scrape, look: &mut Look) {
        let now = Instant::now();
        let before = self.scraped.replace((now, scrape.clone()));
        let since = before.map(|(then, before)| {
            // A clock that stands still would make infinite rates, which JSON does not have.
            ((now - then).as_secs_f64().max(1e-3), before)
        });
        let rates = Rates { since };
        look.broker = Some(BrokerRow {
            address: self.http.address().to_string(),
            version: scrape.version.clone(),
            records_per_second: rates.of(scrape.produced_records, |s| Some(s.produced_records)),
            bytes_in_per_second: rates.of(scrape.produced_bytes, |s| Some(s.produced_bytes)),
            bytes_out_per_second: rates.of(scrape.fetched_bytes, |s| Some(s.fetched_bytes)),
            requests_per_second: rates.of(scrape.requests, |s| Some(s.requests)),
            ..BrokerRow::default()
        });
        look.topics = Some(rates.topics(&scrape));
        look.shards = Some(rates.shards(&scrape));
    }
}

/// Rates from two scrapes.
struct Rates {
    /// Seconds, and what was counted then.
    since: Option<(f64, Scrape)>,
}

impl Rates {
    /// A counter that went back has begun anew.
    fn of(&self, now: f64, then: impl Fn(&Scrape) -> Option<f64>) -> Option<f64> {
        let (seconds, before) = self.since.as_ref()?;
        let moved = now - then(before)?;
        Some(rounded(if moved < 0.0 { now } else { moved } / seconds))
    }

    fn topics(&self, scrape: &Scrape) -> Vec<TopicRow> {
        let row = |(name, sums): (&String, &super::metrics::TopicSums)| TopicRow {
            name: name.clone(),
            partitions: sums.partitions,
            records: Some((sums.end - sums.start) as u64),
            bytes: Some(sums.bytes as u64),
            records_per_second: self.of(sums.end, |s| s.topics.get(name).map(|t| t.end)),
            lag: None,
            problems: [("damaged", sums.damaged), ("closed for writing", sums.failed)]
                .into_iter()
                .filter(|(_, count)| *count > 0.0)
                .map(|(problem, _)| problem.to_owned())
                .collect(),
        };
        let mut rows: Vec<TopicRow> = scrape.topics.iter().map(row).collect();
        rows.sort_by(|a, b| b.records_per_second.total_cmp_option(a.records_per_second));
        rows
    }

    fn shards(&self, scrape: &Scrape) -> Vec<ShardRow> {
        let rate = |now, shard: u64, read: fn(&super::metrics::ShardSums) -> f64| {
            self.of(now, |s| s.shards.get(&shard).map(read))
        };
        let row = |(&shard, sums): (&u64, &super::metrics::ShardSums)| ShardRow {
            shard,
            connections: Some(sums.connections as u64),
            busy_percent: rate(sums.busy * 100.0, shard, |s| s.busy * 100.0),
            turns_per_second: rate(sums.turns, shard, |s| s.turns),
            bytes_in_per_second: rate(sums.received, shard, |s| s.received),
            bytes_out_per_second: rate(sums.sent, shard, |s| s.sent),
            depth: None,
            moves: None,
        };
        scrape.shards.iter().map(row).collect()
    }
}

/// An order in which what is not known comes last.
trait TotalCmpOption {
    fn total_cmp_option(self, other: Self) -> std::cmp::Ordering;
}

impl TotalCmpOption for Option<f64> {
    fn total_cmp_option(self, other: Self) -> std::cmp::Ordering {
        self.unwrap_or(-1.0).total_cmp(&other.unwrap_or(-1.0))
    }
}

fn part<T>(
    name: &'static str,
    rows: Result<T, String>,
    missing: &mut BTreeMap<&'static str, String>,
) -> Option<T> {
    rows.map_err(|why| missing.insert(name, why)).ok()
}

fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

impl BrokerRow {
    fn of(overview: Overview, address: String) -> BrokerRow {
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
        let rate = |rate: Option<f64>| or_dash(rate.map(|rate| format!("{rate:.0}")));
        let bytes = |rate: Option<f64>| or_dash(rate.map(show_bytes_rate));
        let moves = format!(
            "{} records/s in, {} in, {} out, {} requests/s, {} connections, {} partitions, {} free",
            rate(self.records_per_second),
            bytes(self.bytes_in_per_second),
            bytes(self.bytes_out_per_second),
            rate(self.requests_per_second),
            or_dash(self.connections),
            or_dash(self.partitions),
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
            or_dash(self.lag),
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

impl Described for Look {
    fn describe(&self) -> String {
        let mut text = match &self.broker {
            Some(broker) => {
                let [moves, takes] = broker.lines();
                let lines =
                    format!("{}, chaski {}\n{moves}\n{takes}", broker.address, broker.version);
                lines.trim_end().to_owned() + "\n"
            }
            None => self.told_missing("broker"),
        };
        text += &format!("\n{}", self.shown("topics", self.topics.as_deref()));
        text += &format!("\n{}", self.shown("groups", self.groups.as_deref()));
        text += &format!("\n{}", self.shown("sockets", self.sockets.as_deref()));
        text += &format!("\n{}", self.shown("rings", self.rings.as_deref()));
        text += &format!("\n{}", self.shown("shards", self.shards.as_deref()));
        text
    }
}

impl Look {
    fn shown<R: Row>(&self, part: &'static str, rows: Option<&[R]>) -> String {
        rows.map_or_else(|| self.told_missing(part), output::table)
    }

    fn told_missing(&self, part: &'static str) -> String {
        let why = self.missing.get(part).map_or("not known", String::as_str);
        format!("{part}: {}\n", crate::table::printable(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_back_has_begun_anew() {
        let before = Scrape { produced_records: 100.0, ..Scrape::default() };
        let rates = Rates { since: Some((2.0, before)) };
        assert_eq!(rates.of(300.0, |s| Some(s.produced_records)), Some(100.0));
        assert_eq!(rates.of(10.0, |s| Some(s.produced_records)), Some(5.0));
        assert_eq!(rates.of(10.0, |_| None), None, "it was not there");
        assert_eq!(Rates { since: None }.of(10.0, |_| Some(0.0)), None, "the first look");
    }

    #[test]
    fn answers_of_another_version_are_read_as_far_as_they_go() {
        let overview: Overview = serde_json::from_str("{\"version\":\"9\",\"new\":1}").unwrap();
        assert_eq!(BrokerRow::of(overview, "h:1".to_owned()).version, "9");
        let groups = "{\"groups\":[{\"group\":\"g\",\"members\":[{},{}],\"topics\":3}]}";
        let groups: Groups = serde_json::from_str(groups).unwrap();
        let row = GroupRow::from(groups.groups.into_iter().next().unwrap());
        assert_eq!((row.members, row.topics, row.lag), (Some(2), Some(3), None));
    }
}
