//! Long polls: fetch, check, and hand over record by record.
//!
//! Every batch is checked (CRC32C) before a record of it is handed over, and what its records
//! inflate to is bounded. Partitions take turns at the head of the request, so that one with much
//! to read does not keep the others from their share.

use std::io;

use chaski_batch::{BatchError, Header, INFLATED_BYTES_MAX, Record, check, records};
use chaski_kafka::fetch::{self, Records};
use chaski_kafka::{ErrorCode, fetch::RequestPartition};
use thiserror::Error;

use crate::client::{Client, ClientError, Refusal};
use crate::failure::Failure;

/// How long the broker may wait for records; the longest that Ctrl-C may have to wait.
const WAIT_MS: i32 = 500;
const ANSWER_BYTES_MAX: i32 = 8 << 20;
const PARTITION_BYTES_MAX: i32 = 2 << 20;

/// How far one partition was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) partition: i32,
    /// Offset of the next record.
    pub(super) next: i64,
    /// Where to stop; None: never.
    pub(super) end: Option<i64>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Stop,
}

/// Why no more records come.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum FetchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("partition {partition} cannot be read at offset {offset}")]
    Refused { partition: i32, offset: i64, source: Refusal },
    #[error("partition {partition} has a damaged batch at offset {offset}")]
    Damaged { partition: i32, offset: i64, source: BatchError },
    #[error("cannot print")]
    Print(#[from] io::Error),
}

impl FetchError {
    pub(super) fn explain(self, topic: &str) -> Failure {
        let what = self.to_string();
        match self {
            FetchError::Client(error) => error.into(),
            FetchError::Refused { source, .. } => {
                let failure = Failure::because(what, &source);
                match source.code {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => failure.hint("was the topic deleted?"),
                    ErrorCode::OFFSET_OUT_OF_RANGE => failure.hint(format!(
                        "`chaski topic describe {topic}` shows which offsets there are"
                    )),
                    _ => failure,
                }
            }
            FetchError::Damaged { ref source, .. } => Failure::because(what, source)
                .hint("`chaski inspect segment PATH` shows the damage on the broker's disk"),
            FetchError::Print(ref error) => Failure::because(what, error),
        }
    }
}

/// Reads partitions of one topic.
#[derive(Debug)]
pub(super) struct Fetcher<'a> {
    client: Client,
    topic: &'a str,
    cursors: Vec<Cursor>,
    buf: Vec<u8>,
}

impl Cursor {
    fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Hands over the records of the batches in `bytes`. The last batch may be cut short, as long
    /// as it is not the first one too.
    fn walk(
        &mut self,
        bytes: &[u8],
        visit: &mut impl FnMut(i32, &Record<'_>) -> io::Result<Flow>,
    ) -> Result<Flow, FetchError> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_done() {
            let header = match check(rest) {
                Ok(header) => header,
                Err(BatchError::Short { .. }) if rest.len() < bytes.len() => break,
                // The checksum is right: a compacted batch, with gaps where records were.
                Err(BatchError::Count { .. }) => {
                    Header::parse(rest).map_err(|source| self.damaged(source))?
                }
                Err(source) => return Err(self.damaged(source)),
            };
            let (batch, behind) = rest.split_at(header.total_len());
            rest = behind;
            if !header.is_control() && self.hand_over(batch, visit)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            self.next = self.next.max(header.next_offset());
        }
        Ok(Flow::On)
    }

    /// Hands over the records of one batch from the next offset on.
    fn hand_over(
        &self,
        batch: &[u8],
        visit: &mut impl FnMut(i32, &Record<'_>) -> io::Result<Flow>,
    ) -> Result<Flow, FetchError> {
        let records = records(batch, INFLATED_BYTES_MAX).map_err(|source| self.damaged(source))?;
        for record in &records {
            let record = record.map_err(|source| self.damaged(source))?;
            if record.offset < self.next {
                continue;
            }
            if self.end.is_some_and(|end| record.offset >= end) {
                break;
            }
            if visit(self.partition, &record)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::On)
    }

    fn damaged(&self, source: BatchError) -> FetchError {
        FetchError::Damaged { partition: self.partition, offset: self.next, source }
    }

    /// Retention may have been quicker than this reader: it then goes on with what is left.
    fn recover(&mut self, answer: &fetch::Partition<'_>) -> Result<(), FetchError> {
        let refusal = Refusal::new(answer.error_code, None);
        let overtaken = answer.error_code == ErrorCode::OFFSET_OUT_OF_RANGE
            && answer.log_start_offset > self.next;
        if !overtaken {
            let Cursor { partition, next: offset, .. } = *self;
            return Err(FetchError::Refused { partition, offset, source: refusal });
        }
        let (partition, next, start) = (self.partition, self.next, answer.log_start_offset);
        eprintln!("partition {partition}: offsets {next} to {start} are no longer there");
        self.next = start;
        Ok(())
    }
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(client: Client, topic: &'a str, cursors: Vec<Cursor>) -> Fetcher<'a> {
        Fetcher { client, topic, cursors, buf: Vec::new() }
    }

    /// Whether every partition was read to its end.
    pub(super) fn is_done(&self) -> bool {
        self.cursors.iter().all(Cursor::is_done)
    }

    /// Waits for records, not for long, and hands over what came.
    pub(super) fn poll(
        &mut self,
        visit: &mut impl FnMut(i32, &Record<'_>) -> io::Result<Flow>,
    ) -> Result<(), FetchError> {
        let request = self.request();
        let response = self.client.call(&request, &mut self.buf)?;
        Refusal::check(response.error_code, None).map_err(ClientError::from)?;
        for answer in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let cursor = self.cursors.iter_mut().find(|c| c.partition == answer.partition_index);
            let Some(cursor) = cursor else { continue };
            if !answer.error_code.is_none() {
                cursor.recover(answer)?;
                continue;
            }
            let Records::Bytes(Some(bytes)) = answer.records else { continue };
            if cursor.walk(bytes, visit)? == Flow::Stop {
                return Ok(());
            }
        }
        self.cursors.rotate_left(1);
        Ok(())
    }

    fn request(&self) -> fetch::Request<'a> {
        let partition = |cursor: &Cursor| RequestPartition {
            partition: cursor.partition,
            fetch_offset: cursor.next,
            partition_max_bytes: PARTITION_BYTES_MAX,
            ..Default::default()
        };
        let partitions =
            self.cursors.iter().filter(|cursor| !cursor.is_done()).map(partition).collect();
        fetch::Request {
            max_wait_ms: WAIT_MS,
            min_bytes: 1,
            max_bytes: ANSWER_BYTES_MAX,
            topics: vec![fetch::RequestTopic { topic: self.topic, partitions }],
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use chaski_batch::{Builder, Codec, set_base_offset};

    use super::*;

    /// Two records from `base` on.
    fn batch(base: i64, codec: Codec) -> Vec<u8> {
        let mut builder = Builder::new(codec);
        builder.push(0, None, Some(b"a"), &[]);
        builder.push(0, None, Some(b"b"), &[]);
        let mut batch = builder.build().unwrap();
        set_base_offset(&mut batch, base);
        batch
    }

    fn cursor(next: i64, end: Option<i64>) -> Cursor {
        Cursor { partition: 0, next, end }
    }

    /// The offsets handed over, at most `count` of them, and what came of it.
    fn walk(
        cursor: &mut Cursor,
        bytes: &[u8],
        count: usize,
    ) -> (Vec<i64>, Result<Flow, FetchError>) {
        let mut offsets = Vec::new();
        let flow = cursor.walk(bytes, &mut |_, record| {
            offsets.push(record.offset);
            Ok(if offsets.len() < count { Flow::On } else { Flow::Stop })
        });
        (offsets, flow)
    }

    #[test]
    fn a_batch_may_begin_before_the_next_offset_and_go_on_behind_the_end() {
        let bytes = [batch(4, Codec::None), batch(6, Codec::Lz4), batch(8, Codec::Zstd)].concat();
        let mut cursor = cursor(5, Some(7));
        assert_eq!(walk(&mut cursor, &bytes, 99).0, [5, 6]);
        assert!(cursor.is_done());
    }

    #[test]
    fn the_last_batch_may_be_cut_short_but_not_the_only_one() {
        let bytes = [batch(0, Codec::None), batch(2, Codec::None)].concat();
        let mut c = cursor(0, None);
        assert_eq!(walk(&mut c, &bytes[..bytes.len() - 1], 99).0, [0, 1]);
        assert_eq!(c.next, 2);
        let (offsets, flow) = walk(&mut c, &batch(2, Codec::None)[..70], 99);
        assert!(offsets.is_empty());
        assert!(matches!(flow, Err(FetchError::Damaged { offset: 2, .. })));
    }

    #[test]
    fn a_damaged_batch_gives_no_record() {
        let mut bytes = batch(0, Codec::None);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let (offsets, flow) = walk(&mut cursor(0, None), &bytes, 99);
        assert!(offsets.is_empty());
        assert!(matches!(flow, Err(FetchError::Damaged { source: BatchError::Crc { .. }, .. })));
    }

    #[test]
    fn control_batches_are_passed_over() {
        let mut builder = Builder::new(Codec::None).transactional().control();
        builder.push(0, Some(b"\0\0\0\x01"), Some(b""), &[]);
        let bytes = [builder.build().unwrap(), batch(1, Codec::None)].concat();
        let mut cursor = cursor(0, None);
        assert_eq!(walk(&mut cursor, &bytes, 99).0, [1, 2]);
        assert_eq!(cursor.next, 3);
    }

    #[test]
    fn enough_is_enough() {
        let bytes = [batch(0, Codec::None), batch(2, Codec::None)].concat();
        let (offsets, flow) = walk(&mut cursor(0, None), &bytes, 3);
        assert_eq!(offsets, [0, 1, 2]);
        assert!(matches!(flow, Ok(Flow::Stop)));
    }

    #[test]
    fn a_reader_overtaken_by_retention_goes_on_with_what_is_left() {
        let answer = |log_start_offset| fetch::Partition {
            error_code: ErrorCode::OFFSET_OUT_OF_RANGE,
            log_start_offset,
            ..Default::default()
        };
        let mut c = cursor(5, None);
        c.recover(&answer(9)).unwrap();
        assert_eq!(c.next, 9);
        assert!(c.recover(&answer(9)).is_err(), "the offset is beyond the end");
    }
}
