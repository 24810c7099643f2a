//! Sockets that messages go out of.

mod ask;
mod give;
mod publish;

use std::thread;
use std::time::{Duration, Instant};

use chaski_zmq::{Message, SendError};

use super::meeting::Meeting;
use super::url::{Role, ZmqUrl};
use crate::args::Send;
use crate::failure::{CALLED_WRONGLY, Failure, PEER_LOST};
use crate::output::count;
use crate::send::outlet::Outlet;

/// How often to look whether what is sent has left, or somebody has come.
const LOOKS_EVERY: Duration = Duration::from_millis(2);
/// How long closing may take when nothing waits any more.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// The outlet that a URL means.
pub(super) fn open(url: &ZmqUrl, args: &Send) -> Result<Box<dyn Outlet<Message>>, Failure> {
    match url.role.unwrap_or(Role::Push) {
        Role::Pub => Ok(Box::new(publish::Publishing::open(url, args)?)),
        Role::Req => Ok(Box::new(ask::Asking::open(url, args)?)),
        role if role.sends() => Ok(Box::new(give::Giving::open(url, role, args)?)),
        role => Err(wrong_way(role)),
    }
}

fn wrong_way(role: Role) -> Failure {
    let other = role.opposite();
    Failure::new(format!("`type={role}` receives, and this is `chaski send`"))
        .hint(format!("`type={other}` sends to it; `chaski recv` is what receives"))
        .code(CALLED_WRONGLY)
}

/// Waits until everything was written, for as long as the option `linger` says.
struct Draining {
    meeting: Meeting,
    /// When lingering began: at the end of the input.
    since: Option<Instant>,
}

impl Draining {
    fn new(meeting: Meeting) -> Draining {
        Draining { meeting, since: None }
    }

    /// Whether everything was written.
    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        let began = Instant::now();
        let since = *self.since.get_or_insert(began);
        self.meeting.socket.flush();
        loop {
            // In this order: what was queued for a peer that refuses us is gone when that is told.
            let left = self.meeting.unsent();
            self.meeting.look()?;
            if left == 0 {
                return Ok(true);
            }
            let linger = self.meeting.socket.options().linger;
            if linger.is_some_and(|linger| since.elapsed() >= linger) {
                return Err(self.out_of_time(left));
            }
            if began.elapsed() >= wait {
                return Ok(false);
            }
            thread::sleep(LOOKS_EVERY);
        }
    }

    fn out_of_time(&self, left: u64) -> Failure {
        let left = format!("{} not sent when `linger` was over", count(left, "message"));
        let failure = match self.meeting.met() {
            true => Failure::new("not all was sent").code(PEER_LOST),
            false => self.meeting.given_up(),
        };
        match self.meeting.why() {
            Some(why) => failure.cause(left).cause(why),
            None => failure.cause(left),
        }
    }

    fn unsettled(&self) -> Option<String> {
        let left = self.meeting.unsent();
        (left > 0).then(|| format!("{} taken, which nobody got", count(left, "message")))
    }

    fn close(self) {
        self.meeting.socket.close(CLOSES_WITHIN);
    }
}

/// It went well until now.
fn broken(line: u64, error: &SendError) -> Failure {
    Failure::because(format!("cannot send line {line}"), error)
}
