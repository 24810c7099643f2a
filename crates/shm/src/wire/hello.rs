//! The first word, of the side that connects.

use super::fields::{Reader, Writer};
use super::{Unreadable, VERSION};

/// The type of the packet.
const HELLO: u16 = 1;

/// Its length in bytes.
const LEN: usize = 48;

/// What the connecting side wants to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The client of a server.
    Call,
    /// A producer of work for whom listens.
    Push,
    /// A worker for whom listens.
    Pull,
    /// A subscriber of a publisher.
    Subscribe,
    /// Who rings a listener.
    Notify,
    /// Nobody who stays: it asks what there is to know of the service.
    Survey,
    /// The other end of a pipe.
    Pipe,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Call,
        Kind::Push,
        Kind::Pull,
        Kind::Subscribe,
        Kind::Notify,
        Kind::Survey,
        Kind::Pipe,
    ];

    /// The number that stands for it, from 1.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The kind of this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// What a process can do, a bit each. Bits of no known meaning are kept and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// It has registered for `membarrier` with `GLOBAL_EXPEDITED`: the other side may let it run a
    /// fence and leave out its own.
    pub const FENCES: Flags = Flags(1);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where the requests begin that an earlier server had not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resume {
    /// The generation of that server.
    pub generation: u64,
    /// Its position in the ring: the requests from here on it had not taken.
    pub head: u64,
}

/// Who connects, what it wants to be and what it brings.
///
/// ```text
///  0 "chsk"                4
///  4 version               2
///  6 type 1                2
///  8 kind                  1
///  9 policy                1
/// 10 1: it resumes         1
/// 11 zero                  1
/// 12 flags                 4
/// 16 capacity              4
/// 20 history               4
/// 24 payload_max           8
/// 32 resume: generation    8    zero if it does not
/// 40 resume: head          8    zero if it does not
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hello {
    /// What it wants to be.
    pub kind: Kind,
    /// What its process can do.
    pub flags: Flags,
    /// Bytes of the ring in the half that it brings; 0 if it has none.
    pub capacity: u32,
    /// How many of the latest messages a subscriber wants to begin with.
    pub history: u32,
    /// The longest payload that it will take, in bytes.
    pub payload_max: u64,
    /// What becomes of a subscriber that falls behind; the publisher knows the numbers.
    pub policy: u8,
    /// That it was there before, with an earlier server.
    pub resume: Option<Resume>,
}

impl Hello {
    /// A hello of a kind, with nothing else in it.
    #[must_use]
    pub fn new(kind: Kind) -> Hello {
        Hello {
            kind,
            flags: Flags(0),
            capacity: 0,
            history: 0,
            payload_max: 0,
            policy: 0,
            resume: None,
        }
    }

    /// As a packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let resume = self.resume.unwrap_or(Resume { generation: 0, head: 0 });
        Writer::new(HELLO)
            .u8(self.kind.code())
            .u8(self.policy)
            .u8(self.resume.is_some().into())
            .u8(0)
            .u32(self.flags.0)
            .u32(self.capacity)
            .u32(self.history)
            .u64(self.payload_max)
            .u64(resume.generation)
            .u64(resume.head)
            .finish()
    }

    /// From a packet.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]; its case `Version` deserves an answer that says both.
    pub fn decode(bytes: &[u8]) -> Result<Hello, Unreadable> {
        let (version, kind, mut fields) = Reader::open(bytes)?;
        if version != VERSION {
            return Err(Unreadable::Version { theirs: version });
        }
        if kind != HELLO {
            return Err(Unreadable::Type(kind));
        }
        fields.expect(LEN)?;
        let code = fields.u8();
        let policy = fields.u8();
        let resumes = fields.u8();
        fields.zero(1)?;
        Ok(Hello {
            kind: Kind::from_code(code)
                .ok_or(Unreadable::Field { field: "kind", value: code.into() })?,
            policy,
            flags: Flags(fields.u32()),
            capacity: fields.u32(),
            history: fields.u32(),
            payload_max: fields.u64(),
            resume: match resumes {
                0 => fields.zero(16).map(|()| None)?,
                1 => Some(Resume { generation: fields.u64(), head: fields.u64() }),
                value => return Err(Unreadable::Field { field: "resume", value: value.into() }),
            },
        })
    }
}
