//! Requests, of which each is answered by a line on standard output.
//!
//! Some are under way at once. A server may answer in any order; answers are printed in that of
//! the requests.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use chaski_shm::{Client, Error, RequestId};

use super::unheard_of;
use crate::failure::Failure;
use crate::output::count;
use crate::send::outlet::Outlet;
use crate::service::{Role, ServiceUrl};
use crate::shm::explain;

/// Requests under way.
const OUTSTANDING_MAX: usize = 64;
/// How long to wait for an answer before asking again whether there is room for a request.
const ROOM: Duration = Duration::from_millis(1);

pub(super) struct Calling {
    client: Client,
    name: String,
    /// Requests whose answers were not printed, in order.
    asked: VecDeque<Asked>,
    out: BufWriter<io::Stdout>,
    all: u64,
    failed: u64,
}

/// A request, and its answer as far as it has come.
struct Asked {
    id: RequestId,
    line: u64,
    answer: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Answered,
    Failed,
}

impl Calling {
    pub(super) fn open(url: &ServiceUrl) -> Result<Calling, Failure> {
        let mut builder = Client::builder().outstanding_max(OUTSTANDING_MAX);
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let client =
            builder.connect(&url.name).map_err(|e| explain::connect(url, Role::Call, &e))?;
        Ok(Calling {
            client,
            name: url.to_string(),
            asked: VecDeque::new(),
            out: BufWriter::new(io::stdout()),
            all: 0,
            failed: 0,
        })
    }

    /// Takes what comes for any request. False: nothing came.
    fn hear(&mut self, wait: Duration) -> Result<bool, Failure> {
        let (id, failed) = match self.client.recv_timeout(wait) {
            Ok(part) => {
                let id = part.id();
                if let Some(asked) = self.asked.iter_mut().find(|asked| asked.id == id) {
                    asked.answer.extend_from_slice(&part);
                    asked.state = if part.is_last() { State::Answered } else { State::Waits };
                }
                (id, None)
            }
            Err(Error::TimedOut) => return Ok(false),
            Err(error) => match of_one(&error) {
                Some(id) => (id, Some(error)),
                None => return Err(self.broken(&error)),
            },
        };
        if let Some(error) = failed {
            self.fail(id, &error);
        }
        self.print().map_err(|error| unprinted(&error))?;
        Ok(true)
    }

    /// One request has no answer; the others go on.
    fn fail(&mut self, id: RequestId, error: &Error) {
        self.failed += 1;
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.id == id) {
            asked.state = State::Failed;
            eprintln!("line {}: {}", asked.line, outcome(error));
        }
    }

    /// Prints what is complete, up to the first answer that is not.
    fn print(&mut self) -> io::Result<()> {
        while let Some(asked) = self.asked.front().filter(|asked| asked.state != State::Waits) {
            if asked.state == State::Answered {
                self.out.write_all(&asked.answer)?;
                self.out.write_all(b"\n")?;
            }
            self.asked.pop_front();
        }
        Ok(())
    }

    /// Requests under way.
    fn unanswered(&self) -> u64 {
        self.asked.iter().filter(|asked| asked.state == State::Waits).count() as u64
    }

    fn broken(&mut self, error: &Error) -> Failure {
        // What came before is to be seen; if nobody reads it, that is the lesser trouble.
        let _ = self.out.flush();
        let left = count(self.unanswered(), "request");
        explain::broken(format!("cannot ask {}", self.name), error)
            .cause(format!("{left} had been sent and not answered"))
    }
}

/// The request that an error is about, if it is about one.
fn of_one(error: &Error) -> Option<RequestId> {
    match error {
        Error::Unanswered { request }
        | Error::InDoubt { request }
        | Error::NotTaken { request } => Some(*request),
        _ => None,
    }
}

/// What became of a request. Its line is known, its number does not matter to anybody.
fn outcome(error: &Error) -> &'static str {
    match error {
        Error::Unanswered { .. } => "the server dropped it without an answer",
        Error::InDoubt { .. } => "the server took it and died; it may have been worked on",
        Error::NotTaken { .. } => "no server took it",
        _ => "no answer",
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

impl Outlet<[u8]> for Calling {
    fn offer(&mut self, message: &[u8], line: u64, wait: Duration) -> Result<bool, Failure> {
        if self.asked.len() >= OUTSTANDING_MAX && !self.hear(wait)? {
            return Ok(false);
        }
        if self.asked.len() >= OUTSTANDING_MAX {
            return Ok(false);
        }
        match self.client.try_send(message) {
            Ok(id) => {
                let asked = Asked { id, line, answer: Vec::new(), state: State::Waits };
                self.asked.push_back(asked);
                self.all += 1;
                Ok(true)
            }
            Err(Error::Full | Error::TooMany { .. }) => {
                self.hear(wait.min(ROOM))?;
                Ok(false)
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Answers are shown before more is read: somebody may type the next question.
    fn pause(&mut self, wait: Duration) -> Result<bool, Failure> {
        while !self.asked.is_empty() {
            if !self.hear(wait)? {
                break;
            }
        }
        self.out.flush().map_err(|error| unprinted(&error))?;
        Ok(self.asked.is_empty())
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        self.pause(wait)
    }

    fn unsettled(&mut self) -> Option<String> {
        unheard_of(self.unanswered())
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        let Calling { all, failed, .. } = *self;
        match failed {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{failed} of {} got no answer", count(all, "request")))),
        }
    }
}
