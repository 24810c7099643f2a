//! Numbers that others notify of: the latest of each.

use std::io::Write;
use std::time::Duration;

use chaski_shm::{Error, Listener};

use super::{Came, Inlet, Origin};
use crate::failure::Failure;
use crate::service::ServiceUrl;
use crate::shm::explain;

pub(super) struct Listening {
    listener: Listener,
    name: String,
}

impl Listening {
    pub(super) fn open(url: &ServiceUrl) -> Result<Listening, Failure> {
        let mut builder = Listener::builder();
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let listener = builder.bind(&url.name).map_err(|e| explain::bind(url, &e))?;
        Ok(Listening { listener, name: url.to_string() })
    }
}

impl Inlet for Listening {
    fn next(&mut self, wait: Duration, payload: &mut Vec<u8>) -> Result<Came, Failure> {
        payload.clear();
        match self.listener.recv_timeout(wait) {
            Ok(event) => {
                // A vector takes everything.
                let _ = write!(payload, "{}", event.value);
                let (pid, rings) = (Some(event.peer.pid), Some(event.rings));
                Ok(Came::Message(Origin { pid, rings, ..Origin::default() }))
            }
            Err(Error::TimedOut) => Ok(Came::Nothing),
            Err(error) => Err(explain::broken(format!("cannot listen at {}", self.name), &error)),
        }
    }
}
