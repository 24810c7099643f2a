//! Where messages go to or come from: a broker and a topic on it, `HOST:PORT` and
//! `kafka://HOST:PORT/TOPIC`, a [`service`](crate::service) of this machine, `shm://NAME`, or a
//! [socket](crate::zmq::url), `zmq+tcp://HOST:PORT`.

use std::fmt;
use std::str::FromStr;

use chaski_broker::nearest;
use thiserror::Error;

use crate::service::{self, ServiceError, ServiceUrl};
use crate::zmq::url::{self, ZmqError, ZmqUrl};

/// The port brokers listen on unless told otherwise.
const PORT: u16 = 9092;
/// Bytes of a topic name at most, as Kafka has it.
const TOPIC_BYTES_MAX: usize = 249;
const SCHEME: &str = "kafka://";
/// All that are spoken.
const SCHEMES: [&str; 5] = ["kafka", "shm", "zmq+tcp", "zmq+ipc", "zmq+shm"];

/// Host and port of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Whether it is on this machine, by its name.
    pub(crate) fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }
}

/// Where messages go to or come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Url {
    Topic(TopicUrl),
    Service(ServiceUrl),
    Socket(ZmqUrl),
}

/// A topic on a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicUrl {
    pub(crate) broker: Address,
    pub(crate) topic: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum AddressError {
    #[error("the host is missing")]
    Host,
    #[error("`{0}` is no port")]
    Port(String),
    #[error("an IPv6 address goes in brackets: [::1]:9092")]
    Brackets,
    #[error("it must look like kafka://HOST:PORT/TOPIC, shm://NAME or zmq+tcp://HOST:PORT")]
    Scheme,
    #[error("did you mean `{0}`?")]
    Meant(String),
    #[error("`{0}` is not spoken; kafka://, shm://, zmq+tcp://, zmq+ipc:// and zmq+shm:// are")]
    OtherScheme(String),
    #[error("the topic is missing: kafka://HOST:PORT/TOPIC")]
    NoTopic,
    #[error(
        "`{0}` is no topic name: 1 to {TOPIC_BYTES_MAX} letters, digits, `.`, `_` and `-`, \
         and not `.` or `..`"
    )]
    Topic(String),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Socket(#[from] ZmqError),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (host, port) = split_port(text)?;
        if host.is_empty() {
            return Err(AddressError::Host);
        }
        let port = match port {
            None => PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| AddressError::Port(port.to_owned()))?,
        };
        Ok(Address { host: host.to_owned(), port })
    }
}

/// The host without brackets, and the port if there is one.
fn split_port(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(AddressError::Brackets)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressError::Brackets),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::Brackets),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Url {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Url, AddressError> {
        if let Some(rest) = text.strip_prefix(SCHEME) {
            return rest.parse().map(Url::Topic);
        }
        if let Some(rest) = text.strip_prefix(service::SCHEME) {
            return Ok(Url::Service(rest.parse()?));
        }
        if let Some(rest) = text.strip_prefix(url::SCHEME) {
            return Ok(Url::Socket(rest.parse()?));
        }
        Err(match (meant(text), text.split_once("://")) {
            (Some(url), _) => AddressError::Meant(url),
            (None, Some((scheme, _))) => AddressError::OtherScheme(format!("{scheme}://")),
            (None, None) => AddressError::Scheme,
        })
    }
}

/// The URL that somebody may have had in mind.
fn meant(text: &str) -> Option<String> {
    let url = match text.split_once("://") {
        Some((scheme @ ("tcp" | "ipc"), rest)) => format!("zmq+{scheme}://{rest}"),
        Some(("zmq", rest)) => format!("zmq+tcp://{rest}"),
        Some((scheme, rest)) => format!("{}://{rest}", nearest(scheme, SCHEMES)?),
        // A broker and a topic on it.
        None if text.contains(':') && text.contains('/') => format!("{SCHEME}{text}"),
        None => return None,
    };
    url.parse::<Url>().is_ok().then_some(url)
}

impl FromStr for TopicUrl {
    type Err = AddressError;

    /// Reads what stands behind `kafka://`.
    fn from_str(rest: &str) -> Result<TopicUrl, AddressError> {
        let (broker, topic) = rest.split_once('/').ok_or(AddressError::NoTopic)?;
        let topic = topic.strip_suffix('/').unwrap_or(topic);
        match topic {
            "" => Err(AddressError::NoTopic),
            _ if !is_topic_name(topic) => Err(AddressError::Topic(topic.to_owned())),
            _ => Ok(TopicUrl { broker: broker.parse()?, topic: topic.to_owned() }),
        }
    }
}

fn is_topic_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.chars().all(legal)
        && name != "."
        && name != ".."
}

impl fmt::Display for TopicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.broker, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Side;

    fn address(text: &str) -> Result<(String, u16), AddressError> {
        text.parse::<Address>().map(|a| (a.host, a.port))
    }

    #[test]
    fn an_address_is_a_host_and_maybe_a_port() {
        assert_eq!(address("localhost:19092"), Ok(("localhost".into(), 19092)));
        assert_eq!(address("10.0.0.7"), Ok(("10.0.0.7".into(), 9092)));
        assert_eq!(address("[::1]:1"), Ok(("::1".into(), 1)));
        assert_eq!(address("[::1]"), Ok(("::1".into(), 9092)));
        assert_eq!(address(":9092"), Err(AddressError::Host));
        assert_eq!(address(""), Err(AddressError::Host));
        assert_eq!(address("::1"), Err(AddressError::Brackets));
        assert_eq!(address("[::1"), Err(AddressError::Brackets));
        assert_eq!(address("[::1]9092"), Err(AddressError::Brackets));
        for port in ["0", "65536", "-1", "http", ""] {
            assert_eq!(address(&format!("h:{port}")), Err(AddressError::Port(port.into())));
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_typed() {
        for text in ["localhost:9092", "[::1]:9092"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_url_names_broker_and_topic() {
        let topic = |text: &str| match text.parse() {
            Ok(Url::Topic(url)) => url,
            other => panic!("{other:?}"),
        };
        let url = topic("kafka://127.0.0.1:19092/orders.v1");
        assert_eq!((url.broker.port, url.topic.as_str()), (19092, "orders.v1"));
        assert_eq!(url.to_string(), "kafka://127.0.0.1:19092/orders.v1");
        let url = topic("kafka://localhost/orders/");
        assert_eq!((url.broker.port, url.topic.as_str()), (9092, "orders"));
    }

    #[test]
    fn a_url_may_name_a_service() {
        let Ok(Url::Service(url)) = "shm://orders?bind".parse() else { panic!("a service") };
        assert_eq!((url.name.as_str(), url.side), ("orders", Some(Side::Bind)));
        let error = "shm://".parse::<Url>().unwrap_err();
        assert_eq!(error, AddressError::Service(ServiceError::NoName));
    }

    #[test]
    fn a_slip_is_met_with_what_was_meant() {
        let meant = |text: &str| match text.parse::<Url>() {
            Err(AddressError::Meant(url)) => url,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(meant("kafak://h:1/t"), "kafka://h:1/t");
        assert_eq!(meant("kafk://h:1/t"), "kafka://h:1/t");
        assert_eq!(meant("kaffka://h:1/t"), "kafka://h:1/t");
        assert_eq!(meant("kafke://h:1/t"), "kafka://h:1/t");
        assert_eq!(meant("zqm+tcp://h:1"), "zmq+tcp://h:1");
        assert_eq!(meant("tcp://h:1"), "zmq+tcp://h:1");
        assert_eq!(meant("h:9092/orders"), "kafka://h:9092/orders");
        assert_eq!(meant("zmq://h:1"), "zmq+tcp://h:1");
        for other in ["http://h:1/t", "amqp://h:1/t", "kafak://h:1/a b", "h:1/a b", "h:1"] {
            let error = other.parse::<Url>().unwrap_err();
            assert!(!matches!(error, AddressError::Meant(_)), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        let error = |text: &str| text.parse::<Url>().unwrap_err();
        assert_eq!(error("orders"), AddressError::Scheme);
        assert_eq!(error("amqp://h:1/x"), AddressError::OtherScheme("amqp://".into()));
        assert_eq!(error("http://h:1/x"), AddressError::OtherScheme("http://".into()));
        assert_eq!(error("kafka://h:1"), AddressError::NoTopic);
        assert_eq!(error("kafka://h:1/"), AddressError::NoTopic);
        assert_eq!(error("kafka:///orders"), AddressError::Host);
        assert_eq!(error("kafka://h:1/a/b"), AddressError::Topic("a/b".into()));
        assert_eq!(error("kafka://h:1/.."), AddressError::Topic("..".into()));
        let long = "x".repeat(250);
        assert_eq!(error(&format!("kafka://h:1/{long}")), AddressError::Topic(long));
    }
}
