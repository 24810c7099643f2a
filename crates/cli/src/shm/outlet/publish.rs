//! Messages for everybody who subscribes.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Error, Policy, Publisher};

use crate::failure::Failure;
use crate::output::count;
use crate::send::outlet::Outlet;
use crate::service::ServiceUrl;
use crate::shm::explain;

/// Messages that one who subscribes late may ask for, unless the URL says otherwise.
const HISTORY: usize = 1000;
/// Subscribers to wait for before the first message: a message that nobody gets is of no use.
const SUBSCRIBERS: usize = 1;
/// How often to look whether they are there.
const LOOKS_EVERY: Duration = Duration::from_millis(5);
/// How long nobody is told that they are waited for.
const QUIET: Duration = Duration::from_secs(1);

pub(super) struct Publishing {
    publisher: Publisher,
    name: String,
    /// What is waited for, until it has come true.
    awaiting: Option<Awaiting>,
}

struct Awaiting {
    subscribers: usize,
    since: Instant,
    told: bool,
}

impl Publishing {
    pub(super) fn open(url: &ServiceUrl) -> Result<Publishing, Failure> {
        let mut builder = Publisher::builder().history(url.history.unwrap_or(HISTORY)).policies([
            Policy::Block,
            Policy::DropOldest,
            Policy::Disconnect,
        ]);
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let publisher = builder.bind(&url.name).map_err(|e| explain::bind(url, &e))?;
        let subscribers = url.wait.unwrap_or(SUBSCRIBERS);
        let told = !io::stderr().is_terminal();
        let awaiting = Awaiting { subscribers, since: Instant::now(), told };
        Ok(Publishing { publisher, name: url.to_string(), awaiting: Some(awaiting) })
    }

    /// Whether there are as many subscribers as are waited for. Asked no more when there were.
    fn is_heard(&mut self, wait: Duration) -> bool {
        let Some(awaiting) = &mut self.awaiting else { return true };
        let until = Instant::now() + wait;
        while self.publisher.subscribers() < awaiting.subscribers {
            if !awaiting.told && awaiting.since.elapsed() >= QUIET {
                awaiting.told = true;
                let wanted = count(awaiting.subscribers as u64, "subscriber");
                eprintln!("waiting for {wanted}: chaski recv '{}?type=sub'", self.name);
            }
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(LOOKS_EVERY);
        }
        self.awaiting = None;
        true
    }
}

impl Outlet<[u8]> for Publishing {
    fn offer(&mut self, message: &[u8], _line: u64, wait: Duration) -> Result<bool, Failure> {
        if !self.is_heard(wait) {
            return Ok(false);
        }
        match self.publisher.publish_timeout(message, wait) {
            Ok(()) => Ok(true),
            Err(Error::TimedOut) => Ok(false),
            Err(error) => Err(explain::broken(format!("cannot publish at {}", self.name), &error)),
        }
    }

    /// Subscribers read to the end, whether this process is still there or not.
    fn settle(&mut self, _wait: Duration) -> Result<bool, Failure> {
        Ok(true)
    }

    fn unsettled(&mut self) -> Option<String> {
        None
    }
}
