//! Listings in every form: a table for people, JSON for programs.
//!
//! A closed standard output (`chaski topic list | head -1`) is no failure.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;
use crate::table::{Column, Table};

/// Form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns that line up
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
}

/// Something that is listed.
pub(crate) trait Row: Serialize {
    const COLUMNS: &'static [Column];

    /// One cell a column.
    fn cells(&self) -> Vec<String>;
}

/// Something that is described on its own.
pub(crate) trait Described: Serialize {
    /// How people see it.
    fn describe(&self) -> String;
}

/// Prints rows as they come.
pub(crate) struct Listing<W: Write> {
    out: W,
    form: Form,
}

enum Form {
    Table(Table),
    /// Whether there was a row.
    Json(bool),
    Jsonl,
}

impl<W: Write> Listing<W> {
    pub(crate) fn new<R: Row>(format: Format, out: W) -> Listing<W> {
        let form = match format {
            Format::Table => Form::Table(Table::new(R::COLUMNS)),
            Format::Json => Form::Json(false),
            Format::Jsonl => Form::Jsonl,
        };
        Listing { out, form }
    }

    pub(crate) fn push<R: Row>(&mut self, row: &R) -> io::Result<()> {
        match &mut self.form {
            Form::Table(table) => match table.push(row.cells()) {
                Some(text) => self.out.write_all(text.as_bytes()),
                None => Ok(()),
            },
            Form::Json(begun) => {
                self.out.write_all(if *begun { b",\n " } else { b"[\n " })?;
                *begun = true;
                Ok(serde_json::to_writer(&mut self.out, row)?)
            }
            Form::Jsonl => {
                serde_json::to_writer(&mut self.out, row)?;
                self.out.write_all(b"\n")
            }
        }
    }

    /// What was pushed is to be seen now, but for rows of a table that wait for their widths.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.form {
            Form::Table(table) => self.out.write_all(table.finish().as_bytes())?,
            Form::Json(true) => self.out.write_all(b"\n]\n")?,
            Form::Json(false) => self.out.write_all(b"[]\n")?,
            Form::Jsonl => {}
        }
        self.out.flush()
    }
}

/// Lists all rows on standard output.
pub(crate) fn list<R: Row>(format: Format, rows: &[R]) -> Result<(), Failure> {
    let mut listing = Listing::new::<R>(format, io::BufWriter::new(io::stdout().lock()));
    let done = rows.iter().try_for_each(|row| listing.push(row));
    printed(done.and_then(|()| listing.finish()))
}

/// Describes one thing on standard output.
pub(crate) fn describe(format: Format, what: &impl Described) -> Result<(), Failure> {
    let text = match format {
        Format::Table => Ok(what.describe()),
        Format::Json => serde_json::to_string_pretty(what).map(|text| text + "\n"),
        Format::Jsonl => serde_json::to_string(what).map(|text| text + "\n"),
    };
    printed(text.map_err(io::Error::from).and_then(|text| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }))
}

/// The rows as a table, for a part of a description.
pub(crate) fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new(R::COLUMNS);
    let mut text: String = rows.iter().filter_map(|row| table.push(row.cells())).collect();
    text.push_str(&table.finish());
    text
}

/// Prints a text that is ready.
pub(crate) fn printed_text(text: &str) -> Result<(), Failure> {
    printed(io::stdout().lock().write_all(text.as_bytes()))
}

/// Says that something was done.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    printed(writeln!(io::stdout().lock(), "{line}"))
}

/// What became of printing: if nobody reads any more, that is fine.
pub(crate) fn printed(done: io::Result<()>) -> Result<(), Failure> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Whether colours are not wanted, whoever sees them (no-color.org).
pub(crate) fn colour_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether standard error may have colours: they are for people, not for files.
pub(crate) fn wants_colour() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !dumb && !colour_refused()
}

/// A number that may not be known.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// `1 record`, `2 records`, `2 batches`.
pub(crate) fn count(n: impl Into<u64>, noun: &str) -> String {
    let n = n.into();
    let ending = match n {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{n} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{number, text};

    #[derive(Serialize)]
    struct Fruit {
        name: &'static str,
        pieces: Option<i64>,
    }

    impl Row for Fruit {
        const COLUMNS: &'static [Column] = &[text("NAME"), number("PIECES")];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), or_dash(self.pieces)]
        }
    }

    fn listed(format: Format, rows: &[Fruit]) -> String {
        let mut out = Vec::new();
        let mut listing = Listing::new::<Fruit>(format, &mut out);
        rows.iter().try_for_each(|row| listing.push(row)).unwrap();
        listing.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    const FRUIT: &[Fruit] =
        &[Fruit { name: "apple", pieces: Some(3) }, Fruit { name: "fig", pieces: None }];

    #[test]
    fn every_form_holds_every_row() {
        assert_eq!(listed(Format::Table, FRUIT), "NAME   PIECES\napple       3\nfig         -\n");
        let lines = "{\"name\":\"apple\",\"pieces\":3}\n{\"name\":\"fig\",\"pieces\":null}\n";
        assert_eq!(listed(Format::Jsonl, FRUIT), lines);
        let document: serde_json::Value =
            serde_json::from_str(&listed(Format::Json, FRUIT)).unwrap();
        assert_eq!(document[1]["name"], "fig");
    }

    #[test]
    fn no_rows_are_still_a_document() {
        assert_eq!(listed(Format::Table, &[]), "NAME  PIECES\n");
        assert_eq!(listed(Format::Json, &[]), "[]\n");
        assert_eq!(listed(Format::Jsonl, &[]), "");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1u32, "record"), "1 record");
        assert_eq!(count(0u32, "record"), "0 records");
        assert_eq!(count(2u32, "batch"), "2 batches");
    }
}
