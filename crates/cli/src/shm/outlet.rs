//! Endpoints that messages go out of.

mod call;
mod notify;
mod publish;
mod push;

use crate::failure::{CALLED_WRONGLY, Failure};
use crate::output::count;
use crate::send::outlet::Outlet;
use crate::service::{Role, ServiceUrl};

/// The outlet that a URL means.
pub(super) fn open(url: &ServiceUrl) -> Result<Box<dyn Outlet<[u8]>>, Failure> {
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

/// So many messages are not settled.
fn unheard_of(messages: u64) -> Option<String> {
    let sent = (messages > 0).then(|| count(messages, "message"))?;
    Some(format!("{sent} sent, of which nothing was heard"))
}
