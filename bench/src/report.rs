//! How results are shown: a table for people, one JSON object a line for programs, Markdown for
//! documents. Every case is printed as soon as it is done.

use clap::ValueEnum;
use serde_json::json;

use crate::machine::Facts;
use crate::run::{Outcome, Row};

/// Width of a line that is made of several facts.
const COLUMNS: usize = 100;

/// With more contestants than this each has a row instead of a column.
const CONTESTANTS_ACROSS: usize = 6;

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Md,
}

/// Prints the facts that head a report.
pub fn header(format: Format, facts: &Facts) {
    match format {
        Format::Json => println!("{}", json!({ "machine": facts })),
        Format::Table => facts_as_lines(facts).iter().for_each(|line| println!("{line}")),
        Format::Md => facts_as_lines(facts).iter().for_each(|line| println!("- {line}")),
    }
}

/// Prints one case.
pub fn outcome(format: Format, outcome: &Outcome) {
    match format {
        _ if outcome.rows.is_empty() && outcome.dropouts.is_empty() => {
            eprintln!("{}: nobody takes part", outcome.case);
        }
        Format::Json => {
            for row in &outcome.rows {
                println!("{}", serde_json::to_string(row).expect("a row is plain data"));
            }
        }
        _ if outcome.rows.is_empty() => println!("\n{}", outcome.case),
        Format::Table => print(&outcome_lines(outcome, "", "  ", "")),
        Format::Md => print(&outcome_lines(outcome, "| ", " | ", " |")),
    }
    for dropout in &outcome.dropouts {
        let (case, who, why) = (outcome.case, &dropout.who, &dropout.why);
        match format {
            Format::Json => eprintln!("{case}: {who} skipped: {why}"),
            _ => println!("{who} skipped: {why}"),
        }
    }
}

fn print(lines: &[String]) {
    lines.iter().for_each(|line| println!("{line}"));
}

fn facts_as_lines(facts: &Facts) -> Vec<String> {
    let mut lines = vec![
        format!("cpu: {}, {} cores", facts.cpu, facts.cores),
        format!("memory: {}B; {}", engineering(facts.memory_bytes as f64), facts.file_system),
        format!("kernel: {}, clock {}", facts.kernel, facts.clock),
        format!("scheduling: {}", facts.scheduling),
        format!("commit: {}", facts.commit),
    ];
    let versions: Vec<String> =
        facts.versions.iter().map(|(who, version)| format!("{who}: {version}")).collect();
    lines.extend(packed(&versions));
    lines
}

/// As many of `words` to a line as fit.
fn packed(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 2 <= COLUMNS => {
                line.push_str("; ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

/// A row per metric, a column per contestant, or the other way round where there are many; each
/// cell is value, spread, and share of the limit.
fn outcome_lines(outcome: &Outcome, open: &str, between: &str, close: &str) -> Vec<String> {
    let mut who: Vec<&str> = Vec::new();
    let mut metrics: Vec<(&str, &str)> = Vec::new();
    for row in &outcome.rows {
        if !who.contains(&row.who.as_str()) {
            who.push(&row.who);
        }
        if !metrics.iter().any(|(name, _)| *name == row.metric) {
            metrics.push((row.metric, row.unit));
        }
    }
    // The product first, then the limit it is held against, then the rivals in order of the case.
    who.sort_by_key(|name| (!name.starts_with("chaski"), *name != "limit"));
    let rounds = outcome.rows.first().map_or(0, |row| row.rounds);
    let mut grid = vec![vec![format!("{} (rounds: {rounds})", outcome.case)]];
    grid[0].extend(who.iter().map(|name| (*name).to_owned()));
    for (metric, unit) in metrics {
        let mut line = vec![format!("{metric} [{unit}]")];
        line.extend(who.iter().map(|name| cell(&outcome.rows, name, metric)));
        grid.push(line);
    }
    if who.len() > CONTESTANTS_ACROSS {
        grid = transposed(&grid);
    }
    let mut lines = vec![String::new()];
    lines.extend(aligned(&grid, open, between, close));
    lines
}

fn transposed(grid: &[Vec<String>]) -> Vec<Vec<String>> {
    let column = |at: usize| grid.iter().map(|line| line[at].clone()).collect();
    (0..grid[0].len()).map(column).collect()
}

fn cell(rows: &[Row], who: &str, metric: &str) -> String {
    let row = rows.iter().find(|row| row.who == who && row.metric == metric);
    let Some(row) = row else { return "-".to_owned() };
    let value = format!("{} +-{:.0}%", engineering(row.value), row.spread * 50.0);
    match row.over_limit {
        Some(factor) => format!("{value} ({factor:.2}x)"),
        None => value,
    }
}

fn aligned(grid: &[Vec<String>], open: &str, between: &str, close: &str) -> Vec<String> {
    let columns = grid[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| grid.iter().map(|line| line[column].len()).max().unwrap_or(0))
        .collect();
    let mut lines: Vec<String> = grid
        .iter()
        .map(|line| {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            format!("{open}{}{close}", cells.join(between)).trim_end().to_owned()
        })
        .collect();
    if !open.is_empty() {
        let rule = widths
            .iter()
            .enumerate()
            .map(|(column, width)| match column {
                0 => "-".repeat(*width),
                _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
            })
            .collect::<Vec<_>>()
            .join(between);
        lines.insert(1, format!("{open}{rule}{close}"));
    }
    lines
}

/// Three significant digits with a power-of-1000 suffix: 1.41 M, 93.0, 0.25.
pub fn engineering(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, " G"),
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Better;

    fn row(who: &str, value: f64) -> Row {
        Row {
            distance: "time",
            case: "start-empty",
            who: who.to_owned(),
            metric: "accept_ms",
            unit: "ms",
            value,
            better: Better::Lower,
            rounds: 5,
            spread: 0.08,
            over_limit: (who != "limit").then_some(value / 2.0),
        }
    }

    #[test]
    fn json_line_has_the_documented_shape() {
        let line = serde_json::to_string(&row("chaski", 3.1)).expect("plain data");
        let names = r#"{"distance":"time","case":"start-empty","who":"chaski","#;
        let metric = r#""metric":"accept_ms","unit":"ms","value":3.1,"#;
        let rest = r#""better":"lower","rounds":5,"spread":0.08}"#;
        assert_eq!(line, [names, metric, rest].concat());
    }

    #[test]
    fn cells_say_how_far_from_the_limit() {
        let rows = [row("chaski", 6.0), row("limit", 2.0)];
        assert_eq!(cell(&rows, "chaski", "accept_ms"), "6.00 +-4% (3.00x)");
        assert_eq!(cell(&rows, "limit", "accept_ms"), "2.00 +-4%");
        assert_eq!(cell(&rows, "redis", "accept_ms"), "-");
    }

    #[test]
    fn many_contestants_get_a_row_each() {
        let who = ["a", "b", "c", "d", "e", "limit", "chaski x"];
        let rows = who.map(|name| row(name, 2.0)).to_vec();
        let outcome = Outcome { case: "start-empty", rows, dropouts: Vec::new() };
        let lines = outcome_lines(&outcome, "", "  ", "");
        let firsts: Vec<&str> = lines.iter().filter_map(|line| line.split("  ").next()).collect();
        let title = "start-empty (rounds: 5)";
        assert_eq!(firsts, ["", title, "chaski x", "limit", "a", "b", "c", "d", "e"]);
    }

    #[test]
    fn engineering_keeps_three_digits() {
        assert_eq!(engineering(1_412_000.0), "1.41 M");
        assert_eq!(engineering(93.04), "93.0");
        assert_eq!(engineering(0.25), "0.25");
    }
}
