//! What a producer and the broker say to each other: bytes in, meaning out. No I/O.
//!
//! Each is the payload of one request or response of `chaski_shm`. Numbers are little-endian; the
//! record batch is as Kafka has it.
//!
//! ```text
//!  request                                  response
//!   0 version, 1              1              0 version, 1              1
//!   1 kind                    1              1 kind                    1
//!   -- 1: open --                            -- 1: topic --
//!   2 zero                    2              2 flags: 1 keys required  2
//!   4 name of a topic         1..249         4 partitions              4
//!   -- 2: append --                          8 id of the topic        16
//!   2 durability              1             24 bytes of a batch, max   8
//!       0 page cache, 1 disk                 -- 2: appended --
//!   3 zero                    1              2 zero                    2
//!   4 partition               4              4 partitions              4
//!   8 id of the topic        16              8 base offset             8
//!  24 one record batch        ..            16 oldest offset kept      8
//!                                            -- 3: refused --
//!                                            2 reason                  2
//!                                            4 partitions, or 0        4
//!                                            8 why, UTF-8              0..512
//! ```
//!
//! What comes from outside is read by [`Request::decode`] and [`Response::decode`]: they never
//! panic, allocate nothing, and accept what their twins write and nothing else. The batch is not
//! looked at here.

use chaski_log::store::Durability;
use thiserror::Error;

/// The version of these bytes.
pub const VERSION: u8 = 1;

/// Where the batch begins in a request to append.
pub const APPEND_LEN: usize = 24;

/// The longest name of a topic.
pub const TOPIC_NAME_MAX: usize = 249;

/// The longest explanation of a refusal, in bytes; it is cut there.
pub const WHY_MAX: usize = 512;

const OPEN: u8 = 1;
const APPEND: u8 = 2;

const TOPIC: u8 = 1;
const APPENDED: u8 = 2;
const REFUSED: u8 = 3;

const KEYS_REQUIRED: u16 = 1;

/// What a producer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// What there is to know of a topic.
    Open {
        /// Its name.
        topic: &'a str,
    },
    /// To append the batch that follows at [`APPEND_LEN`].
    Append(Append),
}

/// Where a batch is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Append {
    /// When it is to be answered.
    pub durability: Durability,
    /// The partition.
    pub partition: i32,
    /// The topic: one made anew under an old name is another.
    pub topic: [u8; 16],
}

/// What the broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// A topic as it is now.
    Topic(Topic),
    /// The log holds the batch.
    Appended(Appended),
    /// It does not.
    Refused(Refused<'a>),
}

/// What a producer knows of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: [u8; 16],
    /// Its partitions, which count from 0.
    pub partitions: u32,
    /// The largest batch it takes.
    pub batch_bytes_max: u64,
    /// It takes no record without a key.
    pub keys_required: bool,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Partitions of the topic, of which there may be more than there were.
    pub partitions: u32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Oldest offset that the partition keeps.
    pub log_start: i64,
}

/// Why nothing of a request was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused<'a> {
    /// In a word.
    pub reason: Reason,
    /// Partitions of the topic; 0 if it is not known.
    pub partitions: u32,
    /// In more words, for a person.
    pub why: &'a str,
}

/// Why the broker refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Reason {
    /// There is no such topic, or no more.
    UnknownTopic = 1,
    /// The topic has fewer partitions.
    UnknownPartition = 2,
    /// The batch is larger than the topic takes.
    TooLarge = 3,
    /// The bytes are no record batch, or were changed on their way.
    Corrupt = 4,
    /// A record that the topic does not take: without a key, say.
    Invalid = 5,
    /// A time too far from that of the broker.
    Timestamp = 6,
    /// The log could not store it.
    Storage = 7,
    /// The broker is about to stop.
    Stopping = 8,
    /// The request makes no sense.
    Request = 9,
    /// Written, but not known to be on disk: it may be found there.
    InDoubt = 10,
}

impl Reason {
    const ALL: [Reason; 10] = [
        Reason::UnknownTopic,
        Reason::UnknownPartition,
        Reason::TooLarge,
        Reason::Corrupt,
        Reason::Invalid,
        Reason::Timestamp,
        Reason::Storage,
        Reason::Stopping,
        Reason::Request,
        Reason::InDoubt,
    ];
}

/// Why bytes say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Too few bytes for their kind, or too many.
    #[error("{0} bytes are not as many as its kind has")]
    Length(usize),
    /// Of another version of this protocol.
    #[error("version {0}, this side speaks {VERSION}")]
    Version(u8),
    /// Of no kind that is known.
    #[error("kind {0} is not known")]
    Kind(u8),
    /// A field holds what it cannot.
    #[error("{value} cannot be the {field}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is in it.
        value: u64,
    },
    /// Text that is none.
    #[error("text that is not UTF-8")]
    Text,
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &'a [u8]) -> Result<Request<'a>, Unreadable> {
        let (kind, flags) = head(bytes)?;
        match kind {
            OPEN => {
                zero("flags", flags)?;
                let name = &bytes[4..];
                if name.is_empty() || name.len() > TOPIC_NAME_MAX {
                    return Err(Unreadable::Length(bytes.len()));
                }
                let topic = str::from_utf8(name).map_err(|_| Unreadable::Text)?;
                Ok(Request::Open { topic })
            }
            APPEND if bytes.len() < APPEND_LEN => Err(Unreadable::Length(bytes.len())),
            APPEND => Ok(Request::Append(Append {
                durability: match flags {
                    0 => Durability::PageCache,
                    1 => Durability::Disk,
                    other => {
                        return Err(Unreadable::Field { field: "durability", value: other.into() });
                    }
                },
                partition: i32::from_le_bytes(array(bytes, 4)),
                topic: array(bytes, 8),
            })),
            other => Err(Unreadable::Kind(other)),
        }
    }

    /// Writes a request to open a topic into `out`, whose earlier contents are cleared.
    pub fn encode_open(topic: &str, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[VERSION, OPEN, 0, 0]);
        out.extend_from_slice(topic.as_bytes());
    }
}

impl Append {
    /// The bytes before the batch.
    pub fn encode(&self) -> [u8; APPEND_LEN] {
        let mut out = [0; APPEND_LEN];
        let durability = match self.durability {
            Durability::PageCache => 0,
            Durability::Disk => 1,
        };
        out[..4].copy_from_slice(&[VERSION, APPEND, durability, 0]);
        out[4..8].copy_from_slice(&self.partition.to_le_bytes());
        out[8..].copy_from_slice(&self.topic);
        out
    }
}

impl<'a> Response<'a> {
    /// Reads a response.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(bytes: &'a [u8]) -> Result<Response<'a>, Unreadable> {
        let (kind, flags) = head(bytes)?;
        let sized = |len| match bytes.len() == len {
            true => Ok(()),
            false => Err(Unreadable::Length(bytes.len())),
        };
        match kind {
            TOPIC => {
                sized(32)?;
                zero("flags", flags & !KEYS_REQUIRED)?;
                Ok(Response::Topic(Topic {
                    id: array(bytes, 8),
                    partitions: u32::from_le_bytes(array(bytes, 4)),
                    batch_bytes_max: u64::from_le_bytes(array(bytes, 24)),
                    keys_required: flags & KEYS_REQUIRED != 0,
                }))
            }
            APPENDED => {
                sized(24)?;
                zero("flags", flags)?;
                Ok(Response::Appended(Appended {
                    partitions: u32::from_le_bytes(array(bytes, 4)),
                    base_offset: i64::from_le_bytes(array(bytes, 8)),
                    log_start: i64::from_le_bytes(array(bytes, 16)),
                }))
            }
            REFUSED => {
                if !(8..=8 + WHY_MAX).contains(&bytes.len()) {
                    return Err(Unreadable::Length(bytes.len()));
                }
                let field = Unreadable::Field { field: "reason", value: flags.into() };
                let known = Reason::ALL.into_iter().find(|reason| *reason as u16 == flags);
                Ok(Response::Refused(Refused {
                    reason: known.ok_or(field)?,
                    partitions: u32::from_le_bytes(array(bytes, 4)),
                    why: str::from_utf8(&bytes[8..]).map_err(|_| Unreadable::Text)?,
                }))
            }
            other => Err(Unreadable::Kind(other)),
        }
    }

    /// Writes it into `out`, whose earlier contents are cleared.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut begin = |kind: u8, flags: u16, partitions: u32| {
            out.extend_from_slice(&[VERSION, kind]);
            out.extend_from_slice(&flags.to_le_bytes());
            out.extend_from_slice(&partitions.to_le_bytes());
        };
        match self {
            Response::Topic(topic) => {
                let flags = if topic.keys_required { KEYS_REQUIRED } else { 0 };
                begin(TOPIC, flags, topic.partitions);
                out.extend_from_slice(&topic.id);
                out.extend_from_slice(&topic.batch_bytes_max.to_le_bytes());
            }
            Response::Appended(appended) => {
                begin(APPENDED, 0, appended.partitions);
                out.extend_from_slice(&appended.base_offset.to_le_bytes());
                out.extend_from_slice(&appended.log_start.to_le_bytes());
            }
            Response::Refused(refused) => {
                begin(REFUSED, refused.reason as u16, refused.partitions);
                out.extend_from_slice(cut(refused.why, WHY_MAX).as_bytes());
            }
        }
    }
}

/// The first four bytes of either: kind, and what is in the two behind it.
fn head(bytes: &[u8]) -> Result<(u8, u16), Unreadable> {
    let &[version, kind, low, high, ..] = bytes else {
        return Err(Unreadable::Length(bytes.len()));
    };
    match version {
        VERSION => Ok((kind, u16::from_le_bytes([low, high]))),
        other => Err(Unreadable::Version(other)),
    }
}

/// As much of a text as so many bytes hold.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn zero(field: &'static str, value: u16) -> Result<(), Unreadable> {
    match value {
        0 => Ok(()),
        other => Err(Unreadable::Field { field, value: other.into() }),
    }
}

/// `N` bytes at a place that is known to be there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_have_the_bytes_of_the_picture() {
        let mut open = Vec::new();
        Request::encode_open("orders", &mut open);
        assert_eq!(open, b"\x01\x01\0\0orders");
        assert_eq!(Request::decode(&open), Ok(Request::Open { topic: "orders" }));
        let append = Append { durability: Durability::Disk, partition: 3, topic: [7; 16] };
        let bytes = append.encode();
        assert_eq!(bytes[..8], *b"\x01\x02\x01\0\x03\0\0\0");
        assert_eq!(Request::decode(&bytes), Ok(Request::Append(append)));
    }

    #[test]
    fn what_no_peer_writes_is_told_apart() {
        let refused = |bytes: &[u8]| Request::decode(bytes).expect_err("refused");
        assert_eq!(refused(b""), Unreadable::Length(0));
        assert_eq!(refused(b"\x02\x01\0\0x"), Unreadable::Version(2));
        assert_eq!(refused(b"\x01\x09\0\0x"), Unreadable::Kind(9));
        assert_eq!(refused(b"\x01\x01\0\0"), Unreadable::Length(4));
        assert_eq!(refused(b"\x01\x01\0\0\xff"), Unreadable::Text);
        assert_eq!(
            refused(&[&b"\x01\x01\0\0"[..], &[b'x'; 250]].concat()),
            Unreadable::Length(254)
        );
        assert_eq!(refused(&[1; 3]), Unreadable::Length(3));
        let durability = Unreadable::Field { field: "durability", value: 2 };
        assert_eq!(refused(&[&b"\x01\x02\x02\0"[..], &[0; 20]].concat()), durability);
    }

    #[test]
    fn an_explanation_is_cut_where_a_letter_ends() {
        let why = format!("{}\u{e9}", "x".repeat(WHY_MAX - 1));
        let refused = Refused { reason: Reason::Storage, partitions: 0, why: &why };
        let mut bytes = Vec::new();
        Response::Refused(refused).encode(&mut bytes);
        let Ok(Response::Refused(read)) = Response::decode(&bytes) else { panic!("refused") };
        assert_eq!(read.why, &why[..WHY_MAX - 1]);
    }

    fn responses() -> impl Strategy<Value = (u8, [u8; 16], u32, u64, bool, i64, usize, String)> {
        (
            0..3_u8,
            any::<[u8; 16]>(),
            any::<u32>(),
            any::<u64>(),
            any::<bool>(),
            any::<i64>(),
            0..Reason::ALL.len(),
            ".{0,80}",
        )
    }

    proptest! {
        #[test]
        fn a_response_is_read_as_it_was_written(parts in responses()) {
            let (kind, id, partitions, number, keys_required, offset, reason, why) = parts;
            let response = match kind {
                0 => Response::Topic(Topic {
                    id, partitions, batch_bytes_max: number, keys_required,
                }),
                1 => Response::Appended(Appended {
                    partitions, base_offset: offset, log_start: number as i64,
                }),
                _ => {
                    let reason = Reason::ALL[reason];
                    Response::Refused(Refused { reason, partitions, why: &why })
                }
            };
            let mut bytes = vec![9; 3];
            response.encode(&mut bytes);
            prop_assert_eq!(Response::decode(&bytes), Ok(response));
        }

        #[test]
        fn what_is_read_is_what_its_twin_writes(mut bytes in vec(any::<u8>(), 0..64)) {
            // Most random bytes end at the version.
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            if let Ok(response) = Response::decode(&bytes) {
                let mut again = Vec::new();
                response.encode(&mut again);
                prop_assert_eq!(&again, &bytes);
            }
            match Request::decode(&bytes) {
                Ok(Request::Open { topic }) => {
                    let mut again = Vec::new();
                    Request::encode_open(topic, &mut again);
                    prop_assert_eq!(&again, &bytes);
                }
                Ok(Request::Append(append)) => {
                    prop_assert_eq!(&append.encode()[..], &bytes[..APPEND_LEN]);
                }
                Err(_) => {}
            }
        }
    }
}
