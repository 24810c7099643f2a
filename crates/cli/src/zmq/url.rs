//! A socket, and how to meet its peers: `zmq+tcp://HOST:PORT?type=..`.
//!
//! What the query does not know is an option of the socket by libzmq's name: `sndhwm=10`.

use std::fmt;
use std::str::FromStr;

use chaski_broker::nearest;
use chaski_zmq::{Endpoint, EndpointError, Kind, OptionError, Options, SocketOption};
use thiserror::Error;

use crate::query::{Side, parameters};

/// What stands before the transport.
pub(crate) const SCHEME: &str = "zmq+";
/// The most subscriptions that can be waited for.
const WAIT_MAX: usize = 1 << 20;
/// What everybody may not see.
const SECRETS: [&str; 3] = ["curve_secretkey", "plain_password", "socks_password"];
/// What is no option of a socket.
const PARAMETERS: [&str; 5] = ["type", "bind", "connect", "topic", "wait"];

/// Where a socket is, and what it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ZmqUrl {
    pub(crate) endpoint: Endpoint,
    /// None: push or pull, whichever fits the command.
    pub(crate) role: Option<Role>,
    /// None: connect, unless the endpoint leaves something open.
    side: Option<Side>,
    /// Of who subscribes: what to. Of who publishes: the frame before each line.
    pub(crate) topics: Vec<String>,
    /// Of who publishes: subscriptions to wait for before the first message.
    pub(crate) wait: Option<usize>,
    pub(crate) options: Vec<SocketOption>,
}

/// What to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Push,
    Pull,
    Pub,
    Sub,
    Req,
    Rep,
    Dealer,
    Router,
    Pair,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum ZmqError {
    #[error(
        "inproc:// is for the threads of one process, and this is a process of its own; \
         zmq+ipc://@NAME and zmq+shm://NAME are for those of one machine"
    )]
    Inproc,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("`{0}` is neither a parameter nor an option of sockets{hint}", hint = suggest(.0))]
    Unknown(String),
    #[error("`{0}` needs a value: {0}=..")]
    NoValue(String),
    #[error("`{0}` has no value")]
    Value(&'static str),
    #[error("{0}")]
    Option(#[from] OptionError),
    #[error(
        "`{0}` is not for URLs, which everybody sees who lists processes: --curve-key, \
         --curve-server-key, --plain-user and --plain-password-file are"
    )]
    Secret(String),
    #[error("`{0}` is for {1}")]
    Misplaced(&'static str, &'static str),
    #[error("`{0}` is not so many")]
    Number(String),
    #[error("`{0}` is no type: {names} are", names = Role::names())]
    Type(String),
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    #[error("one side binds and the other one connects; not both `bind` and `connect`")]
    BothSides,
    #[error("a publisher puts one topic before its lines; --key-separator takes it from each")]
    Topics,
}

fn suggest(unknown: &str) -> String {
    let options = Options::table().iter().map(|option| option.name);
    match nearest(unknown, PARAMETERS.into_iter().chain(options)) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => ": `type`, `bind`, `connect`, `topic`, `wait` and libzmq's names are".to_owned(),
    }
}

impl Role {
    const ALL: [Role; 9] = [
        Role::Push,
        Role::Pull,
        Role::Pub,
        Role::Sub,
        Role::Req,
        Role::Rep,
        Role::Dealer,
        Role::Router,
        Role::Pair,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Push => "push",
            Role::Pull => "pull",
            Role::Pub => "pub",
            Role::Sub => "sub",
            Role::Req => "req",
            Role::Rep => "rep",
            Role::Dealer => "dealer",
            Role::Router => "router",
            Role::Pair => "pair",
        }
    }

    fn names() -> String {
        Role::ALL.map(Role::as_str).join(", ")
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Role::Push => Kind::Push,
            Role::Pull => Kind::Pull,
            Role::Pub => Kind::Pub,
            Role::Sub => Kind::Sub,
            Role::Req => Kind::Req,
            Role::Rep => Kind::Rep,
            Role::Dealer => Kind::Dealer,
            Role::Router => Kind::Router,
            Role::Pair => Kind::Pair,
        }
    }

    /// Whom it meets; of several, the one that a first try is made with.
    pub(crate) fn opposite(self) -> Role {
        match self {
            Role::Push => Role::Pull,
            Role::Pull => Role::Push,
            Role::Pub => Role::Sub,
            Role::Sub => Role::Pub,
            Role::Req => Role::Rep,
            Role::Rep => Role::Req,
            Role::Dealer => Role::Router,
            Role::Router => Role::Dealer,
            Role::Pair => Role::Pair,
        }
    }

    /// Whether `chaski send` can be it.
    pub(crate) fn sends(self) -> bool {
        !matches!(self, Role::Pull | Role::Sub | Role::Rep)
    }

    /// Whether `chaski recv` can be it.
    pub(crate) fn receives(self) -> bool {
        !matches!(self, Role::Push | Role::Pub | Role::Req)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ZmqUrl {
    /// Whether this process has the address or another.
    pub(crate) fn side(&self) -> Side {
        let text = self.endpoint.as_str();
        let open = ["tcp://*:", "tcp://[*]:"].iter().any(|any| text.starts_with(any))
            || text.ends_with(":*")
            || text == "ipc://*";
        self.side.unwrap_or(if open { Side::Bind } else { Side::Connect })
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), ZmqError> {
        match (name, value) {
            ("bind", None) => self.choose(Side::Bind),
            ("connect", None) => self.choose(Side::Connect),
            ("bind", _) => Err(ZmqError::Value("bind")),
            ("connect", _) => Err(ZmqError::Value("connect")),
            ("type", Some(value)) => {
                let role = Role::ALL.into_iter().find(|role| role.as_str() == value);
                once(&mut self.role, role.ok_or_else(|| ZmqError::Type(value.to_owned()))?, "type")
            }
            ("topic", Some(value)) => {
                self.topics.push(value.to_owned());
                Ok(())
            }
            ("wait", Some(value)) => once(&mut self.wait, many(value)?, "wait"),
            (name, value) => {
                self.options.push(option(name, value)?);
                Ok(())
            }
        }
    }

    fn choose(&mut self, side: Side) -> Result<(), ZmqError> {
        match self.side {
            Some(other) if other != side => Err(ZmqError::BothSides),
            _ => once(&mut self.side, side, side.as_str()),
        }
    }

    /// Whether all of it goes with its role.
    fn check(&self) -> Result<(), ZmqError> {
        match self.role {
            Some(Role::Pub) if self.topics.len() > 1 => Err(ZmqError::Topics),
            Some(Role::Pub) => Ok(()),
            _ if self.wait.is_some() => Err(ZmqError::Misplaced("wait", "type=pub")),
            Some(Role::Sub) => Ok(()),
            _ if self.topics.is_empty() => Ok(()),
            _ => Err(ZmqError::Misplaced("topic", "type=pub and type=sub")),
        }
    }
}

/// An option of the socket. Values are only shown where they are no secrets.
fn option(name: &str, value: Option<&str>) -> Result<SocketOption, ZmqError> {
    if SECRETS.contains(&name) {
        return Err(ZmqError::Secret(name.to_owned()));
    }
    let known = PARAMETERS.contains(&name) || Options::table().iter().any(|row| row.name == name);
    match value {
        _ if !known => match SocketOption::parse(name, "") {
            Err(foreign @ OptionError::Foreign { .. }) => Err(foreign.into()),
            _ => Err(ZmqError::Unknown(name.to_owned())),
        },
        None => Err(ZmqError::NoValue(name.to_owned())),
        Some(value) => Ok(SocketOption::parse(name, value)?),
    }
}

fn many(text: &str) -> Result<usize, ZmqError> {
    let number = text.parse().ok().filter(|number| *number <= WAIT_MAX);
    number.ok_or_else(|| ZmqError::Number(text.to_owned()))
}

fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), ZmqError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ZmqError::Twice(name)),
    }
}

impl FromStr for ZmqUrl {
    type Err = ZmqError;

    /// Reads what stands behind `zmq+`: an endpoint as libzmq has it, and a query.
    fn from_str(text: &str) -> Result<ZmqUrl, ZmqError> {
        let (endpoint, query) = text.split_once('?').unwrap_or((text, ""));
        if endpoint.starts_with("inproc:") {
            return Err(ZmqError::Inproc);
        }
        let path = endpoint.starts_with("ipc://");
        let endpoint = if path { endpoint } else { endpoint.trim_end_matches('/') };
        let mut url = ZmqUrl {
            endpoint: endpoint.parse()?,
            role: None,
            side: None,
            topics: Vec::new(),
            wait: None,
            options: Vec::new(),
        };
        for (name, value) in parameters(query) {
            url.set(name, value)?;
        }
        url.check()?;
        Ok(url)
    }
}

impl fmt::Display for ZmqUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<ZmqUrl, ZmqError> {
        text.parse()
    }

    #[test]
    fn an_address_is_enough() {
        let plain = url("tcp://localhost:5555").unwrap();
        assert_eq!((plain.role, plain.side()), (None, Side::Connect));
        assert_eq!(plain.to_string(), "zmq+tcp://localhost:5555");
        assert_eq!(url("tcp://localhost:5555/?"), Ok(plain));
        assert_eq!(url("ipc:///run/x").unwrap().endpoint.as_str(), "ipc:///run/x");
        assert_eq!(url("ipc://@x").unwrap().side(), Side::Connect);
    }

    #[test]
    fn who_leaves_something_open_binds() {
        let side = |text: &str| url(text).unwrap().side();
        for open in ["tcp://*:5555", "tcp://[*]:5555", "tcp://127.0.0.1:*", "ipc://*"] {
            assert_eq!(side(open), Side::Bind, "{open}");
        }
        assert_eq!(side("tcp://10.0.0.1:1?bind"), Side::Bind);
        assert_eq!(side("tcp://*:1?connect"), Side::Connect, "the socket refuses it");
        assert_eq!(url("tcp://h:1?bind&connect"), Err(ZmqError::BothSides));
    }

    #[test]
    fn each_role_meets_another() {
        for role in Role::ALL {
            assert_eq!(role.opposite().opposite(), role);
            assert!(role.kind().compatible(role.opposite().kind()));
            assert!(role.sends() || role.receives());
            assert!(!role.sends() || role.opposite().receives(), "{role} has somebody to send to");
            assert_eq!(url(&format!("tcp://h:1?type={role}")).unwrap().role, Some(role));
        }
    }

    #[test]
    fn other_parameters_are_options() {
        let url = url("tcp://h:1?sndhwm=10&linger=2s&routing_id=me").unwrap();
        let linger = Some(std::time::Duration::from_secs(2));
        let expected = [
            SocketOption::Sndhwm(10),
            SocketOption::Linger(linger),
            SocketOption::RoutingId(b"me".to_vec()),
        ];
        assert_eq!(url.options, expected);
    }

    #[test]
    fn every_option_that_is_no_secret_can_be_named() {
        for row in Options::table() {
            let named = url(&format!("tcp://h:1?{}=\u{1}", row.name));
            match SECRETS.contains(&row.name) {
                true => assert_eq!(named, Err(ZmqError::Secret(row.name.to_owned()))),
                false => assert!(
                    matches!(named, Ok(_) | Err(ZmqError::Option(OptionError::Value { .. }))),
                    "{named:?}"
                ),
            }
        }
    }

    #[test]
    fn topics_are_for_who_publishes_and_who_subscribes() {
        assert_eq!(url("tcp://h:1?type=sub&topic=a&topic=").unwrap().topics, ["a", ""]);
        assert_eq!(url("tcp://h:1?type=pub&topic=a&wait=3").unwrap().wait, Some(3));
        assert_eq!(url("tcp://h:1?type=pub&topic=a&topic=b"), Err(ZmqError::Topics));
        for wrong in ["tcp://h:1?topic=a", "tcp://h:1?type=sub&wait=1", "tcp://h:1?wait=1"] {
            assert!(matches!(url(wrong), Err(ZmqError::Misplaced(..))), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| url(text).unwrap_err();
        assert_eq!(error("inproc://x"), ZmqError::Inproc);
        assert!(matches!(error("tcp://h"), ZmqError::Endpoint(_)));
        assert!(matches!(error("udp://h:1"), ZmqError::Endpoint(_)));
        assert_eq!(error("tcp://h:1?type=call"), ZmqError::Type("call".into()));
        assert_eq!(error("tcp://h:1?type"), ZmqError::NoValue("type".into()));
        assert_eq!(error("tcp://h:1?sndhwm"), ZmqError::NoValue("sndhwm".into()));
        assert_eq!(error("tcp://h:1?bind=1"), ZmqError::Value("bind"));
        assert_eq!(error("tcp://h:1?type=push&type=push"), ZmqError::Twice("type"));
        assert!(matches!(error("tcp://h:1?sndhwm=-7"), ZmqError::Option(_)));
        assert!(matches!(error("tcp://h:1?curve_secretkey=x"), ZmqError::Secret(_)));
        let unknown = |text: &str| error(text).to_string();
        assert!(unknown("tcp://h:1?identity=me").ends_with("its name is routing_id"));
        assert!(unknown("tcp://h:1?sndhwn=1").ends_with("did you mean `sndhwm`?"));
        assert!(unknown("tcp://h:1?tipe=push").ends_with("did you mean `type`?"));
        assert!(unknown("tcp://h:1?warp_speed=9").ends_with("libzmq's names are"));
    }
}
