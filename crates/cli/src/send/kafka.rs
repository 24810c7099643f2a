//! Lines as records of a topic.
//!
//! ```text
//! input -> lines (a thread) -> record (parsed) -> partitioner -> producer (batches) -> broker
//! ```
//!
//! Lines that are there are batched. When none came for [`LINGER`], what was gathered is sent and
//! its acknowledgement awaited, so that a slow input is sent line by line and an error is seen
//! before more is read.

use std::time::Duration;

use super::producer::Producer;
use super::record::Parser;
use crate::address::TopicUrl;
use crate::args::Send;
use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::lines::{self, Lines, Next};
use crate::output::count;
use crate::progress::Progress;

/// How long a line waits for company.
const LINGER: Duration = Duration::from_millis(5);
/// How long to wait for input before asking whether the user wants to stop.
const IDLE: Duration = Duration::from_millis(100);

pub(super) fn run(url: &TopicUrl, args: &Send) -> Result<(), Failure> {
    let mut client = Client::connect(&url.broker)?;
    let topic = client.topic_or_create(&url.topic)?;
    topic.choose(args.partition.as_slice())?;
    let typed = lines::are_typed(&args.file);
    if typed && !args.quiet {
        lines::invite("record");
    }
    let lines = Lines::open(&args.file)?;
    let mut sending = Sending {
        parser: Parser::new(args),
        producer: Producer::new(client, &topic, args),
        progress: Progress::new(!args.quiet && !typed, "record"),
        line: 0,
    };
    let interrupt = Interrupt::install()?;
    let whole = sending.pump(&lines, &interrupt)?;
    let Sending { producer, progress, .. } = sending;
    let summary = progress.finish(producer.finish()?);
    if !args.quiet {
        eprintln!("sent to {}: {summary}", url.topic);
    }
    match whole {
        true => Ok(()),
        false => Err(Failure::new("interrupted: the rest of the input was not read")),
    }
}

struct Sending<'a> {
    parser: Parser<'a>,
    producer: Producer<'a>,
    progress: Progress,
    /// Lines read so far.
    line: u64,
}

impl Sending<'_> {
    /// Sends line after line. False if the user did not want to wait for the end.
    fn pump(&mut self, lines: &Lines, interrupt: &Interrupt) -> Result<bool, Failure> {
        loop {
            let wait = if self.producer.is_idle() { IDLE } else { LINGER };
            match lines.next(wait)? {
                Next::Chunk(chunk) => {
                    let now_ms = jiff::Timestamp::now().as_millisecond();
                    for line in chunk.lines() {
                        self.line += 1;
                        self.take(line, now_ms)?;
                    }
                }
                Next::Nothing => self.producer.flush()?,
                Next::End => return Ok(true),
            }
            self.progress.tick(self.producer.acknowledged());
            if interrupt.came() {
                return Ok(false);
            }
        }
    }

    fn take(&mut self, line: &[u8], now_ms: i64) -> Result<(), Failure> {
        match self.parser.parse(line) {
            Ok(record) => self.producer.push(&record, now_ms, self.line),
            Err(error) => {
                self.producer.flush()?;
                let sent = count(self.producer.acknowledged().records, "record");
                Err(Failure::because(format!("line {} is no record", self.line), &error)
                    .cause(format!("{sent} before it went to the broker"))
                    .hint(error.hint()))
            }
        }
    }
}
