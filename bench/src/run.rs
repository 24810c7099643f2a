//! Interleaved rounds: every contestant of a case takes one turn, then all again (A B C, A B C),
//! so that a slow minute of the machine falls on everyone. One round before the counted ones warms
//! up; the result of a metric is the median of its rounds, with the spread beside it.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

/// Which direction of a metric is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Higher,
    Lower,
}

/// What is measured: a stable name, its unit, and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
}

impl Metric {
    pub const fn higher(name: &'static str, unit: &'static str) -> Metric {
        Metric { name, unit, better: Better::Higher }
    }

    pub const fn lower(name: &'static str, unit: &'static str) -> Metric {
        Metric { name, unit, better: Better::Lower }
    }
}

/// What one turn measured.
pub type Samples = Vec<(Metric, f64)>;

/// One measurement of one contestant, from a fresh start to a clean end.
pub type Turn = Box<dyn FnMut() -> Result<Samples>>;

/// Someone who takes part in a case.
pub struct Entrant {
    /// `chaski`, the rival's program name, or `limit`.
    pub who: String,
    pub turn: Turn,
}

impl Entrant {
    pub fn new(who: &str, turn: impl FnMut() -> Result<Samples> + 'static) -> Entrant {
        Entrant { who: who.to_owned(), turn: Box::new(turn) }
    }
}

/// One workload and those who run it.
pub struct Case {
    pub distance: &'static str,
    pub name: &'static str,
    pub entrants: Vec<Entrant>,
}

/// One line of the result: the JSON object of one case, contestant and metric.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub distance: &'static str,
    pub case: &'static str,
    pub who: String,
    pub metric: &'static str,
    pub unit: &'static str,
    pub value: f64,
    pub better: Better,
    pub rounds: usize,
    /// (largest - smallest) / median over the rounds.
    pub spread: f64,
    /// By which factor it was worse than the limit; see [`worse_than`].
    #[serde(skip)]
    pub over_limit: Option<f64>,
}

/// A contestant that could not finish, and why.
#[derive(Debug, Clone)]
pub struct Dropout {
    pub who: String,
    pub why: String,
}

/// Everything one case gave.
pub struct Outcome {
    pub case: &'static str,
    pub rows: Vec<Row>,
    pub dropouts: Vec<Dropout>,
}

/// How often each contestant takes its turn.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Rounds that are run first and not counted.
    pub warm_up: usize,
    /// Rounds that count.
    pub counted: usize,
}

/// Runs one case. A contestant whose turn fails leaves the case; the others go on.
pub fn run(mut case: Case, rounds: Rounds) -> Outcome {
    let mut dropouts = Vec::new();
    let mut turns: Vec<(String, Vec<Samples>)> =
        case.entrants.iter().map(|e| (e.who.clone(), Vec::new())).collect();
    for round in 0..rounds.warm_up + rounds.counted {
        for (entrant, (_, kept)) in case.entrants.iter_mut().zip(&mut turns) {
            if dropouts.iter().any(|d: &Dropout| d.who == entrant.who) {
                continue;
            }
            progress(case.name, &entrant.who, round, rounds);
            match (entrant.turn)() {
                Ok(samples) if round >= rounds.warm_up => kept.push(samples),
                Ok(_) => {}
                Err(error) => {
                    dropouts.push(Dropout { who: entrant.who.clone(), why: format!("{error:#}") });
                    kept.clear();
                }
            }
        }
    }
    progress_end();
    let limit = turns.iter().find(|(who, _)| who == "limit").map_or(&[][..], |(_, kept)| kept);
    let rows = turns.iter().flat_map(|(who, kept)| rows(&case, who, kept, limit)).collect();
    Outcome { case: case.name, rows, dropouts }
}

fn rows(case: &Case, who: &str, turns: &[Samples], limit: &[Samples]) -> Vec<Row> {
    let Some(first) = turns.first() else { return Vec::new() };
    first
        .iter()
        .map(|(metric, _)| {
            let (values, limits) = (values_of(turns, *metric), values_of(limit, *metric));
            let over_limit = worse_than(&limits, &values, metric.better);
            let (value, spread) = median_and_spread(values);
            Row {
                distance: case.distance,
                case: case.name,
                who: who.to_owned(),
                metric: metric.name,
                unit: metric.unit,
                value,
                better: metric.better,
                rounds: turns.len(),
                spread,
                over_limit: over_limit.filter(|_| who != "limit"),
            }
        })
        .collect()
}

fn values_of(turns: &[Samples], metric: Metric) -> Vec<f64> {
    turns.iter().flatten().filter(|(other, _)| *other == metric).map(|(_, value)| *value).collect()
}

/// The median of the factors by which `values` are worse than the `limits` of the same rounds.
///
/// A machine, a virtual one most of all, may be another from one minute to the next: neighbours
/// come and go, cores are moved apart. What was measured within one round has the same machine
/// below it; medians that are taken apart may not.
fn worse_than(limits: &[f64], values: &[f64], better: Better) -> Option<f64> {
    let comparable = |(limit, value): (&f64, &f64)| *limit > 0.0 && *value > 0.0;
    let rounds = || limits.iter().zip(values);
    if limits.is_empty() || limits.len() != values.len() || !rounds().all(comparable) {
        return None;
    }
    let factor = |(limit, value): (&f64, &f64)| match better {
        Better::Higher => limit / value,
        Better::Lower => value / limit,
    };
    Some(median_and_spread(rounds().map(factor).collect()).0)
}

/// The median of `values`, and (largest - smallest) / median.
pub fn median_and_spread(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (values.first(), values.last()) else { return (0.0, 0.0) };
    let mid = values.len() / 2;
    let median =
        if values.len() % 2 == 1 { values[mid] } else { (values[mid - 1] + values[mid]) / 2.0 };
    let spread = if median == 0.0 { 0.0 } else { (high - low) / median };
    (median, spread)
}

/// The value at quantile `q` (0 to 1) of `sorted`, nearest rank.
pub fn quantile(sorted: &[u64], q: f64) -> u64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

fn progress(case: &str, who: &str, round: usize, rounds: Rounds) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let total = rounds.warm_up + rounds.counted;
    eprint!("\r\x1b[K{case}: round {} of {total}: {who}", round + 1);
    std::io::stderr().flush().ok();
}

fn progress_end() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Metric = Metric::higher("rate", "1/s");

    #[test]
    fn median_of_counted_rounds_and_dropouts() {
        let mut calls = 0;
        let steady = Entrant::new("steady", move || {
            calls += 1;
            Ok(vec![(RATE, [100.0, 1.0, 2.0, 4.0][calls - 1])])
        });
        let broken = Entrant::new("broken", || anyhow::bail!("no such program"));
        let case = Case { distance: "time", name: "c", entrants: vec![steady, broken] };
        let outcome = run(case, Rounds { warm_up: 1, counted: 3 });
        assert_eq!(outcome.rows.len(), 1);
        assert_eq!((outcome.rows[0].value, outcome.rows[0].spread), (2.0, 1.5));
        assert_eq!(outcome.dropouts[0].who, "broken");
    }

    #[test]
    fn the_limit_is_that_of_the_same_round() {
        // The machine was three times slower in the last two rounds.
        let (limits, values) = ([1.0, 1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 6.0, 6.0]);
        assert_eq!(worse_than(&limits, &values, Better::Lower), Some(2.0));
        assert_eq!(worse_than(&limits, &values, Better::Higher), Some(0.5));
        assert_eq!(worse_than(&limits[..4], &values, Better::Lower), None);
        assert_eq!(worse_than(&[], &[], Better::Lower), None);
        assert_eq!(worse_than(&[0.0], &[1.0], Better::Lower), None);
    }

    #[test]
    fn quantiles_are_nearest_rank() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99)), (50, 99));
        assert_eq!((quantile(&sorted, 1.0), quantile(&[], 0.5)), (100, 0));
    }
}
