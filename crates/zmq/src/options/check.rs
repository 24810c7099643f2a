//! Whether a set of options makes sense, for a kind of socket and among themselves.

use std::time::Duration;

use chaski_zmtp::Kind;

use super::{OptionError, Options, PageSize, TABLE};
use crate::endpoint::{Host, HostPort, parse_host_port};

/// The longest identity (RFC 37, "The Identity property").
const IDENTITY_BYTES_MAX: usize = 255;
/// The longest name or password of PLAIN (RFC 24) and of SOCKS5 (RFC 1929).
const CREDENTIAL_BYTES_MAX: usize = 255;
/// The longest time to live that a PING can carry: 65,535 tenths of a second.
const TTL_MAX: Duration = Duration::from_millis(6_553_500);
/// The longest that unacknowledged data may wait: what `TCP_USER_TIMEOUT` holds.
const MAXRT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
/// The longest name of an interface: `IFNAMSIZ` less its terminating NUL.
const INTERFACE_BYTES_MAX: usize = 15;
/// The smallest page that is read into.
const PAGE_BYTES_MIN: usize = 256;
/// The largest page that is read into.
const PAGE_BYTES_MAX: usize = 64 << 20;

impl Options {
    /// Whether a socket of this kind can have these options.
    ///
    /// # Errors
    ///
    /// [`OptionError::NotForKind`], [`OptionError::Value`] or [`OptionError::Conflict`], for the
    /// first that is amiss.
    pub fn check(&self, kind: Kind) -> Result<(), OptionError> {
        for name in self.differing(&Options::default()) {
            let elsewhere = TABLE
                .iter()
                .any(|row| row.name == name && !row.kinds.is_empty() && !row.kinds.contains(&kind));
            if elsewhere {
                return Err(OptionError::NotForKind { name, kind });
            }
        }
        let rules = [
            Options::check_identities,
            Options::check_credentials,
            Options::check_sizes,
            Options::check_connections,
            Options::check_network,
            Options::check_keepalives,
        ];
        for rule in rules {
            rule(self).map_err(|Bad { name, why }| {
                let value = self.shown(name);
                OptionError::Value { name, value, why }
            })?;
        }
        self.check_mechanism()
    }

    fn check_identities(&self) -> Result<(), Bad> {
        let ids =
            [("routing_id", &self.routing_id), ("connect_routing_id", &self.connect_routing_id)];
        for (name, id) in ids {
            if id.len() > IDENTITY_BYTES_MAX {
                return refuse(name, "an identity is at most 255 bytes long");
            }
            if id.first() == Some(&0) {
                return refuse(name, "identities that begin with 0 are the ROUTER's own");
            }
        }
        Ok(())
    }

    fn check_credentials(&self) -> Result<(), Bad> {
        let texts = [
            ("plain_username", &self.plain_username),
            ("plain_password", self.plain_password.reveal()),
            ("socks_username", &self.socks_username),
            ("socks_password", self.socks_password.reveal()),
            ("zap_domain", &self.zap_domain),
        ];
        for (name, text) in texts {
            if text.len() > CREDENTIAL_BYTES_MAX {
                return refuse(name, "it is at most 255 bytes long");
            }
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), Bad> {
        for (name, bytes) in [("sndbuf", self.sndbuf), ("rcvbuf", self.rcvbuf)] {
            if bytes.is_some_and(|bytes| i32::try_from(bytes).is_err() || bytes == 0) {
                return refuse(name, "it is 1 to 2147483647 bytes, or none for the system's own");
            }
        }
        if !self.metadata.iter().all(|(name, _)| is_own(name)) {
            let why = "a property's name begins with \"X-\", and has up to 255 ASCII characters";
            return refuse("metadata", why);
        }
        match self.page_size {
            PageSize::Custom(bytes) if bytes < PAGE_BYTES_MIN => {
                refuse("page_size", "it is at least 256 bytes")
            }
            PageSize::Custom(bytes) if bytes > PAGE_BYTES_MAX => {
                refuse("page_size", "it is at most 64 MiB")
            }
            _ => Ok(()),
        }
    }

    fn check_connections(&self) -> Result<(), Bad> {
        if self.heartbeat_ttl > TTL_MAX {
            return refuse("heartbeat_ttl", "it is at most 6553.5 seconds");
        }
        if self.handshakes_max == 0 {
            return refuse("handshakes_max", "at least one handshake must be possible");
        }
        if self.tcp_maxrt > MAXRT_MAX {
            return refuse("tcp_maxrt", "it is at most 2147483647 milliseconds");
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), Bad> {
        if self.tos > u32::from(u8::MAX) {
            return refuse("tos", "it is 0 to 255: an octet of the IP header");
        }
        if i32::try_from(self.priority).is_err() {
            return refuse("priority", "it is 0 to 2147483647, and more than 6 needs a right");
        }
        let name = &self.bindtodevice;
        let odd = |byte: u8| byte == b'/' || byte.is_ascii_whitespace() || byte.is_ascii_control();
        if name.len() > INTERFACE_BYTES_MAX || name.bytes().any(odd) {
            return refuse("bindtodevice", "an interface's name has up to 15 bytes, no space or /");
        }
        let proxy = &self.socks_proxy;
        if !proxy.is_empty() {
            match parse_host_port(proxy) {
                Ok(HostPort { host, port }) if host != Host::Any && port != 0 => {}
                _ => return refuse("socks_proxy", "it is host:port, or empty for none"),
            }
        }
        Ok(())
    }

    /// The ranges are Linux's (`MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL`, `MAX_TCP_KEEPCNT`).
    fn check_keepalives(&self) -> Result<(), Bad> {
        let within = |value: Option<u32>, max| value.is_none_or(|value| (1..=max).contains(&value));
        let seconds = "it is 1 to 32767 seconds, or none for the system's own";
        if !within(self.tcp_keepalive_idle, 32_767) {
            return refuse("tcp_keepalive_idle", seconds);
        }
        if !within(self.tcp_keepalive_intvl, 32_767) {
            return refuse("tcp_keepalive_intvl", seconds);
        }
        if !within(self.tcp_keepalive_cnt, 127) {
            return refuse("tcp_keepalive_cnt", "it is 1 to 127 probes, or none");
        }
        Ok(())
    }

    /// A socket has one mechanism and one role in it.
    fn check_mechanism(&self) -> Result<(), OptionError> {
        let wanted: Vec<&'static str> = [
            ("plain_server", self.plain_server),
            ("plain_username", !self.plain_username.is_empty()),
            ("curve_server", self.curve_server),
            ("curve_serverkey", self.curve_serverkey.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect();
        if let [first, second, ..] = wanted[..] {
            return Err(OptionError::Conflict { first, second });
        }
        let curve = self.curve_server || self.curve_serverkey.is_some();
        if curve && self.curve_secretkey.reveal().is_none() {
            let (name, value) = ("curve_secretkey", self.shown("curve_secretkey"));
            return Err(OptionError::Value { name, value, why: "CURVE needs a secret key" });
        }
        Ok(())
    }
}

/// An option whose value is none that it may have.
struct Bad {
    name: &'static str,
    why: &'static str,
}

fn refuse(name: &'static str, why: &'static str) -> Result<(), Bad> {
    Err(Bad { name, why })
}

/// Names that begin with `X-` belong to the application (RFC 37, "Metadata").
fn is_own(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.is_ascii()
        && name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{SocketOption, When};

    #[test]
    fn the_defaults_suit_every_kind() {
        for kind in [Kind::Push, Kind::Router, Kind::Xpub, Kind::Stream, Kind::Dish] {
            assert_eq!(Options::default().check(kind), Ok(()));
        }
    }

    #[test]
    fn an_option_of_another_kind_is_an_error() {
        let options = Options { router_mandatory: true, ..Options::default() };
        assert_eq!(options.check(Kind::Router), Ok(()));
        let error = options.check(Kind::Push).unwrap_err();
        let name = "router_mandatory";
        assert_eq!(error, OptionError::NotForKind { name, kind: Kind::Push });
    }

    #[test]
    fn one_mechanism_at_a_time() {
        let options = Options {
            plain_server: true,
            curve_server: true,
            curve_secretkey: [1; 32].into(),
            ..Options::default()
        };
        let error = options.check(Kind::Pull).unwrap_err();
        assert!(matches!(error, OptionError::Conflict { .. }), "{error}");
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let mut options = Options::default();
        let before = options.clone();
        assert!(options.set(Kind::Pull, SocketOption::RoutingId(vec![0])).is_err());
        let late = options.set(Kind::Pull, SocketOption::Conflate(true)).unwrap_err();
        assert_eq!(late, OptionError::TooLate { name: "conflate" });
        assert_eq!(options, before);
        assert_eq!(options.set(Kind::Pull, SocketOption::Linger(None)), Ok(When::Now));
    }
}
