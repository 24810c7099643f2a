//! `chaski send shm://NAME`.
//!
//! ```text
//! input -> lines (a thread) -> message -> outlet: a ring -> another process
//! ```
//!
//! Each line that is there is sent at once. At the end of the input, and with requests at each
//! pause of it, what was sent is waited for.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::outlet::{self, Outlet};
use crate::args::{Acks, CodecName, Send};
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::interrupt::Interrupt;
use crate::json_bytes;
use crate::lines::{Lines, Next};
use crate::output::count;
use crate::progress::{Progress, Tally};
use crate::service::ServiceUrl;

/// The longest that Ctrl-C may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

pub(crate) fn run(url: &ServiceUrl, args: &Send) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    let lines = Lines::open(&args.file)?;
    let interrupt = Interrupt::install()?;
    let mut sending = Sending {
        outlet: outlet::open(url)?,
        interrupt,
        json: args.json,
        line: 0,
        sent: Tally::default(),
        progress: Progress::new(!args.quiet, "message"),
    };
    let whole = sending.pump(&lines)?;
    let Sending { mut outlet, progress, sent, .. } = sending;
    let summary = progress.finish(sent);
    if !args.quiet {
        eprintln!("sent to {}: {summary}", url.name);
    }
    match whole {
        true => outlet.finish(),
        false => Err(interrupted(outlet.unsettled())),
    }
}

fn interrupted(unsettled: u64) -> Failure {
    let failure = Failure::new("interrupted: not all was sent and taken");
    match unsettled {
        0 => failure,
        left => {
            failure.cause(format!("{} sent, of which nothing was heard", count(left, "message")))
        }
    }
}

struct Sending {
    outlet: Box<dyn Outlet>,
    interrupt: Interrupt,
    json: bool,
    /// Lines read so far.
    line: u64,
    sent: Tally,
    progress: Progress,
}

impl Sending {
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
        let message = match self.json {
            true => value(line).map_err(|error| {
                Failure::because(format!("line {} is no message", self.line), &error)
                    .hint("with --json, a line is an object with `value`")
            })?,
            false => Cow::Borrowed(line),
        };
        let number = self.line;
        let sent = self.until(|outlet, wait| outlet.offer(&message, number, wait))?;
        if sent {
            self.sent.add(Tally { records: 1, bytes: message.len() as u64 });
        }
        Ok(sent)
    }

    /// Tries until it is done, or the user does not want to wait: then false.
    fn until(
        &mut self,
        mut tried: impl FnMut(&mut dyn Outlet, Duration) -> Result<bool, Failure>,
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

/// What `--json` takes, and `recv -o json` prints. The rest of an object says where a message came
/// from, and is passed over.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The value of a JSON line; null is empty.
fn value(line: &[u8]) -> Result<Cow<'_, [u8]>, json_bytes::BytesError> {
    let JsonLine { value } = serde_json::from_slice(line)?;
    Ok(Cow::Owned(json_bytes::read(value)?.unwrap_or_default()))
}

/// What a topic has and a message has not.
fn refuse_options_of_topics(args: &Send) -> Result<(), Failure> {
    let given = [
        ("--key-separator", args.key_separator.is_some()),
        ("--key", args.key.is_some()),
        ("--header", !args.headers.is_empty()),
        ("--partition", args.partition.is_some()),
        ("--null-value", args.null_value.is_some()),
        ("--codec", args.codec != CodecName::None),
        ("--acks", args.acks != Acks::All),
    ];
    refuse_given(&given)
}

/// Refuses the first option that was given.
pub(super) fn refuse_given(options: &[(&str, bool)]) -> Result<(), Failure> {
    let Some((option, _)) = options.iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Failure::new(format!("{option} is for kafka://, not for shm://"))
        .hint("a message in shared memory is bytes and nothing else")
        .code(CALLED_WRONGLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_an_object_is_the_message() {
        let of = |line: &str| value(line.as_bytes()).map(Cow::into_owned).ok();
        assert_eq!(of(r#"{"value":"a"}"#), Some(b"a".to_vec()));
        assert_eq!(of(r#"{"service":"s","pid":1,"value":{"n":1}}"#), Some(b"{\"n\":1}".to_vec()));
        assert_eq!(of(r#"{"value":{"base64":"/w=="}}"#), Some(vec![0xff]));
        assert_eq!(of(r#"{"value":null}"#), Some(Vec::new()));
        assert_eq!(of(r#"{"key":"a"}"#), None);
        assert_eq!(of("a"), None);
    }
}
