//! What becomes of a subscriber that falls behind.

use std::fmt;

use chaski_ring::region::broadcast;

/// What becomes of a subscriber that does not keep up. It says so itself when it connects; a
/// publisher says which it allows
/// ([`PublisherBuilder::policies`](super::PublisherBuilder::policies)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// It loses the oldest messages, and is told how many: [`Error::Lagged`](crate::Error::Lagged).
    /// It costs the publisher nothing, and nobody else notices.
    #[default]
    DropOldest,
    /// It loses nothing, and the connection ends where it would hold the publisher up:
    /// [`Error::CutOff`](crate::Error::CutOff).
    Disconnect,
    /// The publisher waits for it, and with it all other subscribers. It loses nothing. Not allowed
    /// unless the publisher says so, because one that is stopped, in a debugger say, stops all.
    Block,
}

impl Policy {
    const ALL: [Policy; 3] = [Policy::DropOldest, Policy::Disconnect, Policy::Block];

    /// The number that stands for it in a hello, from 1.
    pub(super) fn code(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_code(code: u8) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.code() == code)
    }
}

impl From<Policy> for broadcast::Policy {
    fn from(policy: Policy) -> broadcast::Policy {
        match policy {
            Policy::DropOldest => broadcast::Policy::DropOldest,
            Policy::Disconnect => broadcast::Policy::Disconnect,
            Policy::Block => broadcast::Policy::Block,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Policy::DropOldest => "drop-oldest",
            Policy::Disconnect => "disconnect",
            Policy::Block => "block",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_policies() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_code(policy.code()), Some(policy));
        }
        assert_eq!((Policy::from_code(0), Policy::from_code(4)), (None, None));
    }
}
