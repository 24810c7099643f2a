//! Messages for everybody who subscribes.
//!
//! The socket is an XPUB, to which subscriptions are told: the first lines wait for them. A
//! subscriber that is too slow is waited for, too, unless the URL says `xpub_nodrop=0`.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use chaski_zmq::{Kind, Message, Socket};

use super::{Draining, broken};
use crate::args::Send;
use crate::failure::Failure;
use crate::output::count;
use crate::send::outlet::Outlet;
use crate::zmq::meeting::Meeting;
use crate::zmq::url::{Role, ZmqUrl};

/// Subscriptions to wait for before the first message: a message that nobody gets is of no use.
const SUBSCRIPTIONS: usize = 1;
/// How long nobody is told that they are waited for.
const QUIET: Duration = Duration::from_secs(1);

pub(super) struct Publishing {
    draining: Draining,
    /// What is waited for, until it has come true.
    awaiting: Option<Awaiting>,
}

struct Awaiting {
    wanted: usize,
    subscriptions: usize,
    since: Instant,
    told: bool,
    url: String,
}

impl Publishing {
    pub(super) fn open(url: &ZmqUrl, args: &Send) -> Result<Publishing, Failure> {
        let wanted = url.wait.unwrap_or(SUBSCRIPTIONS);
        let meeting = Meeting::open(url, Role::Pub, &args.security, args.quiet, || match wanted {
            0 => Socket::builder(Kind::Pub).xpub_nodrop(true),
            // Verbose: the second subscription to a topic counts as well.
            _ => Socket::builder(Kind::Xpub).xpub_nodrop(true).xpub_verboser(true),
        })?;
        let awaiting = (wanted > 0).then(|| Awaiting {
            wanted,
            subscriptions: 0,
            since: Instant::now(),
            told: !io::stderr().is_terminal(),
            url: url.to_string(),
        });
        Ok(Publishing { draining: Draining::new(meeting), awaiting })
    }

    /// Whether there are as many subscriptions as are waited for. Asked no more when there were.
    fn is_heard(&mut self, wait: Duration) -> Result<bool, Failure> {
        let Some(awaiting) = &mut self.awaiting else { return Ok(true) };
        let until = Instant::now() + wait;
        while awaiting.subscriptions < awaiting.wanted {
            let left = until.saturating_duration_since(Instant::now());
            match self.draining.meeting.socket.recv_timeout(left) {
                Ok(message) => awaiting.hear(&message),
                Err(error) if error.is_empty() => {
                    self.draining.meeting.look()?;
                    awaiting.tell();
                    return Ok(false);
                }
                Err(error) => return Err(Failure::because("cannot hear subscribers", &error)),
            }
        }
        self.awaiting = None;
        Ok(true)
    }

    /// Nobody wants to know of further subscriptions, and they are not to pile up.
    fn pass_over(&self) {
        if self.awaiting.is_none() {
            while self.draining.meeting.socket.try_recv().is_ok() {}
        }
    }
}

impl Awaiting {
    /// Takes a subscription, or what takes one back (RFC 29).
    fn hear(&mut self, message: &Message) {
        match message.first().and_then(|frame| frame.first()) {
            Some(1) => self.subscriptions += 1,
            Some(0) => self.subscriptions = self.subscriptions.saturating_sub(1),
            _ => {}
        }
    }

    fn tell(&mut self) {
        if !self.told && self.since.elapsed() >= QUIET {
            self.told = true;
            let wanted = count(self.wanted as u64, "subscription");
            eprintln!("waiting for {wanted} at {}", self.url);
        }
    }
}

impl Outlet<Message> for Publishing {
    fn offer(&mut self, message: &Message, line: u64, wait: Duration) -> Result<bool, Failure> {
        if !self.is_heard(wait)? {
            return Ok(false);
        }
        match self.draining.meeting.socket.send_timeout(message.clone(), wait) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.pass_over();
                self.draining.meeting.look()?;
                Ok(false)
            }
            Err(error) => Err(broken(line, &error)),
        }
    }

    fn pause(&mut self, _wait: Duration) -> Result<bool, Failure> {
        self.pass_over();
        self.draining.meeting.look()?;
        Ok(true)
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        self.draining.settle(wait)
    }

    fn unsettled(&mut self) -> Option<String> {
        self.draining.unsettled()
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.draining.close();
        Ok(())
    }
}
