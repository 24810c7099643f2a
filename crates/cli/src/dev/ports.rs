//! Which port to listen on: the one that everybody knows, else any that is free.

use std::net::TcpListener;

/// Where Kafka clients look first.
pub(super) const KAFKA: &str = "127.0.0.1:9092";
/// Where people look for the console.
pub(super) const HTTP: &str = "127.0.0.1:8080";
/// Where messages are taken for the topic, and where they are published.
pub(super) const PULL: &str = "tcp://127.0.0.1:5555";
pub(super) const PUBLISH: &str = "tcp://127.0.0.1:5556";
/// The system chooses.
const ANY: &str = "127.0.0.1:0";
pub(super) const ANY_ENDPOINT: &str = "tcp://127.0.0.1:*";

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port<'a> {
    address: &'a str,
    /// Whether it was asked for, and no other will do.
    given: bool,
}

impl<'a> Port<'a> {
    /// What was given, else the default if it is free at this moment.
    pub(super) fn choose(given: Option<&'a str>, default: &'static str) -> Port<'a> {
        match given {
            Some(address) => Port { address, given: true },
            None if TcpListener::bind(default).is_ok() => Port { address: default, given: false },
            None => Port { address: ANY, given: false },
        }
    }

    /// Any port, unless this one was asked for.
    pub(super) fn or_any(self) -> Port<'a> {
        if self.given { self } else { Port { address: ANY, given: false } }
    }

    pub(super) fn address(&self) -> &'a str {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_kept_to_and_what_is_taken_is_left() {
        let taken = TcpListener::bind(ANY).expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        assert_eq!(Port::choose(Some(&address), KAFKA).or_any().address(), address);
        let default: &'static str = address.clone().leak();
        assert_eq!(Port::choose(None, default).address(), ANY);
        drop(taken);
        let free = Port { address: default, given: false };
        assert_eq!(free.or_any().address(), ANY);
    }
}
