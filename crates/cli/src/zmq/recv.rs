//! `chaski recv zmq+tcp://HOST:PORT`.

use std::io::Write;
use std::time::Duration;

use chaski_zmq::{Message, RecvError, Socket};

use super::frames::Printer;
use super::meeting::Meeting;
use super::send::NO_TOPIC;
use super::url::{Role, ZmqUrl};
use crate::args::Recv;
use crate::failure::{CALLED_WRONGLY, Failure, refuse_given};
use crate::interrupt::Interrupt;
use crate::recv::pump::{self, Passed, Source, Stopped};

/// How long an answer may wait for room. Nobody who asks reads so slowly that it matters.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

pub(crate) fn run(url: &ZmqUrl, args: &Recv) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    let role = url.role.unwrap_or(Role::Pull);
    if !role.receives() {
        return Err(wrong_way(role));
    }
    let interrupt = Interrupt::install()?;
    let suit = || Socket::builder(role.kind());
    let meeting = Meeting::open(url, role, &args.security, false, suit)?;
    if role == Role::Sub {
        subscribe(&meeting.socket, &url.topics)?;
    }
    let printer = Printer { form: args.output, separator: args.key_separator.clone() };
    let answers = role == Role::Rep;
    let mut receiving = Receiving { meeting, printer, answers, follow: args.follow, ending: false };
    pump::run(&mut receiving, args, &interrupt)?;
    // The last answer may be on its way.
    receiving.meeting.socket.close(ANSWERS_WITHIN);
    Ok(())
}

/// To these topics, or to all.
fn subscribe(socket: &Socket, topics: &[String]) -> Result<(), Failure> {
    let failed = |error| Failure::because("cannot subscribe", &error);
    match topics {
        [] => socket.subscribe("").map_err(failed),
        _ => topics.iter().try_for_each(|topic| socket.subscribe(topic)).map_err(failed),
    }
}

fn wrong_way(role: Role) -> Failure {
    let other = role.opposite();
    Failure::new(format!("`type={role}` sends, and this is `chaski recv`"))
        .hint(format!("`type={other}` receives from it; `chaski send` is what sends"))
        .code(CALLED_WRONGLY)
}

struct Receiving {
    meeting: Meeting,
    printer: Printer,
    /// Each message with itself.
    answers: bool,
    /// Wait for the next one when the one who sends is gone.
    follow: bool,
    /// The one who sends is gone; what it had sent may still be there.
    ending: bool,
}

impl Receiving {
    fn next(&mut self, wait: Duration) -> Result<Option<Message>, Failure> {
        let socket = &self.meeting.socket;
        let received = if wait.is_zero() { socket.try_recv() } else { socket.recv_timeout(wait) };
        match received {
            Ok(message) => Ok(Some(message)),
            Err(RecvError::Empty | RecvError::Timeout) => Ok(None),
            Err(error) => Err(Failure::because("cannot receive", &error)),
        }
    }

    fn answer(&self, message: &Message) -> Result<(), Failure> {
        match self.meeting.socket.send_timeout(message.clone(), ANSWERS_WITHIN) {
            Err(error) if !error.is_full() => Err(Failure::because("cannot answer", &error)),
            // Who asked and reads no answers gets none.
            _ => Ok(()),
        }
    }
}

impl Source for Receiving {
    fn pass_on(&mut self, wait: Duration, out: &mut dyn Write) -> Result<Passed, Stopped> {
        if let Some(message) = self.next(wait)? {
            self.printer.print(out, &message)?;
            if self.answers {
                self.answer(&message)?;
            }
            return Ok(Passed::Message(message.byte_len()));
        }
        if self.ending {
            return Ok(Passed::End);
        }
        self.meeting.look()?;
        self.ending = !self.follow && self.meeting.is_over();
        Ok(Passed::Nothing)
    }
}

/// What a topic has and a socket has not.
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
