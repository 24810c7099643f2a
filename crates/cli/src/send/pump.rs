//! Lines into an outlet: what sending to processes and to machines have in common.
//!
//! ```text
//! input -> lines (a thread) -> message -> outlet -> another process
//! ```
//!
//! Each line that is there is sent at once. At the end of the input, and where answers are awaited
//! at each pause of it, what was sent is waited for.

use std::borrow::Cow;
use std::time::Duration;

use super::outlet::Outlet;
use crate::args::Send;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::lines::{self, Lines, Next};
use crate::progress::{Progress, Tally};

/// The longest that Ctrl-C may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

/// How a line becomes a message.
pub(crate) trait Form {
    type Message: ToOwned + ?Sized;

    /// The message of a line, of which the number is for whoever has to be told what is wrong.
    fn read<'l>(&self, line: &'l [u8], number: u64) -> Result<Cow<'l, Self::Message>, Failure>;

    /// How many bytes of it are counted.
    fn bytes(message: &Self::Message) -> usize;
}

/// Sends the lines of the input to the outlet that `open` gives, which people know as `name`.
pub(crate) fn run<F: Form>(
    args: &Send,
    name: &str,
    form: F,
    open: impl FnOnce() -> Result<Box<dyn Outlet<F::Message>>, Failure>,
) -> Result<(), Failure> {
    let lines = Lines::open(&args.file)?;
    let interrupt = Interrupt::install()?;
    let outlet = open()?;
    let typed = lines::are_typed(&args.file);
    if typed && !args.quiet {
        lines::invite("message");
    }
    let mut sending = Sending {
        outlet,
        form,
        interrupt,
        line: 0,
        sent: Tally::default(),
        progress: Progress::new(!args.quiet && !typed, "message"),
    };
    let whole = sending.pump(&lines)?;
    let Sending { mut outlet, progress, sent, .. } = sending;
    let summary = progress.finish(sent);
    if !args.quiet {
        eprintln!("sent to {name}: {summary}");
    }
    match whole {
        true => outlet.finish(),
        false => Err(interrupted(outlet.unsettled())),
    }
}

fn interrupted(unsettled: Option<String>) -> Failure {
    let failure = Failure::new("interrupted: not all was sent and taken");
    match unsettled {
        None => failure,
        Some(left) => failure.cause(left),
    }
}

struct Sending<F: Form> {
    outlet: Box<dyn Outlet<F::Message>>,
    form: F,
    interrupt: Interrupt,
    /// Lines read so far.
    line: u64,
    sent: Tally,
    progress: Progress,
}

impl<F: Form> Sending<F> {
    /// Sends line after line. False if the user did not want to wait for the end.
    fn pump(&mut self, lines: &Lines) -> Result<bool, Failure> {
        loop {
            match lines.next(HEARS_WITHIN)? {
                Next::Chunk(chunk) => {
                    for line in chunk.lines() {
                        self.line += 1;
                        if !self.take(line)? {
                            return Ok(false);
                        }
                    }
                    if !self.until(|outlet, wait| outlet.pause(wait))? {
                        return Ok(false);
                    }
                }
                Next::Nothing => {}
                Next::End => return self.until(|outlet, wait| outlet.settle(wait)),
            }
            self.progress.tick(self.sent);
            if self.interrupt.came() {
                return Ok(false);
            }
        }
    }

    /// Sends a line as soon as there is room for it. False if the user did not want to wait.
    fn take(&mut self, line: &[u8]) -> Result<bool, Failure> {
        let number = self.line;
        let message = self.form.read(line, number)?;
        let sent = self.until(|outlet, wait| outlet.offer(&message, number, wait))?;
        if sent {
            self.sent.add(Tally { records: 1, bytes: F::bytes(&message) as u64 });
        }
        Ok(sent)
    }

    /// Tries until it is done, or the user does not want to wait: then false.
    fn until(
        &mut self,
        mut tried: impl FnMut(&mut dyn Outlet<F::Message>, Duration) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        loop {
            if tried(self.outlet.as_mut(), HEARS_WITHIN)? {
                return Ok(true);
            }
            self.progress.tick(self.sent);
            if self.interrupt.came() {
                return Ok(false);
            }
        }
    }
}
