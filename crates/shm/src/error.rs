//! What can go wrong with an endpoint that is up. Binding and connecting have errors of their own.

use chaski_ring::region;

use crate::call::RequestId;

/// Why an endpoint could not send or receive.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room for the message now. Receive what has come, or wait.
    #[error("the ring is full; receive what has come, or wait")]
    Full,

    /// Nothing came in time.
    #[error("timed out")]
    TimedOut,

    /// The payload is longer than both sides agreed to take (`large_bytes` of their builders), or
    /// than half of a publisher's ring.
    #[error(
        "a payload of {len} bytes, but at most {max} may be sent; split it, or raise the limit"
    )]
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// The most bytes a payload may have.
        max: usize,
    },

    /// The other side has gone, and no other came. Who connects may connect again; one that is
    /// bound goes on with the others.
    #[error("the peer is gone")]
    Closed,

    /// As many requests await their responses as this client may have.
    #[error("{max} requests are outstanding; receive a response first")]
    TooMany {
        /// How many may be.
        max: usize,
    },

    /// The server took this request and dropped it without a response.
    #[error(
        "{request} was dropped by the server; it may have been worked on, so repeat it only if \
         that does no harm"
    )]
    Unanswered {
        /// Which.
        request: RequestId,
    },

    /// The server took this request and died: nobody knows how far it came.
    #[error(
        "{request} was taken by a server that died; it may have been worked on, so repeat it only \
         if that does no harm"
    )]
    InDoubt {
        /// Which.
        request: RequestId,
    },

    /// The server died before it took this request, and no other came in time. It was not worked
    /// on.
    #[error("{request} was not taken by any server; it can be sent again")]
    NotTaken {
        /// Which.
        request: RequestId,
    },

    /// Messages were written over before this subscriber had read them. It goes on behind them.
    #[error("{lost} messages were lost, this subscriber was too slow; the next follow")]
    Lagged {
        /// How many.
        lost: u64,
    },

    /// The publisher is gone and another of the name has come, whose messages are numbered from 0.
    #[error("another publisher has come, {missed} of its messages were missed; the next follow")]
    Restarted {
        /// How many of its messages had been published before this subscriber was there, and were
        /// not to be had any more.
        missed: u64,
    },

    /// This subscriber was to lose nothing, fell behind, and was cut off.
    #[error("the publisher has cut this subscriber off, it was too slow; connect again")]
    CutOff,

    /// The other side wrote what nobody who keeps the protocol writes. The connection is closed.
    #[error("the peer's memory is corrupt: {0}")]
    Corrupt(Corrupt),

    /// The system refused something.
    #[error("{what}: {errno}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// How it answered.
        errno: rustix::io::Errno,
    },
}

/// What was found in memory that a peer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// A ring breaks its own rules.
    #[error(transparent)]
    Ring(#[from] region::Corrupt),
    /// A tag that no peer of this kind sends, or that names a request nobody made.
    #[error("a record with the tag {0:#06x}")]
    Tag(u16),
    /// A reference to a large payload that leads nowhere.
    #[error("a reference to no large payload")]
    Reference,
    /// A message on the socket that does not belong there.
    #[error("an unfit control message")]
    Control,
}

impl Error {
    /// The one request that this is about, if it is about one.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Error::Unanswered { request }
            | Error::InDoubt { request }
            | Error::NotTaken { request } => Some(*request),
            _ => None,
        }
    }

    /// For `map_err`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
        move |errno| Error::System { what, errno }
    }
}

impl<C: Into<Corrupt>> From<C> for Error {
    fn from(corrupt: C) -> Self {
        Error::Corrupt(corrupt.into())
    }
}
