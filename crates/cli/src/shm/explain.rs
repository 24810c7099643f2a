//! What went wrong between two processes, and what to do about it.

use chaski_shm::{BindError, ConnectError, Error, Refusal};

use crate::failure::{CALLED_WRONGLY, Failure, PEER_LOST};
use crate::service::{Role, ServiceUrl};

const SAFE_DIRECTORY: &str = "the directory must belong to this user, who alone may write to it; \
                              $CHASKI_SHM_DIR or `?dir=DIR` names another";
const NAMES: &str = "a name is 1 to 64 letters, digits, `.`, `_` and `-`, no dot first";

/// The name could not be taken.
pub(super) fn bind(url: &ServiceUrl, error: &BindError) -> Failure {
    let failure = Failure::because(format!("cannot bind {url}"), error);
    match error {
        BindError::Name(_) => failure.hint(NAMES).code(CALLED_WRONGLY),
        BindError::InUse { name } => {
            failure.hint(format!("`chaski shm inspect {name}` shows whose it is"))
        }
        BindError::Directory(_) => failure.hint(SAFE_DIRECTORY),
        BindError::NoSocket { .. } => failure.hint("remove the file, or take another name"),
        _ => failure,
    }
}

/// Nobody could be reached at the name.
pub(super) fn connect(url: &ServiceUrl, role: Role, error: &ConnectError) -> Failure {
    let failure = Failure::because(format!("cannot connect to {url}"), error);
    match error {
        ConnectError::Name(_) => failure.hint(NAMES).code(CALLED_WRONGLY),
        ConnectError::Directory(_) => failure.hint(SAFE_DIRECTORY),
        ConnectError::NotFound { .. } => failure.hint(awaited(url, role)).code(PEER_LOST),
        ConnectError::Silent { peer, .. } => failure
            .hint(format!("`ps -o stat,cmd {}` shows whether it was stopped: T", peer.pid))
            .code(PEER_LOST),
        ConnectError::Refused { code: Refusal::WrongPattern, .. } => {
            failure.hint("`chaski shm ls` shows what it is; `?type=` says what to be to it")
        }
        ConnectError::Busy { .. } | ConnectError::HungUp { .. } => failure.code(PEER_LOST),
        _ => failure,
    }
}

/// Who has to be there first.
fn awaited(url: &ServiceUrl, role: Role) -> String {
    let other = role.opposite();
    let command = if other.sends() { "send" } else { "recv" };
    let query = match other {
        Role::Pull => String::new(),
        Role::Push => "?bind".to_owned(),
        other => format!("?type={other}"),
    };
    format!("bind it first, with a program or with: chaski {command} '{url}{query}'")
}

/// It went well until now.
pub(super) fn broken(what: impl Into<String>, error: &Error) -> Failure {
    let failure = Failure::because(what, error);
    match error {
        Error::Closed => failure.code(PEER_LOST),
        Error::TooLarge { .. } => failure.hint("the other side bounds what it takes"),
        Error::Corrupt(_) => failure.hint("the other process does not keep to the protocol"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_awaited_is_named_by_a_command() {
        let url: ServiceUrl = "a".parse().unwrap();
        let hint = |role| awaited(&url, role).split_once("chaski ").unwrap().1.to_owned();
        assert_eq!(hint(Role::Push), "recv 'shm://a'");
        assert_eq!(hint(Role::Pull), "send 'shm://a?bind'");
        assert_eq!(hint(Role::Call), "recv 'shm://a?type=serve'");
        assert_eq!(hint(Role::Sub), "send 'shm://a?type=pub'");
        assert_eq!(hint(Role::Notify), "recv 'shm://a?type=listen'");
    }
}
