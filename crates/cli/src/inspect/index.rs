//! Indexes and checkpoints.

use std::path::Path;

use chaski_log::inspect::{self, Index, OffsetEntry, TimeEntry};
use serde::Serialize;

use super::cannot_read;
use crate::failure::Failure;
use crate::output::{self, Described, Format, Row, count};
use crate::position::show_time;
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct OffsetRow {
    offset: i64,
    position: u64,
}

#[derive(Debug, Serialize)]
struct TimeRow {
    timestamp: i64,
    offset: i64,
}

#[derive(Debug, Serialize)]
struct CheckpointRow {
    segment: i64,
    position: u64,
    next_offset: i64,
    log_start: i64,
    producers: usize,
}

pub(super) fn offsets(path: &Path, format: Format) -> Result<(), Failure> {
    let index = inspect::offset_index(path).map_err(|e| damaged(path, &e))?;
    let row = |entry: &OffsetEntry| OffsetRow { offset: entry.offset, position: entry.position };
    output::list(format, &index.entries.iter().map(row).collect::<Vec<_>>())?;
    sum_up(&index);
    Ok(())
}

pub(super) fn times(path: &Path, format: Format) -> Result<(), Failure> {
    let index = inspect::time_index(path).map_err(|e| damaged(path, &e))?;
    let row = |entry: &TimeEntry| TimeRow { timestamp: entry.timestamp, offset: entry.offset };
    output::list(format, &index.entries.iter().map(row).collect::<Vec<_>>())?;
    sum_up(&index);
    Ok(())
}

pub(super) fn checkpoint(path: &Path, format: Format) -> Result<(), Failure> {
    let checkpoint = inspect::checkpoint(path).map_err(|e| damaged(path, &e))?;
    output::describe(
        format,
        &CheckpointRow {
            segment: checkpoint.segment,
            position: checkpoint.position,
            next_offset: checkpoint.next_offset,
            log_start: checkpoint.log_start,
            producers: checkpoint.producers,
        },
    )
}

fn damaged(path: &Path, error: &std::io::Error) -> Failure {
    let failure = cannot_read(path, error);
    match error.kind() {
        std::io::ErrorKind::InvalidData => {
            failure.hint("it is derived from the segment: a broker that needs it builds it anew")
        }
        _ => failure,
    }
}

fn sum_up<T>(index: &Index<T>) {
    let entries = match index.entries.len() {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    eprintln!(
        "{entries} for {} of the segment from offset {} on; newest {}",
        count(index.covered_bytes, "byte"),
        index.base_offset,
        show_time(index.max_timestamp)
    );
}

impl Row for OffsetRow {
    const COLUMNS: &'static [Column] = &[number("OFFSET"), number("POSITION")];

    fn cells(&self) -> Vec<String> {
        vec![self.offset.to_string(), self.position.to_string()]
    }
}

impl Row for TimeRow {
    const COLUMNS: &'static [Column] = &[text("TIME"), number("OFFSET")];

    fn cells(&self) -> Vec<String> {
        vec![show_time(self.timestamp), self.offset.to_string()]
    }
}

impl Described for CheckpointRow {
    fn describe(&self) -> String {
        format!(
            "segment      {}\nposition     {}\nnext offset  {}\nlog start    {}\nproducers    {}\n",
            self.segment, self.position, self.next_offset, self.log_start, self.producers
        )
    }
}
