//! Why an option cannot be set.

use chaski_zmtp::Kind;

use crate::driver::Forked;

/// An option that cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// There is no such option, here or in libzmq.
    #[error("there is no option {name:?}{}", hint(*.near))]
    Unknown {
        /// The name given.
        name: String,
        /// The option whose name is nearest to that, if one is near.
        near: Option<&'static str>,
    },
    /// libzmq has this option, and it is not one here.
    #[error("libzmq's option {name} is none here: {why}")]
    Foreign {
        /// Its name.
        name: &'static str,
        /// What there is instead, or why there is nothing.
        why: &'static str,
    },
    /// The value is not one of those that the option may have.
    #[error("the option {name} cannot be {value}: {why}")]
    Value {
        /// Which option.
        name: &'static str,
        /// The value, or its beginning; `..` if it is a secret.
        value: String,
        /// Which values it may have.
        why: &'static str,
    },
    /// Sockets of this kind do not have it.
    #[error("a {kind:?} socket has no option {name}")]
    NotForKind {
        /// Which option.
        name: &'static str,
        /// The kind of the socket.
        kind: Kind,
    },
    /// It cannot change once the socket exists.
    #[error("the option {name} is given to the builder, before the socket exists")]
    TooLate {
        /// Which option.
        name: &'static str,
    },
    /// Two options contradict each other.
    #[error("the options {first} and {second} cannot be set together")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The process has forked, and the socket is the parent's.
    #[error(transparent)]
    Forked(#[from] Forked),
}

fn hint(near: Option<&'static str>) -> String {
    match near {
        Some(near) => format!("; did you mean {near}?"),
        None => "; Options::table lists those there are".to_owned(),
    }
}
