//! The one answer to a hello.

use std::fmt;

use super::fields::{Reader, Writer};
use super::{Flags, Unreadable, VERSION};

const WELCOME: u16 = 2;
const REFUSED: u16 = 3;
const SURVEY: u16 = 4;

const WELCOME_LEN: usize = 48;
const REFUSED_LEN_MIN: usize = 16;
const SURVEY_LEN: usize = 16;

/// The longest text of a refusal, in bytes.
const TEXT_MAX: usize = 240;

/// The terms on which the other side may stay.
///
/// ```text
///  0 "chsk"          4
///  4 version         2
///  6 type 2          2
///  8 generation      8
/// 16 flags           4
/// 20 capacity        4
/// 24 slot            4
/// 28 zero            4
/// 32 start           8
/// 40 payload_max     8
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// A random number of this binding of the name: another one after each restart.
    pub generation: u64,
    /// What its process can do.
    pub flags: Flags,
    /// Bytes of the ring in the half that it brings; 0 if it has none.
    pub capacity: u32,
    /// The place of this connection among those of the endpoint: its bit of the board.
    pub slot: u32,
    /// The position at which to begin.
    pub start: u64,
    /// The longest payload that it will take, in bytes.
    pub payload_max: u64,
}

/// Why a hello was not welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The hello could not be read.
    Malformed,
    /// The two are of different versions.
    Version,
    /// The credentials are not among those admitted.
    NotAdmitted,
    /// The service is of another pattern than the one asked for.
    WrongPattern,
    /// The memory or the descriptors that came along are not as they must be.
    Unfit,
    /// More was asked for than the other side gives.
    TooLarge,
    /// There is no room for another connection now: no slot, no descriptor, or too many unfinished
    /// handshakes. Who connects comes again until its deadline.
    Busy,
    /// Something failed at the other side.
    Failed,
    /// A reason this version does not know.
    Other(u16),
}

impl Refusal {
    const KNOWN: [Refusal; 8] = [
        Refusal::Malformed,
        Refusal::Version,
        Refusal::NotAdmitted,
        Refusal::WrongPattern,
        Refusal::Unfit,
        Refusal::TooLarge,
        Refusal::Busy,
        Refusal::Failed,
    ];

    fn code(self) -> u16 {
        match self {
            Refusal::Malformed => 1,
            Refusal::Version => 2,
            Refusal::NotAdmitted => 3,
            Refusal::WrongPattern => 4,
            Refusal::Unfit => 5,
            Refusal::TooLarge => 6,
            Refusal::Busy => 7,
            Refusal::Failed => 8,
            Refusal::Other(code) => code,
        }
    }

    fn from_code(code: u16) -> Refusal {
        let known = Refusal::KNOWN.into_iter().find(|refusal| refusal.code() == code);
        known.unwrap_or(Refusal::Other(code))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed => "the hello could not be read",
            Refusal::Version => "another version",
            Refusal::NotAdmitted => "not admitted",
            Refusal::WrongPattern => "another pattern",
            Refusal::Unfit => "unfit memory",
            Refusal::TooLarge => "too large",
            Refusal::Busy => "no room now",
            Refusal::Failed => "failed",
            Refusal::Other(code) => return write!(f, "reason {code}"),
        })
    }
}

/// A no, and why.
///
/// ```text
///  0 "chsk"          4
///  4 version         2
///  6 type 3          2
///  8 code            2
/// 10 length of text  2
/// 12 zero            4
/// 16 text, UTF-8     0 to 240
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refused {
    /// Why, for programs.
    pub code: Refusal,
    /// Why, for people; at most 240 bytes are sent.
    pub text: String,
}

impl Refused {
    /// A no.
    pub fn new(code: Refusal, text: impl Into<String>) -> Refused {
        Refused { code, text: text.into() }
    }

    /// What the other side brought is not as it must be.
    pub(crate) fn unfit(why: impl fmt::Display) -> Refused {
        Refused::new(Refusal::Unfit, why.to_string())
    }

    /// This side cannot, and it is not the other's fault.
    pub(crate) fn ours(why: impl fmt::Display) -> Refused {
        Refused::new(Refusal::Failed, why.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

/// The answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Yes.
    Welcome(Welcome),
    /// No.
    Refused(Refused),
    /// What was asked for is in the memory that comes along.
    ///
    /// ```text
    ///  0 "chsk"          4
    ///  4 version         2
    ///  6 type 4          2
    ///  8 length          8
    /// ```
    Survey {
        /// Bytes of it.
        len: u64,
    },
}

impl Answer {
    /// As a packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Welcome(welcome) => Writer::new(WELCOME)
                .u64(welcome.generation)
                .u32(welcome.flags.0)
                .u32(welcome.capacity)
                .u32(welcome.slot)
                .u32(0)
                .u64(welcome.start)
                .u64(welcome.payload_max)
                .finish(),
            Answer::Refused(refused) => {
                let text = shortened(&refused.text);
                let len = u16::try_from(text.len()).expect("at most 240");
                let code = refused.code.code();
                Writer::new(REFUSED).u16(code).u16(len).u32(0).slice(text.as_bytes()).finish()
            }
            Answer::Survey { len } => Writer::new(SURVEY).u64(*len).finish(),
        }
    }

    /// From a packet. A refusal is read from any version.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Answer, Unreadable> {
        let (version, kind, fields) = Reader::open(bytes)?;
        match kind {
            REFUSED => refused(fields).map(Answer::Refused),
            _ if version != VERSION => Err(Unreadable::Version { theirs: version }),
            WELCOME => welcome(fields).map(Answer::Welcome),
            SURVEY => {
                let mut fields = fields;
                fields.expect(SURVEY_LEN)?;
                Ok(Answer::Survey { len: fields.u64() })
            }
            other => Err(Unreadable::Type(other)),
        }
    }
}

fn welcome(mut fields: Reader<'_>) -> Result<Welcome, Unreadable> {
    fields.expect(WELCOME_LEN)?;
    let generation = fields.u64();
    let flags = Flags(fields.u32());
    let capacity = fields.u32();
    let slot = fields.u32();
    fields.zero(4)?;
    let start = fields.u64();
    let payload_max = fields.u64();
    Ok(Welcome { generation, flags, capacity, slot, start, payload_max })
}

fn refused(mut fields: Reader<'_>) -> Result<Refused, Unreadable> {
    fields.at_least(REFUSED_LEN_MIN)?;
    let code = Refusal::from_code(fields.u16());
    let len = usize::from(fields.u16());
    fields.zero(4)?;
    let text = fields.rest();
    if text.len() != len {
        let (len, wanted) = (text.len() + REFUSED_LEN_MIN, len + REFUSED_LEN_MIN);
        return Err(Unreadable::Length { len, wanted });
    }
    if len > TEXT_MAX {
        return Err(Unreadable::Field { field: "length of the text", value: len as u64 });
    }
    // It is shown to people, perhaps in a terminal.
    let text = String::from_utf8_lossy(text).replace(char::is_control, " ");
    Ok(Refused { code, text })
}

/// As much of a text as may be sent, whole characters.
fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_MAX)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
