//! A record as it is printed.

use std::io::{self, Write};

use chaski_batch::Record;
use serde::Serialize;

use crate::args::{Recv, RecvFormat};
use crate::json_bytes::{self, Written};

/// Prints records in one form.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    topic: &'a str,
    form: RecvFormat,
    with_key: bool,
    separator: &'a str,
    null: &'a str,
}

/// What `send --json` takes.
#[derive(Debug, Serialize)]
struct JsonLine<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Written<'a>>,
    value: Option<Written<'a>>,
    headers: Vec<JsonHeader<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonHeader<'a> {
    key: Written<'a>,
    value: Option<Written<'a>>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(topic: &'a str, args: &'a Recv) -> Printer<'a> {
        Printer {
            topic,
            form: args.output,
            with_key: args.key,
            separator: &args.key_separator,
            null: &args.null_value,
        }
    }

    pub(super) fn print(
        &self,
        out: &mut impl Write,
        partition: i32,
        record: &Record<'_>,
    ) -> io::Result<()> {
        match self.form {
            RecvFormat::Text => self.text(out, record),
            RecvFormat::Json => self.json(out, partition, record),
            RecvFormat::Raw => out.write_all(record.value.unwrap_or_default()),
        }
    }

    fn text(&self, out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
        let null = self.null.as_bytes();
        if self.with_key {
            out.write_all(record.key.unwrap_or(null))?;
            out.write_all(self.separator.as_bytes())?;
        }
        out.write_all(record.value.unwrap_or(null))?;
        out.write_all(b"\n")
    }

    fn json(&self, out: &mut impl Write, partition: i32, record: &Record<'_>) -> io::Result<()> {
        let headers = record
            .headers
            .iter()
            .map(|(key, value)| JsonHeader {
                key: json_bytes::write(key),
                value: value.map(json_bytes::write),
            })
            .collect();
        let line = JsonLine {
            topic: self.topic,
            partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(json_bytes::write),
            value: record.value.map(json_bytes::write),
            headers,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use chaski_batch::{Builder, Codec, records};

    use super::*;

    const TEXT: Printer<'static> = Printer {
        topic: "orders",
        form: RecvFormat::Text,
        with_key: false,
        separator: ":",
        null: "NULL",
    };

    fn printed(printer: &Printer<'_>, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let mut builder = Builder::new(Codec::None).base_offset(7);
        builder.push(1_500, key, value, &[("h", Some(b"\xff")), ("h", None)]);
        let batch = builder.build().unwrap();
        let records = records(&batch, 0).unwrap();
        let mut out = Vec::new();
        for record in &records {
            printer.print(&mut out, 3, &record.unwrap()).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_a_value_a_line() {
        assert_eq!(printed(&TEXT, Some(b"k"), Some(b"v")), "v\n");
        assert_eq!(printed(&TEXT, None, None), "NULL\n");
        let with_key = Printer { with_key: true, ..TEXT };
        assert_eq!(printed(&with_key, Some(b"k"), Some(b"v")), "k:v\n");
        assert_eq!(printed(&with_key, None, Some(b"v")), "NULL:v\n");
    }

    #[test]
    fn raw_is_nothing_but_values() {
        let raw = Printer { form: RecvFormat::Raw, ..TEXT };
        assert_eq!(printed(&raw, Some(b"k"), Some(b"v")), "v");
        assert_eq!(printed(&raw, Some(b"k"), None), "");
    }

    #[test]
    fn json_says_everything() {
        let json = Printer { form: RecvFormat::Json, ..TEXT };
        assert_eq!(
            printed(&json, Some(b"k"), None),
            "{\"topic\":\"orders\",\"partition\":3,\"offset\":7,\"timestamp\":1500,\"key\":\"k\",\
             \"value\":null,\"headers\":[{\"key\":\"h\",\"value\":{\"base64\":\"/w==\"}},\
             {\"key\":\"h\",\"value\":null}]}\n"
        );
    }
}
