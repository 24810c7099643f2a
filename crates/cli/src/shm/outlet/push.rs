//! Messages for a collector, or for workers of whom each is given some.

use std::time::{Duration, Instant};

use chaski_shm::{Error, Push};

use super::unheard_of;
use crate::failure::Failure;
use crate::output::count;
use crate::query::Side;
use crate::send::outlet::Outlet;
use crate::service::{Role, ServiceUrl};
use crate::shm::explain;

pub(super) struct Pushing {
    push: Push,
    name: String,
    sent: u64,
}

impl Pushing {
    pub(super) fn open(url: &ServiceUrl) -> Result<Pushing, Failure> {
        let mut builder = Push::builder();
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let push = match url.side(Role::Push) {
            Side::Bind => builder.bind(&url.name).map_err(|e| explain::bind(url, &e))?,
            Side::Connect => {
                builder.connect(&url.name).map_err(|e| explain::connect(url, Role::Push, &e))?
            }
        };
        Ok(Pushing { push, name: url.to_string(), sent: 0 })
    }

    fn broken(&mut self, error: &Error) -> Failure {
        let sent = count(self.sent, "message");
        let untaken = self.push.untaken();
        explain::broken(format!("cannot send to {}", self.name), error)
            .cause(format!("{sent} had been sent, {untaken} of them not taken by anybody"))
    }
}

impl Outlet<[u8]> for Pushing {
    fn offer(&mut self, message: &[u8], _line: u64, wait: Duration) -> Result<bool, Failure> {
        match self.push.send_timeout(message, wait) {
            Ok(()) => {
                self.sent += 1;
                Ok(true)
            }
            Err(Error::TimedOut) => Ok(false),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        let began = Instant::now();
        match self.push.flush(wait) {
            Ok(0) => Ok(true),
            // Back before its time, it has nobody to wait for any more.
            Ok(_) if began.elapsed() < wait => Err(self.broken(&Error::Closed)),
            Ok(_) => Ok(false),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn unsettled(&mut self) -> Option<String> {
        unheard_of(self.push.untaken())
    }
}
