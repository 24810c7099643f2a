//! A service of this machine, and how to meet at it: `shm://NAME?type=..`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::query::{Side, parameters};

pub(crate) const SCHEME: &str = "shm://";

/// A name in shared memory, and what to be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ServiceUrl {
    pub(crate) name: String,
    /// None: push or pull, whichever fits the command.
    pub(crate) role: Option<Role>,
    /// None: as the role has it.
    pub(crate) side: Option<Side>,
    /// None: where this user's services are.
    pub(crate) dir: Option<PathBuf>,
    /// Of who publishes: how many messages to remember; of who subscribes: how many to begin with.
    pub(crate) history: Option<usize>,
    /// Of who publishes: subscribers to wait for before the first message.
    pub(crate) wait: Option<usize>,
    /// Of who subscribes.
    pub(crate) policy: Option<Policy>,
}

/// What to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Push,
    Pull,
    Call,
    Serve,
    Pub,
    Sub,
    Notify,
    Listen,
}

/// What becomes of a subscriber that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// It is waited for.
    Block,
    /// It loses the oldest messages, and is told how many.
    Drop,
    /// It is cut off.
    Disconnect,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum ServiceError {
    #[error("the name is missing: shm://NAME")]
    NoName,
    #[error(
        "`{0}` is no parameter: `type=..`, `bind`, `connect`, `dir=DIR`, `history=N`, `wait=N` and \
         `policy=..` are"
    )]
    Parameter(String),
    #[error("`{0}` is for {1}")]
    Misplaced(&'static str, &'static str),
    #[error("`{0}` is not so many")]
    Number(String),
    #[error("`{0}` is no policy: block, drop, disconnect are")]
    Policy(String),
    #[error("`{0}` is no type: {names} are", names = Role::names())]
    Type(String),
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    #[error("one side binds the name and the other one connects; not both `bind` and `connect`")]
    BothSides,
    #[error("the directory is missing: dir=DIR")]
    NoDir,
    #[error("{0} always {does}s, it cannot {1}", does = .0.side())]
    Side(Role, Side),
}

impl Role {
    const ALL: [Role; 8] = [
        Role::Push,
        Role::Pull,
        Role::Call,
        Role::Serve,
        Role::Pub,
        Role::Sub,
        Role::Notify,
        Role::Listen,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Push => "push",
            Role::Pull => "pull",
            Role::Call => "call",
            Role::Serve => "serve",
            Role::Pub => "pub",
            Role::Sub => "sub",
            Role::Notify => "notify",
            Role::Listen => "listen",
        }
    }

    fn names() -> String {
        Role::ALL.map(Role::as_str).join(", ")
    }

    /// Whom it meets.
    pub(crate) fn opposite(self) -> Role {
        match self {
            Role::Push => Role::Pull,
            Role::Pull => Role::Push,
            Role::Call => Role::Serve,
            Role::Serve => Role::Call,
            Role::Pub => Role::Sub,
            Role::Sub => Role::Pub,
            Role::Notify => Role::Listen,
            Role::Listen => Role::Notify,
        }
    }

    /// Whether messages go out from it.
    pub(crate) fn sends(self) -> bool {
        matches!(self, Role::Push | Role::Call | Role::Pub | Role::Notify)
    }

    /// The side that it has unless told otherwise.
    fn side(self) -> Side {
        match self {
            Role::Pull | Role::Serve | Role::Pub | Role::Listen => Side::Bind,
            Role::Push | Role::Call | Role::Sub | Role::Notify => Side::Connect,
        }
    }

    fn may_choose_its_side(self) -> bool {
        matches!(self, Role::Push | Role::Pull)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ServiceUrl {
    /// The side of somebody in this role.
    pub(crate) fn side(&self, role: Role) -> Side {
        self.side.unwrap_or(role.side())
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), ServiceError> {
        match (name, value) {
            ("type", Some(value)) => {
                let role = Role::ALL.into_iter().find(|role| role.as_str() == value);
                let role = role.ok_or_else(|| ServiceError::Type(value.to_owned()))?;
                once(&mut self.role, role, "type")
            }
            ("dir", None | Some("")) => Err(ServiceError::NoDir),
            ("dir", Some(value)) => once(&mut self.dir, PathBuf::from(value), "dir"),
            ("history", Some(value)) => once(&mut self.history, many(value)?, "history"),
            ("wait", Some(value)) => once(&mut self.wait, many(value)?, "wait"),
            ("policy", Some(value)) => once(&mut self.policy, policy(value)?, "policy"),
            ("bind", None) => self.choose(Side::Bind),
            ("connect", None) => self.choose(Side::Connect),
            (name, _) => Err(ServiceError::Parameter(name.to_owned())),
        }
    }

    /// Whether all of it goes with its role.
    fn check(&self) -> Result<(), ServiceError> {
        let role = self.role;
        let (publishes, subscribes) = (role == Some(Role::Pub), role == Some(Role::Sub));
        match (role, self.side) {
            (Some(role), Some(side)) if !role.may_choose_its_side() && side != role.side() => {
                Err(ServiceError::Side(role, side))
            }
            _ if self.history.is_some() && !publishes && !subscribes => {
                Err(ServiceError::Misplaced("history", "type=pub and type=sub"))
            }
            _ if self.wait.is_some() && !publishes => {
                Err(ServiceError::Misplaced("wait", "type=pub"))
            }
            _ if self.policy.is_some() && !subscribes => {
                Err(ServiceError::Misplaced("policy", "type=sub"))
            }
            _ => Ok(()),
        }
    }

    fn choose(&mut self, side: Side) -> Result<(), ServiceError> {
        match self.side {
            Some(other) if other != side => Err(ServiceError::BothSides),
            _ => once(&mut self.side, side, side.as_str()),
        }
    }
}

/// The most messages and subscribers that can be asked for.
const MANY: usize = 1 << 24;

fn many(text: &str) -> Result<usize, ServiceError> {
    let number = text.parse().ok().filter(|number| *number <= MANY);
    number.ok_or_else(|| ServiceError::Number(text.to_owned()))
}

fn policy(text: &str) -> Result<Policy, ServiceError> {
    match text {
        "block" => Ok(Policy::Block),
        "drop" => Ok(Policy::Drop),
        "disconnect" => Ok(Policy::Disconnect),
        _ => Err(ServiceError::Policy(text.to_owned())),
    }
}

fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), ServiceError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ServiceError::Twice(name)),
    }
}

impl FromStr for ServiceUrl {
    type Err = ServiceError;

    /// Reads what stands behind `shm://`.
    fn from_str(text: &str) -> Result<ServiceUrl, ServiceError> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let name = name.strip_suffix('/').unwrap_or(name);
        if name.is_empty() {
            return Err(ServiceError::NoName);
        }
        let mut url = ServiceUrl { name: name.to_owned(), ..ServiceUrl::default() };
        for (name, value) in parameters(query) {
            url.set(name, value)?;
        }
        url.check()?;
        Ok(url)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<ServiceUrl, ServiceError> {
        text.parse()
    }

    #[test]
    fn a_name_is_enough() {
        let expected = ServiceUrl { name: "a".to_owned(), ..ServiceUrl::default() };
        assert_eq!(url("a"), Ok(expected.clone()));
        assert_eq!(url("a/?"), Ok(expected.clone()));
        assert_eq!(expected.to_string(), "shm://a");
    }

    #[test]
    fn each_role_has_its_side_and_some_may_choose() {
        let side = |text: &str, role| url(text).unwrap().side(role);
        assert_eq!(side("a", Role::Push), Side::Connect);
        assert_eq!(side("a?bind", Role::Push), Side::Bind);
        assert_eq!(side("a?connect&type=pull", Role::Pull), Side::Connect);
        assert_eq!(side("a?type=pub&bind", Role::Pub), Side::Bind);
        let error = url("a?type=sub&bind").unwrap_err();
        assert_eq!(error, ServiceError::Side(Role::Sub, Side::Bind));
        assert!(error.to_string().starts_with("sub always connects, it cannot bind"), "{error}");
    }

    #[test]
    fn roles_are_pairs_of_a_sender_and_a_receiver() {
        for role in Role::ALL {
            assert_eq!(role.opposite().opposite(), role);
            assert_ne!(role.opposite().sends(), role.sends());
            assert_ne!(role.opposite().side(), role.side());
            assert_eq!(url(&format!("a?type={role}")).unwrap().role, Some(role));
        }
    }

    #[test]
    fn who_publishes_and_who_subscribes_have_more_to_say() {
        let sub = url("a?type=sub&history=5&policy=block").unwrap();
        assert_eq!((sub.history, sub.policy), (Some(5), Some(Policy::Block)));
        let publish = url("a?wait=0&type=pub&history=9").unwrap();
        assert_eq!((publish.wait, publish.history), (Some(0), Some(9)));
        for wrong in ["a?history=5", "a?wait=1&type=sub", "a?type=pub&policy=drop"] {
            assert!(matches!(url(wrong), Err(ServiceError::Misplaced(..))), "{wrong}");
        }
        assert_eq!(url("a?type=sub&history=-1"), Err(ServiceError::Number("-1".into())));
        assert_eq!(url("a?type=sub&policy=lose"), Err(ServiceError::Policy("lose".into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| url(text).unwrap_err();
        assert_eq!(error(""), ServiceError::NoName);
        assert_eq!(error("?type=push"), ServiceError::NoName);
        assert_eq!(error("a?type=dealer"), ServiceError::Type("dealer".into()));
        assert_eq!(error("a?type"), ServiceError::Parameter("type".into()));
        assert_eq!(error("a?bind=1"), ServiceError::Parameter("bind".into()));
        assert_eq!(error("a?kind=push"), ServiceError::Parameter("kind".into()));
        assert_eq!(error("a?type=push&type=push"), ServiceError::Twice("type"));
        assert_eq!(error("a?bind&bind"), ServiceError::Twice("bind"));
        assert_eq!(error("a?bind&connect"), ServiceError::BothSides);
        assert_eq!(error("a?dir="), ServiceError::NoDir);
    }
}
