//! A record as it is told, and which records are wanted.

use std::borrow::Cow;

use chaski_batch::Record;
use memchr::memmem::Finder;
use serde::Serialize;

use super::decode::{Decode, Shown, show};

/// Bytes of a key or value that are told if nobody says how many.
const SHOWN_BYTES: usize = 64 << 10;

/// And if somebody does.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// Headers of a record that are told.
const HEADERS_MAX: usize = 100;

/// A record.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    key: Option<Shown>,
    value: Option<Shown>,
    headers: Vec<Header>,
    /// Bytes of key, value and headers.
    size: usize,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: Option<Shown>,
}

/// How records are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lens {
    decode: Decode,
    max: usize,
}

impl Lens {
    pub(super) fn new(decode: Decode, max: Option<usize>) -> Lens {
        Lens { decode, max: max.unwrap_or(SHOWN_BYTES).min(SHOWN_BYTES_MAX) }
    }

    pub(super) fn message(&self, partition: i32, record: &Record<'_>) -> Message {
        let shown = |bytes: &[u8]| show(bytes, self.decode, self.max);
        let header = |(name, value): (&[u8], Option<&[u8]>)| Header {
            name: String::from_utf8_lossy(&name[..name.len().min(self.max)]).into_owned(),
            value: value.map(shown),
        };
        Message {
            partition,
            offset: record.offset,
            timestamp_ms: record.timestamp,
            key: record.key.map(shown),
            value: record.value.map(shown),
            headers: record.headers.iter().take(HEADERS_MAX).map(header).collect(),
            size: size(record),
        }
    }
}

fn size(record: &Record<'_>) -> usize {
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = record.headers.iter().map(|(name, value)| name.len() + len(value));
    len(record.key) + len(record.value) + headers.sum::<usize>()
}

impl Message {
    /// Bytes of its JSON, about.
    pub(super) fn len(&self) -> usize {
        let len = |shown: &Option<Shown>| shown.as_ref().map_or(4, Shown::len);
        let headers = self.headers.iter().map(|one| one.name.len() + len(&one.value) + 30);
        150 + len(&self.key) + len(&self.value) + headers.sum::<usize>()
    }
}

/// Which records are wanted.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    filter: Option<Finder<'static>>,
    key: Option<Vec<u8>>,
}

impl Matcher {
    /// `filter`: its bytes are somewhere in the record; `key`: they are the key.
    pub(super) fn new(filter: &str, key: &str) -> Matcher {
        let given = |text: &str| Some(text.as_bytes().to_vec()).filter(|text| !text.is_empty());
        let filter = given(filter).map(|text| Finder::new(&text).into_owned());
        Matcher { filter, key: given(key) }
    }

    /// Whether every record is wanted.
    pub(super) fn takes_all(&self) -> bool {
        self.filter.is_none() && self.key.is_none()
    }

    pub(super) fn wants(&self, record: &Record<'_>) -> bool {
        if self.key.is_some() && record.key != self.key.as_deref() {
            return false;
        }
        let Some(filter) = &self.filter else { return true };
        let has = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| filter.find(bytes).is_some());
        let header = |(name, value)| has(Some(name)) || has(value);
        has(record.value) || has(record.key) || record.headers.iter().any(header)
    }
}

/// A batch that could not be read.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) what: Cow<'static, str>,
}
