//! One look at everything there is: rows of each part, or why it has none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::api::{self, Groups, Overview, Shards, Sockets, Topics};
use super::metrics::{Scrape, ShardSums, TopicSums};
use super::rings::{RingRow, Rings};
use super::rows::{BrokerRow, GroupRow, ShardRow, SocketRow, TopicRow, rounded};
use crate::args::Top;
use crate::http::{Http, HttpError};
use crate::output::{self, Described, Row};
use crate::table::printable;

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
        let theirs = match self.http.get::<Overview>("/api/overview") {
            Ok(overview) => {
                self.ask_api(overview, &mut look);
                self.http.get::<api::Rings>("/api/rings").ok()
            }
            Err(error) => {
                self.without_api(&error, &mut look);
                None
            }
        };
        look.rings = part("rings", self.rings.look(theirs), &mut look.missing);
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
        let row = |(name, sums): (&String, &TopicSums)| TopicRow {
            name: name.clone(),
            partitions: sums.partitions,
            records: Some((sums.end - sums.start) as u64),
            bytes: Some(sums.bytes as u64),
            records_per_second: self.of(sums.end, |s| s.topics.get(name).map(|t| t.end)),
            groups: None,
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
        let rate = |now, shard: u64, read: fn(&ShardSums) -> f64| {
            self.of(now, |s| s.shards.get(&shard).map(read))
        };
        let row = |(&shard, sums): (&u64, &ShardSums)| ShardRow {
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
        format!("{part}: {}\n", printable(why))
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
