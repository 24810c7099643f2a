//! A connection of the side that connects, made anew when the other side dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::door::ConnectError;
use crate::link::Link;
use crate::name::Name;
use crate::options::Options;
use crate::porch::Porch;
use crate::reach::{Reach, Reached};
use crate::wire::Kind;

/// How long to look for somebody of the name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The first time.
    pub(crate) connect_within: Duration,
    /// When the one connected to is gone.
    pub(crate) reconnect_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect_within: Duration::from_secs(2),
            reconnect_within: Duration::from_secs(5),
        }
    }
}

/// A connection that is up, sought, or given up.
pub(crate) struct Tie {
    reach: Reach,
    state: State,
    reconnect_within: Duration,
}

enum State {
    Up(Box<Link>),
    Seeking,
    Over,
}

impl Tie {
    /// Connects, waiting for somebody of the name.
    pub(crate) fn connect(
        name: &str,
        options: Options,
        kind: Kind,
        patience: Patience,
    ) -> Result<Tie, ConnectError> {
        let mut reach = Reach::new(Name::new(name)?, options, kind)?;
        let link = reach.connect(Instant::now() + patience.connect_within)?;
        let reconnect_within = patience.reconnect_within;
        Ok(Tie { reach, state: State::Up(Box::new(link)), reconnect_within })
    }

    /// The connection, if it is up. The other side may have gone, see its session.
    #[inline]
    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Up(link) => Some(link),
            State::Seeking | State::Over => None,
        }
    }

    /// Whether nobody is left, and nobody came.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    #[inline]
    pub(crate) fn porch(&self) -> &Arc<Porch> {
        self.reach.porch()
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The other side is gone: looks for its successor, in the background. It had taken what ends
    /// at `head` or before; `None`: that cannot be told, and the ring begins anew.
    pub(crate) fn lose(&mut self, head: Option<u64>) {
        if let State::Up(link) = std::mem::replace(&mut self.state, State::Seeking) {
            self.reach.search(*link, head, Instant::now() + self.reconnect_within);
            // A search that could not even begin is found out by looking.
            self.porch().knock();
        }
    }

    /// Takes up the connection to a successor, if one was found; whether so. The caller has taken
    /// the news, before it looked whether the other side is gone: taken again here, the knock of a
    /// hang-up since would be heard by nobody.
    pub(crate) fn advance(&mut self) -> bool {
        if !matches!(self.state, State::Seeking) {
            return false;
        }
        match self.reach.poll() {
            Reached::NotYet => return false,
            Reached::Link(link) => self.state = State::Up(link),
            Reached::Nobody => self.state = State::Over,
        }
        matches!(self.state, State::Up(_))
    }
}

/// The builder methods that set a [`Patience`], for a type with a field `patience`.
macro_rules! patience_options {
    () => {
        /// How long to wait for somebody of the name when connecting: 2 s by default.
        #[must_use]
        pub fn connect_within(mut self, limit: std::time::Duration) -> Self {
            self.patience.connect_within = limit;
            self
        }

        /// How long to wait for the next of the name when the one connected to is gone: 5 s by
        /// default.
        #[must_use]
        pub fn reconnect_within(mut self, limit: std::time::Duration) -> Self {
            self.patience.reconnect_within = limit;
            self
        }
    };
}

pub(crate) use patience_options;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hall::{Hall, Terms};

    /// Who looks whether the other side is gone, and only then turns here, would else never hear
    /// of a hang-up between the two.
    #[test]
    fn news_of_a_connection_that_is_up_is_left_to_the_caller() {
        let directory = tempfile::tempdir().unwrap();
        let options =
            Options { directory: Some(directory.path().join("shm")), ..Options::default() };
        let terms = Terms { serves: Kind::Push, peers_max: 1 };
        let _hall = Hall::<()>::bind(&Name::new("tie").unwrap(), &options, terms).unwrap();
        let patience = Patience { connect_within: Duration::from_secs(60), ..Patience::default() };
        let mut tie = Tie::connect("tie", options, Kind::Push, patience).unwrap();
        tie.porch().knock();
        assert!(!tie.advance());
        assert!(tie.porch().take_news());
    }
}
