//! Messages that are published: those from now on, or some before. What is missing is told on
//! standard error.

use std::time::Duration;

use chaski_shm::{Error, Subscriber};

use super::{Awaiting, Came, Inlet, Origin};
use crate::failure::Failure;
use crate::output::count;
use crate::service::{Policy, Role, ServiceUrl};
use crate::shm::explain;

pub(super) struct Subscribing {
    subscriber: Subscriber,
    name: String,
}

impl Subscribing {
    pub(super) fn open(
        url: &ServiceUrl,
        awaiting: &Awaiting<'_>,
    ) -> Result<Option<Subscribing>, Failure> {
        let mut builder = Subscriber::builder()
            .history(url.history.unwrap_or(0))
            .policy(policy(url.policy.unwrap_or(Policy::Drop)))
            .reconnect_within(awaiting.patience());
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let subscriber = awaiting.connect(url, Role::Sub, |limit| {
            builder.clone().connect_within(limit).connect(&url.name)
        })?;
        Ok(subscriber.map(|subscriber| Subscribing { subscriber, name: url.to_string() }))
    }
}

fn policy(policy: Policy) -> chaski_shm::Policy {
    match policy {
        Policy::Block => chaski_shm::Policy::Block,
        Policy::Drop => chaski_shm::Policy::DropOldest,
        Policy::Disconnect => chaski_shm::Policy::Disconnect,
    }
}

impl Inlet for Subscribing {
    fn next(&mut self, wait: Duration, payload: &mut Vec<u8>) -> Result<Came, Failure> {
        payload.clear();
        let pid = self.subscriber.publisher().map(|peer| peer.pid);
        match self.subscriber.recv_timeout(wait) {
            Ok(news) => {
                payload.extend_from_slice(&news);
                let sequence = Some(news.sequence());
                Ok(Came::Message(Origin { pid, sequence, ..Origin::default() }))
            }
            Err(Error::TimedOut) => Ok(Came::Nothing),
            Err(Error::Closed) => Ok(Came::End),
            Err(Error::Lagged { lost }) => {
                eprintln!("too slow: {} lost", count(lost, "message"));
                Ok(Came::Nothing)
            }
            Err(Error::Restarted { missed }) => {
                eprintln!("another publisher; {} missed", count(missed, "message"));
                Ok(Came::Nothing)
            }
            Err(error) => {
                let failure = explain::broken(format!("cannot receive from {}", self.name), &error);
                Err(match error {
                    Error::CutOff => failure.hint("`policy=drop` goes on with what is left"),
                    _ => failure,
                })
            }
        }
    }
}
