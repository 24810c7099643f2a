//! `chaski recv shm://NAME`: messages are bytes, and who sent them.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use serde::Serialize;

use super::inlet::{self, Awaiting, Came, Inlet, Origin};
use super::send::NO_TOPIC;
use crate::args::{Recv, RecvFormat};
use crate::failure::{Failure, refuse_given};
use crate::interrupt::Interrupt;
use crate::json_bytes::{self, Written};
use crate::query::Side;
use crate::recv::pump::{self, Passed, Source, Stopped};
use crate::service::{Role, ServiceUrl};

pub(crate) fn run(url: &ServiceUrl, args: &Recv) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    let interrupt = Interrupt::install()?;
    let awaiting = Awaiting { interrupt: &interrupt, follow: args.follow };
    let Some(inlet) = inlet::open(url, &awaiting)? else { return Ok(()) };
    if io::stdout().is_terminal() && io::stderr().is_terminal() {
        invite(url);
    }
    let printer = Printer { service: &url.name, form: args.output };
    let mut receiving = Receiving { inlet, printer, payload: Vec::new() };
    pump::run(&mut receiving, args, &interrupt)
}

/// Says who is waited for, where this end has the name.
fn invite(url: &ServiceUrl) {
    let role = url.role.unwrap_or(Role::Pull);
    if url.side(role) == Side::Connect || url.dir.is_some() {
        return;
    }
    let name = &url.name;
    match role.opposite() {
        Role::Push => eprintln!("waiting for: chaski send shm://{name}"),
        other => eprintln!("waiting for: chaski send 'shm://{name}?type={other}'"),
    }
}

struct Receiving<'a> {
    inlet: Box<dyn Inlet>,
    printer: Printer<'a>,
    payload: Vec<u8>,
}

impl Source for Receiving<'_> {
    fn pass_on(&mut self, wait: Duration, out: &mut dyn Write) -> Result<Passed, Stopped> {
        match self.inlet.next(wait, &mut self.payload)? {
            Came::Message(origin) => {
                self.printer.print(out, origin, &self.payload)?;
                Ok(Passed::Message(self.payload.len()))
            }
            Came::Nothing => Ok(Passed::Nothing),
            Came::End => Ok(Passed::End),
        }
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
    fn print(&self, out: &mut dyn Write, origin: Origin, message: &[u8]) -> io::Result<()> {
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
    let given = [
        ("--from", args.from.is_some()),
        ("--exit-at-end", args.exit_at_end),
        ("--partition", !args.partitions.is_empty()),
        ("--key", args.key),
        ("--null-value", !args.null_value.is_empty()),
    ];
    refuse_given(&given, NO_TOPIC)
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
