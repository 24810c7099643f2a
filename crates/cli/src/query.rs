//! What URLs of sockets and of services have in common: their query, and who has the address.

use std::fmt;

/// Who has the address, or the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// This process: others come to it.
    Bind,
    /// Another.
    Connect,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Side::Bind => "bind",
            Side::Connect => "connect",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parameters of a query, in order: `name=value`, or a name alone.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| match part.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (part, None),
    })
}
