//! Messages out of a source onto standard output: what receiving from processes and from machines
//! have in common.
//!
//! What is printed is held back as long as more is there, and shown before it sleeps.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use crate::args::Recv;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::printed;
use crate::progress::{Progress, Tally};

/// The longest that Ctrl-C may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);
const OUTPUT_BUFFER_BYTES: usize = 256 * 1024;

/// Where messages come from, and how they are printed.
pub(crate) trait Source {
    /// Prints the next message, waiting for it no longer than that.
    fn pass_on(&mut self, wait: Duration, out: &mut dyn Write) -> Result<Passed, Stopped>;
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// A message of so many bytes.
    Message(usize),
    Nothing,
    /// Nothing, and nothing will.
    End,
}

/// Why it ended before its time.
pub(crate) enum Stopped {
    Failed(Failure),
    Print(io::Error),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped::Failed(failure)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::Print(error)
    }
}

/// Prints what comes until enough came, no more can come, or the user wants to stop.
pub(crate) fn run(
    source: &mut dyn Source,
    args: &Recv,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut receiving = Receiving {
        source,
        out: BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, io::stdout().lock()),
        progress: Progress::new(!io::stdout().is_terminal(), "message"),
        received: Tally::default(),
        count: args.count.unwrap_or(u64::MAX),
    };
    let done = receiving.pump(interrupt);
    receiving.progress.finish(receiving.received);
    match done {
        Ok(()) => Ok(()),
        Err(Stopped::Print(error)) => printed(Err(error)),
        Err(Stopped::Failed(failure)) => Err(failure),
    }
}

struct Receiving<'a, W: Write> {
    source: &'a mut dyn Source,
    out: W,
    progress: Progress,
    received: Tally,
    /// Stop after so many messages.
    count: u64,
}

impl<W: Write> Receiving<'_, W> {
    fn pump(&mut self, interrupt: &Interrupt) -> Result<(), Stopped> {
        let mut wait = Duration::ZERO;
        while self.received.records < self.count && !interrupt.came() {
            let passed = match self.source.pass_on(wait, &mut self.out) {
                Err(Stopped::Failed(failure)) => {
                    // What was printed before a failure is to be seen.
                    self.out.flush()?;
                    return Err(failure.into());
                }
                passed => passed?,
            };
            match passed {
                Passed::Message(bytes) => {
                    self.received.add(Tally { records: 1, bytes: bytes as u64 });
                    wait = Duration::ZERO;
                }
                Passed::Nothing => {
                    self.out.flush()?;
                    self.progress.tick(self.received);
                    wait = HEARS_WITHIN;
                }
                Passed::End => break,
            }
        }
        Ok(self.out.flush()?)
    }
}
