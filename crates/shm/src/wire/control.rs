//! What the two say to each other after the welcome, either way.

use super::fields::{Reader, Writer};
use super::{Unreadable, VERSION};

const SEGMENT: u16 = 16;
const FORGET: u16 = 17;
const BYE: u16 = 18;

/// All are of this length.
const LEN: usize = 24;

/// Why one leaves who could stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The endpoint was closed.
    Closed,
    /// What the other side wrote cannot be true.
    Corrupt,
    /// The other side fell behind, and its policy is to be disconnected then.
    Slow,
    /// A reason this version does not know.
    Other(u32),
}

impl Reason {
    fn code(self) -> u32 {
        match self {
            Reason::Closed => 1,
            Reason::Corrupt => 2,
            Reason::Slow => 3,
            Reason::Other(code) => code,
        }
    }

    fn from_code(code: u32) -> Reason {
        match code {
            1 => Reason::Closed,
            2 => Reason::Corrupt,
            3 => Reason::Slow,
            other => Reason::Other(other),
        }
    }
}

/// A message beside the rings.
///
/// ```text
///  0 "chsk"            4
///  4 version           2
///  6 type 16, 17, 18   2
///  8 number            4    of a segment, else zero
/// 12 reason            4    of a bye, else zero
/// 16 len               8    of a new segment, else zero
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// Memory for large payloads comes along; records will refer to it by its number.
    Segment {
        /// What it is called from now on.
        number: u32,
        /// Bytes of it.
        len: u64,
    },
    /// A segment will not be referred to again.
    Forget {
        /// Which.
        number: u32,
    },
    /// The sender of this leaves.
    Bye {
        /// Why.
        reason: Reason,
    },
}

impl Control {
    /// How many descriptors come along.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        match self {
            Control::Segment { .. } => 1,
            Control::Forget { .. } | Control::Bye { .. } => 0,
        }
    }

    /// As a packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, number, reason, len) = match *self {
            Control::Segment { number, len } => (SEGMENT, number, 0, len),
            Control::Forget { number } => (FORGET, number, 0, 0),
            Control::Bye { reason } => (BYE, 0, reason.code(), 0),
        };
        Writer::new(kind).u32(number).u32(reason).u64(len).finish()
    }

    /// From a packet.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Control, Unreadable> {
        let (version, kind, mut fields) = Reader::open(bytes)?;
        if version != VERSION {
            return Err(Unreadable::Version { theirs: version });
        }
        if !(SEGMENT..=BYE).contains(&kind) {
            return Err(Unreadable::Type(kind));
        }
        fields.expect(LEN)?;
        let (number, reason, len) = (fields.u32(), fields.u32(), fields.u64());
        let none = |field, value| match value {
            0 => Ok(()),
            value => Err(Unreadable::Field { field, value }),
        };
        if kind != BYE {
            none("reason", reason.into())?;
        }
        if kind != SEGMENT {
            none("length", len)?;
        }
        Ok(match kind {
            SEGMENT => Control::Segment { number, len },
            FORGET => Control::Forget { number },
            _ => {
                none("number", number.into())?;
                Control::Bye { reason: Reason::from_code(reason) }
            }
        })
    }
}
