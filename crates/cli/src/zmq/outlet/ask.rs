//! Requests, of which each is answered by a line on standard output before the next is sent: REQ
//! and REP take turns.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use chaski_zmq::{Message, Socket};

use super::broken;
use crate::args::Send;
use crate::failure::{Failure, PEER_LOST};
use crate::send::outlet::Outlet;
use crate::zmq::frames::join;
use crate::zmq::meeting::Meeting;
use crate::zmq::url::{Role, ZmqUrl};

/// What stands between frames unless `--key-separator` says otherwise.
const SEPARATOR: &str = "\t";

pub(super) struct Asking {
    meeting: Meeting,
    /// The request under way.
    asked: Option<Asked>,
    out: BufWriter<io::Stdout>,
    separator: String,
}

#[derive(Clone, Copy)]
struct Asked {
    line: u64,
    /// Connections lost when it was sent.
    lost: u64,
}

impl Asking {
    pub(super) fn open(url: &ZmqUrl, args: &Send) -> Result<Asking, Failure> {
        let meeting = Meeting::open(url, Role::Req, &args.security, args.quiet, || {
            Socket::builder(Role::Req.kind())
        })?;
        let separator = args.key_separator.as_deref().unwrap_or(SEPARATOR).to_owned();
        Ok(Asking { meeting, asked: None, out: BufWriter::new(io::stdout()), separator })
    }

    /// Waits for the answer to the request under way. False: it did not come.
    fn hear(&mut self, wait: Duration) -> Result<bool, Failure> {
        let Some(asked) = self.asked else { return Ok(true) };
        match self.meeting.socket.recv_timeout(wait) {
            Ok(answer) => {
                self.asked = None;
                self.print(&answer).map_err(|error| unprinted(&error))?;
                Ok(true)
            }
            Err(error) if error.is_empty() => {
                self.meeting.look()?;
                if self.is_lost(asked) { Err(self.unanswered(asked)) } else { Ok(false) }
            }
            Err(error) => Err(Failure::because("cannot receive the answer", &error)),
        }
    }

    /// Whether the peer that has the request went away. One that waits to be written goes to the
    /// next.
    fn is_lost(&self, asked: Asked) -> bool {
        let meeting = &self.meeting;
        meeting.lost() > asked.lost && meeting.unsent() == 0 && meeting.nobody_is_there()
    }

    fn unanswered(&mut self, asked: Asked) -> Failure {
        // What came before is to be seen; if nobody reads it, that is the lesser trouble.
        let _ = self.out.flush();
        let failure = Failure::new(format!("line {} was not answered", asked.line))
            .cause("the other side went away; the request may have been worked on")
            .code(PEER_LOST);
        match self.meeting.why() {
            Some(why) => failure.cause(why),
            None => failure,
        }
    }

    fn print(&mut self, answer: &Message) -> io::Result<()> {
        join(&mut self.out, answer, &self.separator)?;
        self.out.write_all(b"\n")
    }
}

/// Not all was asked, so even a pipe that was closed on purpose is a failure.
fn unprinted(error: &io::Error) -> Failure {
    let failure = Failure::because("cannot print the answers", error);
    match error.kind() {
        io::ErrorKind::BrokenPipe => failure.hint("nobody reads them any more"),
        _ => failure,
    }
}

impl Outlet<Message> for Asking {
    fn offer(&mut self, message: &Message, line: u64, wait: Duration) -> Result<bool, Failure> {
        if !self.hear(wait)? {
            return Ok(false);
        }
        self.meeting.look()?;
        let lost = self.meeting.lost();
        match self.meeting.socket.send_timeout(message.clone(), wait) {
            Ok(()) => {
                self.asked = Some(Asked { line, lost });
                Ok(true)
            }
            Err(error) if error.is_full() => Ok(false),
            Err(error) => Err(broken(line, &error)),
        }
    }

    /// Answers are shown before more is read: somebody may type the next question.
    fn pause(&mut self, wait: Duration) -> Result<bool, Failure> {
        let heard = self.hear(wait)?;
        self.out.flush().map_err(|error| unprinted(&error))?;
        Ok(heard)
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        self.pause(wait)
    }

    fn unsettled(&mut self) -> Option<String> {
        self.asked.map(|asked| format!("line {} sent, and not answered", asked.line))
    }
}
