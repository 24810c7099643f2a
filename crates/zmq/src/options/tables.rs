//! The tables in the documentation of [`Options`](super::Options), made from the table of options:
//! a test says if they are out of date. `CHASKI_WRITE_TABLES=1` makes the test write them.

use std::fmt::Write;

use super::libzmq::{FOREIGN, OWN};
use super::reach::{Elsewhere, Transport};
use super::{OptionInfo, TABLE, When};

/// Where the tables are.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/options/tables.md");

#[test]
fn the_tables_cover_every_option() {
    let text = tables();
    if std::env::var_os("CHASKI_WRITE_TABLES").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let stands = include_str!("tables.md");
    for row in TABLE {
        assert!(stands.contains(&format!("\n| `{}` |", row.name)), "{} is missing", row.name);
    }
    assert_eq!(stands, text, "written anew with CHASKI_WRITE_TABLES=1");
}

fn tables() -> String {
    let mut text = String::from(HEAD);
    for row in TABLE {
        line(&mut text, row);
    }
    text.push_str(FOREIGN_HEAD);
    let own: Vec<String> = OWN.iter().map(|name| format!("`{name}`")).collect();
    writeln!(text, "Every option above is libzmq's, but for {}.", own.join(", ")).unwrap();
    text.push_str(FOREIGN_TABLE);
    for (name, why) in FOREIGN {
        writeln!(text, "| `{name}` | {why} |").unwrap();
    }
    text
}

fn line(text: &mut String, row: &OptionInfo) {
    write!(text, "| `{}` |", row.name).unwrap();
    for transport in Transport::ALL {
        let acts = match (row.reach.covers(transport), row.reach.elsewhere) {
            (true, _) => "yes",
            (false, Elsewhere::Refused) => "refused",
            (false, Elsewhere::Meaningless) => "-",
        };
        write!(text, " {acts} |").unwrap();
    }
    let when = match row.when {
        When::Now => "now",
        When::Next => "next",
        When::Build => "build",
    };
    let kinds: Vec<&str> = row.kinds.iter().map(|kind| kind.name()).collect();
    let kinds = match row.kinds.len() {
        0 => "all".to_owned(),
        19 => "all but STREAM".to_owned(),
        _ => kinds.join(", "),
    };
    let why = row.reach.why;
    writeln!(text, " {when} | {kinds} |{}{why} |", if why.is_empty() { "" } else { " " }).unwrap();
}

const HEAD: &str = "\
# Which option acts where

*yes*: it does what it says. *refused*: `bind` and `connect` say that it is set and cannot be had
there. *-*: there is nothing that it could be about, for the reason given. What is set for *now*
acts at once, for *next* on what is bound or connected from then on; *build* is for the builder
only. A kind of socket that does not have an option refuses it.

| option | tcp | ipc | inproc | shm | when | kinds | elsewhere |
|---|---|---|---|---|---|---|---|
";

const FOREIGN_HEAD: &str = "
# The options of libzmq

";

const FOREIGN_TABLE: &str = "\
Those that libzmq has and that are none here cannot be written in Rust, and are
[`OptionError::Foreign`](crate::OptionError::Foreign) in a text:

| libzmq | here |
|---|---|
";
