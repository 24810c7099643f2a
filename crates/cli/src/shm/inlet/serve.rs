//! Requests, each answered with itself: a server to try clients with.

use std::time::Duration;

use chaski_shm::{Error, Server};

use super::{Came, Inlet, Origin};
use crate::failure::Failure;
use crate::service::ServiceUrl;
use crate::shm::explain;

pub(super) struct Serving {
    server: Server,
    name: String,
}

impl Serving {
    pub(super) fn open(url: &ServiceUrl) -> Result<Serving, Failure> {
        let mut builder = Server::builder();
        if let Some(dir) = &url.dir {
            builder = builder.directory(dir);
        }
        let server = builder.bind(&url.name).map_err(|e| explain::bind(url, &e))?;
        Ok(Serving { server, name: url.to_string() })
    }
}

impl Inlet for Serving {
    fn next(&mut self, wait: Duration, payload: &mut Vec<u8>) -> Result<Came, Failure> {
        payload.clear();
        match self.server.recv_timeout(wait) {
            Ok(mut request) => {
                payload.extend_from_slice(&request);
                let pid = request.peer().map(|peer| peer.pid);
                match request.reply(payload) {
                    // A client that is gone waits for nothing.
                    Ok(()) | Err(Error::Closed) => {
                        Ok(Came::Message(Origin { pid, ..Origin::default() }))
                    }
                    Err(error) => {
                        Err(explain::broken(format!("cannot answer at {}", self.name), &error))
                    }
                }
            }
            Err(Error::TimedOut) => Ok(Came::Nothing),
            Err(error) => Err(explain::broken(format!("cannot receive at {}", self.name), &error)),
        }
    }
}
