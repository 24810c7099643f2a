//! Endpoints that messages go out of: one shape for all.
//!
//! None of them waits for longer than it is told, so that Ctrl-C is heard whatever the other side
//! does.

mod call;
mod notify;
mod publish;
mod push;

use std::time::Duration;

use crate::failure::{CALLED_WRONGLY, Failure};
use crate::service::{Role, ServiceUrl};

/// Where messages go.
pub(super) trait Outlet {
    /// Sends the message of a line, waiting for room no longer than that. False: there was none.
    fn offer(&mut self, message: &[u8], line: u64, wait: Duration) -> Result<bool, Failure>;

    /// The input pauses. Whether all is done that somebody may look at meanwhile.
    fn pause(&mut self, _wait: Duration) -> Result<bool, Failure> {
        Ok(true)
    }

    /// The input has ended. Whether the other side has taken everything.
    fn settle(&mut self, wait: Duration) -> Result<bool, Failure>;

    /// How many messages were sent of which nothing was heard.
    fn unsettled(&mut self) -> u64;

    /// All is settled: whether it went well.
    fn finish(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// The outlet that a URL means.
pub(super) fn open(url: &ServiceUrl) -> Result<Box<dyn Outlet>, Failure> {
    let role = url.role.unwrap_or(Role::Push);
    match role {
        Role::Push => Ok(Box::new(push::Pushing::open(url)?)),
        Role::Call => Ok(Box::new(call::Calling::open(url)?)),
        Role::Pub => Ok(Box::new(publish::Publishing::open(url)?)),
        Role::Notify => Ok(Box::new(notify::Notifying::open(url)?)),
        role => Err(wrong_way(role)),
    }
}

fn wrong_way(role: Role) -> Failure {
    let other = role.opposite();
    Failure::new(format!("`type={role}` receives, and this is `chaski send`"))
        .hint(format!("`type={other}` sends to it; `chaski recv` is what receives"))
        .code(CALLED_WRONGLY)
}
