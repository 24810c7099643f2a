//! Segments: stretch by stretch, or record by record.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use chaski_batch::{Codec, Header, INFLATED_BYTES_MAX, Record, records};
use chaski_log::inspect::{Kind, Stretch, batches};
use serde::Serialize;

use super::cannot_read;
use crate::args::InspectSegment;
use crate::failure::Failure;
use crate::json_bytes::{self, Written};
use crate::output::{Listing, Row, count, or_dash, printed};
use crate::position::show_time;
use crate::table::{Column, number, text};

/// Characters of a key or value that a table shows.
const PREVIEW_CHARS: usize = 40;

/// A batch, or what stands where one should.
#[derive(Debug, Serialize)]
struct StretchRow<'a> {
    segment: &'a str,
    position: u64,
    bytes: u64,
    /// batch, damage or zeros.
    kind: &'static str,
    /// What the header says; None if there is none.
    #[serde(flatten)]
    header: Option<HeaderRow>,
    /// Why it is damage.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeaderRow {
    offset: i64,
    last_offset: i64,
    records: i32,
    codec: String,
    base_timestamp: i64,
    max_timestamp: i64,
    leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    crc: String,
}

/// A record, or why there is none.
#[derive(Debug, Serialize)]
struct RecordRow<'a> {
    segment: &'a str,
    /// Of the batch.
    position: u64,
    offset: Option<i64>,
    timestamp: Option<i64>,
    key: Option<Written<'a>>,
    value: Option<Written<'a>>,
    headers: Vec<(Written<'a>, Option<Written<'a>>)>,
    error: Option<String>,
}

/// What was found in all.
#[derive(Debug, Default)]
struct Findings {
    segments: u64,
    batches: u64,
    records: u64,
    /// Damage with good batches behind it.
    holes: u64,
    /// Damage up to the end of a segment.
    tails: u64,
}

pub(super) fn run(segments: &[PathBuf], args: &InspectSegment) -> Result<(), Failure> {
    let out = BufWriter::new(io::stdout().lock());
    let format = args.output.output;
    let mut walk = Walk {
        listing: match args.records {
            true => Listing::new::<RecordRow<'_>>(format, out),
            false => Listing::new::<StretchRow<'_>>(format, out),
        },
        by_record: args.records,
        found: Findings::default(),
    };
    for segment in segments {
        match walk.segment(segment) {
            Err(WalkError::Print(error)) => return printed(Err(error)),
            Err(WalkError::Read(error)) => return Err(cannot_read(segment, &error)),
            Ok(()) => {}
        }
    }
    printed(walk.listing.finish())?;
    walk.found.verdict()
}

/// The first headers of a segment, and what stands where some should.
pub(crate) fn headers(path: &Path, at_most: usize) -> io::Result<Vec<serde_json::Value>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let row = |stretch| Ok(serde_json::to_value(StretchRow::new(&name, stretch))?);
    batches(path)?.take(at_most).map(|stretch| stretch.and_then(row)).collect()
}

#[derive(Debug)]
enum WalkError {
    Read(io::Error),
    Print(io::Error),
}

struct Walk<W: Write> {
    listing: Listing<W>,
    by_record: bool,
    found: Findings,
}

impl<W: Write> Walk<W> {
    fn segment(&mut self, path: &Path) -> Result<(), WalkError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.found.segments += 1;
        for stretch in batches(path).map_err(WalkError::Read)? {
            let stretch = stretch.map_err(WalkError::Read)?;
            self.found.take(&stretch);
            if self.by_record {
                self.records(path, &name, &stretch)?;
            } else {
                self.listing.push(&StretchRow::new(&name, stretch)).map_err(WalkError::Print)?;
            }
        }
        Ok(())
    }

    fn records(&mut self, path: &Path, name: &str, stretch: &Stretch) -> Result<(), WalkError> {
        let damage = match &stretch.kind {
            Kind::Batch(_) => return self.batch(path, name, stretch),
            Kind::Damage { reason, .. } => reason.clone(),
            _ => return Ok(()),
        };
        self.listing.push(&RecordRow::error(name, stretch, damage)).map_err(WalkError::Print)
    }

    fn batch(&mut self, path: &Path, name: &str, stretch: &Stretch) -> Result<(), WalkError> {
        // The checksum was right: so many bytes are there.
        let mut batch = vec![0; stretch.len as usize];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut batch, stretch.position))
            .map_err(WalkError::Read)?;
        let pushed = match records(&batch, INFLATED_BYTES_MAX) {
            Ok(records) => records.iter().try_for_each(|record| match record {
                Ok(record) => self.listing.push(&RecordRow::new(name, stretch, &record)),
                Err(e) => self.listing.push(&RecordRow::error(name, stretch, e.to_string())),
            }),
            Err(e) => self.listing.push(&RecordRow::error(name, stretch, e.to_string())),
        };
        pushed.map_err(WalkError::Print)
    }
}

impl Findings {
    fn take(&mut self, stretch: &Stretch) {
        match &stretch.kind {
            Kind::Batch(header) => {
                self.batches += 1;
                self.records += u64::try_from(header.record_count).unwrap_or(0);
            }
            Kind::Damage { tail: true, .. } => self.tails += 1,
            Kind::Damage { tail: false, .. } => self.holes += 1,
            _ => {}
        }
    }

    fn verdict(&self) -> Result<(), Failure> {
        eprintln!(
            "{}, {}, {}",
            count(self.segments, "segment"),
            count(self.batches, "batch"),
            count(self.records, "record")
        );
        match (self.holes, self.tails) {
            (0, 0) => Ok(()),
            (0, tails) => Err(Failure::new(format!("{} torn", count(tails, "segment end")))
                .hint("a broker that starts on it cuts a torn end off, and says how much")),
            (holes, _) => Err(Failure::new(format!("{} damaged", count(holes, "stretch")))
                .hint("a broker keeps damage between good batches, and never serves it")),
        }
    }
}

impl<'a> StretchRow<'a> {
    fn new(segment: &'a str, stretch: Stretch) -> StretchRow<'a> {
        let (kind, header, error) = match stretch.kind {
            Kind::Batch(header) => ("batch", Some(header), None),
            Kind::Damage { reason, header, .. } => ("damage", header, Some(reason)),
            Kind::Zeros => ("zeros", None, None),
            _ => ("unknown", None, None),
        };
        let header = header.as_ref().map(HeaderRow::new);
        let (position, bytes) = (stretch.position, stretch.len);
        StretchRow { segment, position, bytes, kind, header, error }
    }
}

impl HeaderRow {
    fn new(header: &Header) -> HeaderRow {
        HeaderRow {
            offset: header.base_offset,
            last_offset: header.last_offset(),
            records: header.record_count,
            codec: match header.codec() {
                Ok(codec) => codec_name(codec).to_owned(),
                Err(error) => error.to_string(),
            },
            base_timestamp: header.base_timestamp,
            max_timestamp: header.max_timestamp,
            leader_epoch: header.leader_epoch,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            transactional: header.is_transactional(),
            control: header.is_control(),
            crc: format!("{:08x}", header.crc),
        }
    }

    /// Producer id, epoch and first sequence number, if it is an idempotent producer.
    fn producer(&self) -> Option<String> {
        let HeaderRow { producer_id, producer_epoch, base_sequence, .. } = self;
        (*producer_id >= 0).then(|| format!("{producer_id}/{producer_epoch}/{base_sequence}"))
    }
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::None => "none",
        Codec::Gzip => "gzip",
        Codec::Snappy => "snappy",
        Codec::Lz4 => "lz4",
        Codec::Zstd => "zstd",
    }
}

impl Row for StretchRow<'_> {
    const COLUMNS: &'static [Column] = &[
        text("SEGMENT"),
        number("POSITION"),
        number("BYTES"),
        number("OFFSET"),
        number("LAST"),
        number("RECORDS"),
        text("CODEC"),
        text("NEWEST"),
        text("PRODUCER"),
        text("STATE"),
    ];

    fn cells(&self) -> Vec<String> {
        let header = self.header.as_ref();
        vec![
            self.segment.to_owned(),
            self.position.to_string(),
            self.bytes.to_string(),
            or_dash(header.map(|h| h.offset)),
            or_dash(header.map(|h| h.last_offset)),
            or_dash(header.map(|h| h.records)),
            or_dash(header.map(|h| &h.codec)),
            or_dash(header.map(|h| show_time(h.max_timestamp))),
            or_dash(header.and_then(HeaderRow::producer)),
            match (&self.error, self.kind) {
                (Some(error), _) => format!("damage: {error}"),
                (None, "batch") => "ok".to_owned(),
                (None, kind) => kind.to_owned(),
            },
        ]
    }
}

impl<'a> RecordRow<'a> {
    fn new(segment: &'a str, stretch: &Stretch, record: &Record<'a>) -> RecordRow<'a> {
        let header = |(key, value): (&'a [u8], Option<&'a [u8]>)| {
            (json_bytes::write(key), value.map(json_bytes::write))
        };
        RecordRow {
            segment,
            position: stretch.position,
            offset: Some(record.offset),
            timestamp: Some(record.timestamp),
            key: record.key.map(json_bytes::write),
            value: record.value.map(json_bytes::write),
            headers: record.headers.iter().map(header).collect(),
            error: None,
        }
    }

    fn error(segment: &'a str, stretch: &Stretch, error: String) -> RecordRow<'a> {
        RecordRow {
            segment,
            position: stretch.position,
            offset: None,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            error: Some(error),
        }
    }
}

impl Row for RecordRow<'_> {
    const COLUMNS: &'static [Column] = &[
        text("SEGMENT"),
        number("POSITION"),
        number("OFFSET"),
        text("TIME"),
        number("HEADERS"),
        text("KEY"),
        text("VALUE"),
    ];

    fn cells(&self) -> Vec<String> {
        let value = match &self.error {
            Some(error) => format!("damage: {error}"),
            None => preview(self.value.as_ref()),
        };
        vec![
            self.segment.to_owned(),
            self.position.to_string(),
            or_dash(self.offset),
            or_dash(self.timestamp.map(show_time)),
            self.headers.len().to_string(),
            preview(self.key.as_ref()),
            value,
        ]
    }
}

fn preview(bytes: Option<&Written<'_>>) -> String {
    let cut = |text: &str| match text.char_indices().nth(PREVIEW_CHARS) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text.to_owned(),
    };
    match bytes {
        None => "-".to_owned(),
        Some(Written::Text(text)) => cut(text),
        Some(Written::Base64 { base64 }) => format!("base64 {}", cut(base64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(preview(None), "-");
        assert_eq!(preview(Some(&json_bytes::write(b"short"))), "short");
        let long = "\u{fc}".repeat(PREVIEW_CHARS + 1);
        let shown = preview(Some(&json_bytes::write(long.as_bytes())));
        assert_eq!(shown, "\u{fc}".repeat(PREVIEW_CHARS) + "..");
        assert_eq!(preview(Some(&json_bytes::write(b"\xff"))), "base64 /w==");
    }
}
