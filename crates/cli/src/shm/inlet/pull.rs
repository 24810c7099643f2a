//! Messages that are pushed: as the one who collects, or as one worker of many.

use std::time::Duration;

use chaski_shm::{Error, Pull};

use super::{Awaiting, Came, Inlet, Origin};
use crate::failure::Failure;
use crate::query::Side;
use crate::service::{Role, ServiceUrl};
use crate::shm::explain;

pub(super) struct Pulling {
    pull: Pull,
    name: String,
}

impl Pulling {
    pub(super) fn open(
        url: &ServiceUrl,
        awaiting: &Awaiting<'_>,
    ) -> Result<Option<Pulling>, Failure> {
        let mut builder = Pull::builder().reconnect_within(awaiting.patience());
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let pull = match url.side(Role::Pull) {
            Side::Bind => Some(builder.bind(&url.name).map_err(|e| explain::bind(url, &e))?),
            Side::Connect => awaiting.connect(url, Role::Pull, |limit| {
                builder.clone().connect_within(limit).connect(&url.name)
            })?,
        };
        Ok(pull.map(|pull| Pulling { pull, name: url.to_string() }))
    }
}

impl Inlet for Pulling {
    fn next(&mut self, wait: Duration, payload: &mut Vec<u8>) -> Result<Came, Failure> {
        payload.clear();
        match self.pull.recv_timeout(wait) {
            Ok(mut message) => {
                payload.extend_from_slice(&message);
                let pid = message.peer().map(|peer| peer.pid);
                Ok(Came::Message(Origin { pid, ..Origin::default() }))
            }
            Err(Error::TimedOut) => Ok(Came::Nothing),
            Err(Error::Closed) => Ok(Came::End),
            Err(error) => {
                Err(explain::broken(format!("cannot receive from {}", self.name), &error))
            }
        }
    }
}
