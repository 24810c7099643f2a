//! Where a socket binds or connects: `transport://address`.
//!
//! Parsing looks at the text alone. Whether a name resolves, an interface exists or a port is free
//! is found out by who binds or connects.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// A parsed endpoint, which also keeps its text. Clones are cheap.
///
/// | to bind | meaning |
/// |---|---|
/// | `tcp://*:5555` | all addresses of this machine |
/// | `tcp://127.0.0.1:0`, `tcp://[::1]:*` | one of them, and a port that the system chooses |
/// | `tcp://eth0:5555` | the address of an interface |
/// | `ipc:///run/a.sock`, `ipc://@name` | a file; a name without one |
/// | `ipc://*` | a file in a new directory |
/// | `inproc://name`, `shm://name` | a name in this context, or on this machine |
///
/// To connect, the same without what is left open, and `tcp://host:5555` with a host's name, or
/// `tcp://source:port;host:5555` with the address that the connection is to come from.
///
/// ```
/// use chaski_zmq::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:5555".parse()?;
/// assert_eq!(endpoint.as_str(), "tcp://[::1]:5555");
/// assert!("http://example.org".parse::<Endpoint>().is_err());
/// # Ok::<(), chaski_zmq::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Arc<Parts>);

/// They are shared by all clones: events and errors carry an endpoint.
#[derive(PartialEq, Eq, Hash)]
struct Parts {
    text: String,
    address: Address,
}

/// What an endpoint says, in its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address.
    Tcp(Tcp),
    /// A Unix domain socket.
    Ipc(Ipc),
    /// A name inside this context.
    Inproc(String),
    /// A name of shared memory on this machine.
    Shm(String),
}

/// A TCP address, perhaps not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// The address to bind to or connect to.
    pub to: HostPort,
    /// The address that a connection is to come from (`tcp://source;host:port`).
    pub from: Option<HostPort>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port; 0 asks the system to choose one.
    pub port: u16,
}

/// The host part of a TCP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `*`: all addresses of this machine.
    Any,
    /// A numeric address.
    V4(Ipv4Addr),
    /// A numeric address, with the interface it belongs to if it is link-local (`fe80::1%eth0`).
    V6(Ipv6Addr, Option<String>),
    /// A host's or, where a local address is meant, an interface's name.
    Name(String),
}

/// The address of a Unix domain socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ipc {
    /// A file.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, which leaves no file behind.
    Abstract(String),
    /// `*`: a file in a new temporary directory.
    Any,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no endpoint: {why}")]
pub struct EndpointError {
    text: String,
    why: &'static str,
}

impl EndpointError {
    /// What is wrong with it.
    pub fn reason(&self) -> &'static str {
        self.why
    }
}

/// The longest text of an endpoint, in bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// The longest path of a Unix domain socket, in bytes: `sun_path` less its terminating NUL.
const IPC_BYTES_MAX: usize = 107;
/// The longest name of a host (RFC 1035, section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

impl Endpoint {
    /// The text, as it was given or, after a bind, as it was resolved.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The parts.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// The endpoint of a listener that is bound to this address.
    pub(crate) fn of_socket_addr(addr: SocketAddr) -> Self {
        let host = match addr {
            SocketAddr::V4(v4) => Host::V4(*v4.ip()),
            SocketAddr::V6(v6) => Host::V6(*v6.ip(), None),
        };
        let to = HostPort { host, port: addr.port() };
        Endpoint::new(format!("tcp://{addr}"), Address::Tcp(Tcp { to, from: None }))
    }

    /// The endpoint of a listener that is bound to this file.
    pub(crate) fn of_path(path: PathBuf) -> Self {
        let text = format!("ipc://{}", path.display());
        Endpoint::new(text, Address::Ipc(Ipc::Path(path)))
    }

    fn new(text: String, address: Address) -> Self {
        Endpoint(Arc::new(Parts { text, address }))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let address = parse(text).map_err(|why| EndpointError { text: clip(text), why })?;
        Ok(Endpoint::new(text.to_owned(), address))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl AsRef<str> for Endpoint {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// The start of a text that may be very long.
fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

fn parse(text: &str) -> Result<Address, &'static str> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is longer than 1024 bytes");
    }
    let Some((transport, rest)) = text.split_once("://") else {
        return Err("it does not begin with a transport and \"://\"");
    };
    if rest.is_empty() {
        return Err("nothing follows the transport");
    }
    if rest.contains('\0') {
        return Err("it contains a NUL");
    }
    match transport {
        "tcp" => parse_tcp(rest).map(Address::Tcp),
        "ipc" => parse_ipc(rest).map(Address::Ipc),
        "inproc" => Ok(Address::Inproc(rest.to_owned())),
        "shm" => Ok(Address::Shm(rest.to_owned())),
        _ => Err("the transports are tcp, ipc, inproc and shm"),
    }
}

fn parse_tcp(text: &str) -> Result<Tcp, &'static str> {
    let Some((from, to)) = text.split_once(';') else {
        return Ok(Tcp { to: parse_host_port(text)?, from: None });
    };
    // A source may leave its port to the system by leaving it out.
    let from = parse_host_port(from)
        .or_else(|_| parse_host(from).map(|host| HostPort { host, port: 0 }))?;
    Ok(Tcp { to: parse_host_port(to)?, from: Some(from) })
}

/// Reads `host:port`; also what a SOCKS proxy is named by.
pub(crate) fn parse_host_port(text: &str) -> Result<HostPort, &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("a TCP address ends with \":\" and a port")?;
    let port = match port {
        "*" => 0,
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "a port is at most 65535")?
        }
        _ => return Err("a port is a number or \"*\""),
    };
    Ok(HostPort { host: parse_host(host)?, port })
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    if text == "*" {
        return Ok(Host::Any);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("a \"[\" without its \"]\"")?;
        return if inner == "*" { Ok(Host::Any) } else { parse_v6(inner) };
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => Ok(Host::V4(ip)),
        Ok(IpAddr::V6(_)) => Err("an IPv6 address stands in brackets: [::1]"),
        Err(_) => parse_name(text),
    }
}

fn parse_v6(text: &str) -> Result<Host, &'static str> {
    let (ip, zone) = match text.split_once('%') {
        Some((_, "")) => return Err("nothing follows the \"%\""),
        Some((ip, zone)) => (ip, Some(zone.to_owned())),
        None => (text, None),
    };
    let ip = ip.parse().map_err(|_| "what stands in brackets is no IPv6 address")?;
    Ok(Host::V6(ip, zone))
}

fn parse_name(text: &str) -> Result<Host, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) || byte >= 0x80;
    match text {
        "" => Err("the host is missing"),
        _ if text.len() > NAME_BYTES_MAX => Err("a host's name is at most 255 bytes long"),
        _ if !text.bytes().all(plain) => {
            Err("a host's name has letters, digits, \"-\", \"_\" and \".\"")
        }
        // Such a text is a numeric address that is mistyped: no resolver is asked for it.
        _ if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            Err("an IPv4 address has four parts of at most 255")
        }
        _ => Ok(Host::Name(text.to_owned())),
    }
}

fn parse_ipc(text: &str) -> Result<Ipc, &'static str> {
    if text.len() > IPC_BYTES_MAX {
        return Err("the path of a Unix domain socket is at most 107 bytes long");
    }
    match text.strip_prefix('@') {
        Some("") => Err("nothing follows the \"@\""),
        Some(name) => Ok(Ipc::Abstract(name.to_owned())),
        None if text == "*" => Ok(Ipc::Any),
        None => Ok(Ipc::Path(PathBuf::from(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Tcp {
        match text.parse::<Endpoint>().unwrap().address() {
            Address::Tcp(tcp) => tcp.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tcp_hosts_and_ports() {
        assert_eq!(tcp("tcp://*:5555").to, HostPort { host: Host::Any, port: 5555 });
        assert_eq!(tcp("tcp://*:*").to, HostPort { host: Host::Any, port: 0 });
        assert_eq!(tcp("tcp://[*]:0").to, HostPort { host: Host::Any, port: 0 });
        assert_eq!(tcp("tcp://10.0.0.1:80").to.host, Host::V4([10, 0, 0, 1].into()));
        assert_eq!(tcp("tcp://[::1]:80").to.host, Host::V6(Ipv6Addr::LOCALHOST, None));
        let zoned = Host::V6("fe80::1".parse().unwrap(), Some("eth0".into()));
        assert_eq!(tcp("tcp://[fe80::1%eth0]:80").to.host, zoned);
        assert_eq!(tcp("tcp://eth0:80").to.host, Host::Name("eth0".into()));
    }

    #[test]
    fn a_source_may_leave_out_its_port() {
        let source = |text| tcp(text).from.unwrap();
        assert_eq!(source("tcp://127.0.0.2:7000;localhost:80").port, 7000);
        assert_eq!(source("tcp://127.0.0.2;localhost:80").port, 0);
        assert_eq!(source("tcp://[::1];localhost:80").host, Host::V6(Ipv6Addr::LOCALHOST, None));
    }

    #[test]
    #[rustfmt::skip]
    fn what_is_no_endpoint_is_said_so() {
        let long_path = format!("ipc:///{}", "x".repeat(200));
        let long = format!("inproc://{}", "x".repeat(2000));
        for text in [
            "", "tcp", "tcp:", "tcp://", "tcp://x", "tcp://:1", "tcp://x:", "tcp://x:65536",
            "tcp://x:-1", "tcp://x:+1", "tcp://::1:80", "tcp://[::1:80", "tcp://[x]:80",
            "tcp://a b:80", "tcp://1.2.3:80", "tcp://256.1.1.1:80", "tcp://x;y", "tcp://;x:1",
            "udp://x:1", "TCP://x:1", "ipc://", "ipc://@", "ipc://a\0b", "inproc://", "shm://",
            "tcp://[fe80::1%]:80", &long_path, &long,
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert!(!error.reason().is_empty());
        }
    }

    #[test]
    fn ipc_paths() {
        let ipc = |text: &str| match text.parse::<Endpoint>().unwrap().address() {
            Address::Ipc(ipc) => ipc.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(ipc("ipc:///run/a b"), Ipc::Path("/run/a b".into()));
        assert_eq!(ipc("ipc://@name"), Ipc::Abstract("name".into()));
        assert_eq!(ipc("ipc://*"), Ipc::Any);
    }

    #[test]
    fn a_bound_address_reads_back() {
        for text in ["127.0.0.1:5555", "[::1]:5555"] {
            let endpoint = Endpoint::of_socket_addr(text.parse().unwrap());
            assert_eq!(endpoint.as_str().parse::<Endpoint>().unwrap(), endpoint);
        }
    }
}
