//! Round trips and streams, as every report between two ends tells them.

use serde::Serialize;

use super::histogram::{Histogram, Percentiles};
use super::throughput::Run;
use super::{median, per_second, shown};
use crate::output::Row;
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
pub(super) struct RoundTrip {
    /// What is measured, or `limit`.
    who: &'static str,
    #[serde(flatten)]
    percentiles: Percentiles,
}

#[derive(Debug, Serialize)]
pub(super) struct Stream {
    /// What is measured, or `limit`.
    who: &'static str,
    /// The median of the rounds.
    ns_per_message: f64,
    messages_per_second: f64,
    bytes_per_second: f64,
    /// The slowest round over the quickest, less 1.
    spread: f64,
}

impl RoundTrip {
    pub(super) fn of(who: &'static str, laps: &Histogram) -> RoundTrip {
        RoundTrip { who, percentiles: laps.percentiles() }
    }
}

impl Stream {
    /// Of messages of this size, each of which takes `share` of what one took in the runs.
    pub(super) fn of(who: &'static str, runs: &[Run], share: f64, size_bytes: f64) -> Stream {
        let costs: Vec<f64> = runs.iter().map(|run| run.ns_per_message() * share).collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = costs.iter().copied().fold(0.0, f64::max);
        let ns_per_message = median(costs);
        let messages_per_second = 1e9 / ns_per_message;
        Stream {
            who,
            ns_per_message,
            messages_per_second,
            bytes_per_second: messages_per_second * size_bytes,
            spread: most / least - 1.0,
        }
    }
}

impl Row for RoundTrip {
    const COLUMNS: &'static [Column] = &[
        text("WHO"),
        number("P50 NS"),
        number("P99 NS"),
        number("P99.9 NS"),
        number("MAX NS"),
        number("SAMPLES"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.who.to_owned()];
        cells.extend(self.percentiles.cells());
        cells
    }
}

impl Row for Stream {
    const COLUMNS: &'static [Column] = &[
        text("WHO"),
        number("NS/MESSAGE"),
        number("MESSAGES/S"),
        number("BYTES/S"),
        number("SPREAD"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.who.to_owned(),
            shown(self.ns_per_message),
            per_second(self.messages_per_second),
            per_second(self.bytes_per_second),
            format!("{:.0} %", self.spread * 100.0),
        ]
    }
}
