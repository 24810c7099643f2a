//! The records of a topic.

use std::io::{self, BufWriter, IsTerminal, Write};

use chaski_kafka::list_offsets::{EARLIEST, LATEST};

use super::fetcher::{Cursor, FetchError, Fetcher, Flow};
use super::printer::Printer;
use crate::address::TopicUrl;
use crate::args::Recv;
use crate::client::{Client, ClientError};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::printed;
use crate::position::Position;
use crate::progress::{Progress, Tally};
use crate::start::starts;

const OUTPUT_BUFFER_BYTES: usize = 256 * 1024;

pub(super) fn run(url: &TopicUrl, args: &Recv) -> Result<(), Failure> {
    let interrupt = Interrupt::install()?;
    let mut client = Client::connect_with(&url.broker, interrupt.clone())?;
    let to_terminal = io::stdout().is_terminal();
    let follow = follows(args, to_terminal);
    let cursors = cursors(&mut client, &url.topic, args, follow)?;
    if to_terminal && follow && args.from.is_none() && io::stderr().is_terminal() {
        eprintln!("waiting for new records; `--from earliest` prints those that are there");
    }
    let mut receiving = Receiving {
        fetcher: Fetcher::new(client, &url.topic, cursors),
        printer: Printer::new(&url.topic, args),
        out: BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, io::stdout().lock()),
        progress: Progress::new(!to_terminal, "record"),
        received: Tally::default(),
        count: args.count.unwrap_or(u64::MAX),
    };
    let done = receiving.pump(&interrupt);
    receiving.progress.finish(receiving.received);
    match done {
        Err(FetchError::Client(ClientError::Interrupted)) => Ok(()),
        Err(FetchError::Print(error)) => printed(Err(error)),
        Err(error) => Err(error.explain(&url.topic)),
        Ok(()) => Ok(()),
    }
}

fn follows(args: &Recv, to_terminal: bool) -> bool {
    args.follow || !args.exit_at_end && (to_terminal || args.count.is_some())
}

/// Where each partition is read from, and up to where.
fn cursors(
    client: &mut Client,
    topic: &str,
    args: &Recv,
    follow: bool,
) -> Result<Vec<Cursor>, Failure> {
    let topic = client.topic(topic)?;
    let partitions = topic.choose(&args.partitions)?;
    let earliest = client.offsets(topic.keys(), EARLIEST)?;
    let latest = client.offsets(topic.keys(), LATEST)?;
    let by_default = if follow { Position::Latest } else { Position::Earliest };
    let from = args.from.unwrap_or(by_default);
    let mut cursors = Vec::with_capacity(partitions.len());
    for start in starts(client, &topic.name, &partitions, from, &earliest, &latest)? {
        if let Some(note) = start.note {
            eprintln!("partition {} starts at {}: {note}", start.partition, start.offset);
        }
        let end = latest.get(&(topic.name.clone(), start.partition)).filter(|_| !follow);
        cursors.push(Cursor { partition: start.partition, next: start.offset, end: end.copied() });
    }
    Ok(cursors)
}

struct Receiving<'a, W: Write> {
    fetcher: Fetcher<'a>,
    printer: Printer<'a>,
    out: W,
    progress: Progress,
    received: Tally,
    /// Stop after so many records.
    count: u64,
}

impl<W: Write> Receiving<'_, W> {
    /// Prints records until enough were, the end is reached, or the user wants to stop.
    fn pump(&mut self, interrupt: &Interrupt) -> Result<(), FetchError> {
        let Receiving { fetcher, printer, out, progress, received, count } = self;
        while !fetcher.is_done() && received.records < *count && !interrupt.came() {
            let polled = fetcher.poll(&mut |partition, record| {
                printer.print(out, partition, record)?;
                let bytes = [record.key, record.value].map(|b| b.map_or(0, <[u8]>::len));
                received.add(Tally { records: 1, bytes: bytes.iter().sum::<usize>() as u64 });
                Ok(if received.records < *count { Flow::On } else { Flow::Stop })
            });
            // What was printed before a failure is to be seen.
            out.flush()?;
            polled?;
            progress.tick(*received);
        }
        Ok(())
    }
}
