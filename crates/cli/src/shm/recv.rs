//! `chaski recv shm://NAME`.
//!
//! What is printed is held back as long as more is there, and shown before it sleeps.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

use super::inlet::{self, Awaiting, Came, Inlet, Origin};
use super::send::refuse_given;
use crate::args::{Recv, RecvFormat};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::json_bytes::{self, Written};
use crate::output::printed;
use crate::progress::{Progress, Tally};
use crate::service::ServiceUrl;

/// The longest that Ctrl-C may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);
const OUTPUT_BUFFER_BYTES: usize = 256 * 1024;

pub(crate) fn run(url: &ServiceUrl, args: &Recv) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    let interrupt = Interrupt::install()?;
    let awaiting = Awaiting { interrupt: &interrupt, follow: args.follow };
    let Some(inlet) = inlet::open(url, &awaiting)? else { return Ok(()) };
    let mut receiving = Receiving {
        inlet,
        printer: Printer { service: &url.name, form: args.output },
        out: BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, io::stdout().lock()),
        progress: Progress::new(!io::stdout().is_terminal(), "message"),
        received: Tally::default(),
        count: args.count.unwrap_or(u64::MAX),
    };
    let done = receiving.pump(&interrupt);
    receiving.progress.finish(receiving.received);
    match done {
        Ok(()) => Ok(()),
        Err(Stopped::Print(error)) => printed(Err(error)),
        Err(Stopped::Failed(failure)) => Err(failure),
    }
}

/// Why it ended before its time.
enum Stopped {
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

struct Receiving<'a, W: Write> {
    inlet: Box<dyn Inlet>,
    printer: Printer<'a>,
    out: W,
    progress: Progress,
    received: Tally,
    /// Stop after so many messages.
    count: u64,
}

impl<W: Write> Receiving<'_, W> {
    /// Prints messages until enough were, no more can come, or the user wants to stop.
    fn pump(&mut self, interrupt: &Interrupt) -> Result<(), Stopped> {
        let mut payload = Vec::new();
        let mut wait = Duration::ZERO;
        while self.received.records < self.count && !interrupt.came() {
            let came = match self.inlet.next(wait, &mut payload) {
                Ok(came) => came,
                Err(failure) => {
                    // What was printed before a failure is to be seen.
                    self.out.flush()?;
                    return Err(failure.into());
                }
            };
            match came {
                Came::Message(origin) => {
                    self.printer.print(&mut self.out, origin, &payload)?;
                    self.received.add(Tally { records: 1, bytes: payload.len() as u64 });
                    wait = Duration::ZERO;
                }
                Came::Nothing => {
                    self.out.flush()?;
                    self.progress.tick(self.received);
                    wait = HEARS_WITHIN;
                }
                Came::End => break,
            }
        }
        Ok(self.out.flush()?)
    }
}

struct Printer<'a> {
    service: &'a str,
    form: RecvFormat,
}

/// What `send --json` takes.
#[derive(Serialize)]
struct JsonLine<'a> {
    service: &'a str,
    #[serde(flatten)]
    origin: Origin,
    value: Written<'a>,
}

impl Printer<'_> {
    fn print(&self, out: &mut impl Write, origin: Origin, message: &[u8]) -> io::Result<()> {
        match self.form {
            RecvFormat::Raw => return out.write_all(message),
            RecvFormat::Text => out.write_all(message)?,
            RecvFormat::Json => {
                let value = json_bytes::write(message);
                serde_json::to_writer(
                    &mut *out,
                    &JsonLine { service: self.service, origin, value },
                )?;
            }
        }
        out.write_all(b"\n")
    }
}

/// What a topic has and a service has not.
fn refuse_options_of_topics(args: &Recv) -> Result<(), Failure> {
    refuse_given(&[
        ("--from", args.from.is_some()),
        ("--exit-at-end", args.exit_at_end),
        ("--partition", !args.partitions.is_empty()),
        ("--key", args.key),
        ("--null-value", !args.null_value.is_empty()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printed_in_each_form() {
        let printed = |form, origin, message: &[u8]| {
            let mut out = Vec::new();
            Printer { service: "s", form }.print(&mut out, origin, message).unwrap();
            String::from_utf8(out).unwrap()
        };
        let of = |pid, rings| Origin { pid, rings, ..Origin::default() };
        assert_eq!(printed(RecvFormat::Text, of(Some(7), None), b"a"), "a\n");
        assert_eq!(printed(RecvFormat::Raw, of(Some(7), None), b"a"), "a");
        let json = "{\"service\":\"s\",\"pid\":7,\"value\":\"a\"}\n";
        assert_eq!(printed(RecvFormat::Json, of(Some(7), None), b"a"), json);
        let json = "{\"service\":\"s\",\"pid\":7,\"rings\":2,\"value\":\"1\"}\n";
        assert_eq!(printed(RecvFormat::Json, of(Some(7), Some(2)), b"1"), json);
        let json = "{\"service\":\"s\",\"value\":{\"base64\":\"/w==\"}}\n";
        assert_eq!(printed(RecvFormat::Json, Origin::default(), b"\xff"), json);
    }
}
