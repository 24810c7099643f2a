//! Messages for peers: in turns (PUSH, DEALER), for the only one (PAIR), or for the one that the
//! first frame names (ROUTER). What comes back is not looked at.

use std::thread;
use std::time::Duration;

use chaski_zmq::{Message, Misuse, SendFailure, Socket};

use super::{Draining, LOOKS_EVERY, broken};
use crate::args::Send;
use crate::failure::Failure;
use crate::send::outlet::Outlet;
use crate::zmq::meeting::Meeting;
use crate::zmq::url::{Role, ZmqUrl};

pub(super) struct Giving(Draining);

impl Giving {
    pub(super) fn open(url: &ZmqUrl, role: Role, args: &Send) -> Result<Giving, Failure> {
        let meeting = Meeting::open(url, role, &args.security, args.quiet, || {
            let builder = Socket::builder(role.kind());
            // Else a line for somebody who has not come yet would be lost.
            if role == Role::Router { builder.router_mandatory(true) } else { builder }
        })?;
        Ok(Giving(Draining::new(meeting)))
    }
}

impl Outlet<Message> for Giving {
    fn offer(&mut self, message: &Message, line: u64, wait: Duration) -> Result<bool, Failure> {
        let meeting = &mut self.0.meeting;
        let Err(error) = meeting.socket.send_timeout(message.clone(), wait) else {
            return Ok(true);
        };
        meeting.look()?;
        match error.failure() {
            SendFailure::Misuse(Misuse::Unroutable) => {
                thread::sleep(LOOKS_EVERY.min(wait));
                Ok(false)
            }
            _ if error.is_full() => Ok(false),
            _ => Err(broken(line, &error)),
        }
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, Failure> {
        self.0.settle(wait)
    }

    fn unsettled(&mut self) -> Option<String> {
        self.0.unsettled()
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.0.close();
        Ok(())
    }
}
