//! What a consumer and the broker say to each other: bytes in, meaning out. No I/O.
//!
//! Each is one packet of a `chaski_shm::packets` connection, at most [`PACKET_MAX`] bytes. Numbers
//! are little-endian.
//!
//! ```text
//!  request                                 answer, with the number of the request
//!   0 kind                     4            0 kind                     4
//!   4 number                   4            4 number                   4
//!   -- 1: hello --                          -- 1: welcome, and the cells' descriptor --
//!   8 version                  4            8 version                  4
//!   -- 2: open --                          12 cells                    4
//!   8 partition                4            -- 2: opened --
//!  12 id of the topic, 0: any 16            8 handle                   4
//!  28 position: kind           4           12 cell                     4
//!  32           value          8           16 id of the topic         16
//!  40 name of the topic        1..249      32 offset                   8
//!   -- 3: locate --                        40 oldest offset kept       8
//!   8 handle                   4           48 high watermark           8
//!  12 offset                   8            -- 3: located, and the segment's descriptor --
//!   -- 4: seek --                           8 place in the segment     8
//!   8 handle                   4           16 oldest offset kept       8
//!  12 position: kind           4           24 high watermark           8
//!  16           value          8            -- 4: nothing yet; 5: moved --
//!   -- 5: sleep --                          8 offset                   8
//!   8 handle, offset          12 each      16 oldest offset kept       8
//!   -- 6: close --                         24 high watermark           8
//!   8 handle                   4            -- 6: awake; 7: done --
//!   -- 7: commit --                         -- 8: committed --
//!   8 length of the name       4            8 offset, -1: none         8
//!  12 name of the group        1..512       -- 9: failed --
//!   . handle, offset          12 each       8 reason                   4
//!   -- 8: committed --                     12 three offsets            8 each
//!   8 handle                   4           36 why, UTF-8               0..512
//!  12 name of the group        1..512
//! ```
//!
//! Each request has one answer, but for close, which has none, and sleep, which has one when a
//! partition has grown past the offset given for it, or is gone, and which the next sleep replaces.
//!
//! What comes from outside is read by [`Request::decode`] and [`Answer::decode`]: they never panic,
//! and allocate no more than the packet is long.

use crate::consumer::Position;

/// The version of these bytes.
pub const VERSION: u32 = 1;

/// The longest packet.
pub const PACKET_MAX: usize = 2048;

/// Partitions that one consumer may have open: as many fit into a request to sleep.
pub const PARTITIONS_MAX: usize = 100;

/// The longest name of a topic.
pub const TOPIC_NAME_MAX: usize = 249;

/// The longest name of a group.
pub const GROUP_NAME_MAX: usize = 512;

/// The longest explanation of a failure, in bytes; it is cut there.
pub const WHY_MAX: usize = 512;

/// The name under which consumers meet a broker: that of its service with this behind it.
pub const SUFFIX: &str = ".log";

/// What a consumer asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// The first of all.
    Hello {
        /// The consumer's [`VERSION`].
        version: u32,
    },
    /// To read a partition.
    Open {
        /// Its topic.
        topic: &'a str,
        /// The id that the topic must have; all zero: any.
        topic_id: [u8; 16],
        /// Its number.
        partition: i32,
        /// Where to begin.
        at: Position,
    },
    /// The segment with an offset.
    Locate {
        /// The partition.
        handle: u32,
        /// The offset.
        offset: i64,
    },
    /// The offset of a position.
    Seek {
        /// The partition.
        handle: u32,
        /// The position.
        to: Position,
    },
    /// To be told when one of these partitions has grown past the offset beside it.
    Sleep(Vec<(u32, i64)>),
    /// A partition is not read any more.
    Close {
        /// The partition.
        handle: u32,
    },
    /// To commit offsets for a group.
    Commit {
        /// The group.
        group: &'a str,
        /// Partitions, and the offset of the next record to be read of each.
        offsets: Vec<(u32, i64)>,
    },
    /// What a group has committed of a partition.
    Committed {
        /// The partition.
        handle: u32,
        /// The group.
        group: &'a str,
    },
}

/// What the broker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The consumer is served; the descriptor of the cells comes along.
    Welcome {
        /// The broker's [`VERSION`].
        version: u32,
        /// How many cells there are.
        cells: u32,
    },
    /// A partition can be read.
    Opened {
        /// What stands for it in requests.
        handle: u32,
        /// The cell with its high watermark.
        cell: u32,
        /// The id of its topic.
        topic_id: [u8; 16],
        /// The partition as of now; `offset` is that of the position asked for.
        place: Place,
    },
    /// The batch with the offset begins here in the segment whose descriptor comes along.
    Located {
        /// Byte of the segment.
        position: u64,
        /// Oldest offset kept.
        log_start: i64,
        /// First offset that may not be read yet.
        high_watermark: i64,
    },
    /// There is nothing yet at the offset.
    Nothing(Place),
    /// The position has this offset.
    Moved(Place),
    /// What was slept for has come.
    Awake,
    /// It is committed.
    Done,
    /// What the group has committed, if anything.
    Committed(Option<i64>),
    /// It is not to be had.
    Failed {
        /// Why, for programs.
        reason: Reason,
        /// Offsets, as the reason has them.
        offsets: [i64; 3],
        /// Why, for people.
        why: String,
    },
}

/// An offset of a partition and those that bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The offset.
    pub offset: i64,
    /// Oldest offset kept.
    pub log_start: i64,
    /// First offset that may not be read yet.
    pub high_watermark: i64,
}

/// Why something is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// There is no such topic, or partition of it.
    Unknown = 1,
    /// The topic has been deleted. Of a commit: the handle in place of the first offset.
    Deleted = 2,
    /// Offset, oldest offset kept, end of the log.
    OutOfRange = 3,
    /// First offset damaged, first that may be good again.
    Damaged = 4,
    /// The store failed.
    Storage = 5,
    /// There are as many consumers, partitions of one, or partitions read by any, as may be; or the
    /// commit before is not done yet.
    Busy = 6,
    /// The request makes no sense, or the versions differ.
    Refused = 7,
    /// The broker stops.
    Stopped = 8,
}

impl Reason {
    fn of(number: u32) -> Option<Reason> {
        use Reason::*;
        let all = [Unknown, Deleted, OutOfRange, Damaged, Storage, Busy, Refused, Stopped];
        all.into_iter().find(|reason| *reason as u32 == number)
    }
}

impl Request<'_> {
    /// The packet.
    pub fn encode(&self, number: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Request::Hello { version } => {
                begin(&mut out, 1, number);
                out.extend(version.to_le_bytes());
            }
            Request::Open { topic, topic_id, partition, at } => {
                begin(&mut out, 2, number);
                out.extend(partition.to_le_bytes());
                out.extend(topic_id);
                put_position(&mut out, *at);
                out.extend(topic.as_bytes());
            }
            Request::Locate { handle, offset } => {
                begin(&mut out, 3, number);
                put_pair(&mut out, *handle, *offset);
            }
            Request::Seek { handle, to } => {
                begin(&mut out, 4, number);
                out.extend(handle.to_le_bytes());
                put_position(&mut out, *to);
            }
            Request::Sleep(places) => {
                begin(&mut out, 5, number);
                places.iter().for_each(|&(handle, offset)| put_pair(&mut out, handle, offset));
            }
            Request::Close { handle } => {
                begin(&mut out, 6, number);
                out.extend(handle.to_le_bytes());
            }
            Request::Commit { group, offsets } => {
                begin(&mut out, 7, number);
                out.extend((group.len() as u32).to_le_bytes());
                out.extend(group.as_bytes());
                offsets.iter().for_each(|&(handle, offset)| put_pair(&mut out, handle, offset));
            }
            Request::Committed { handle, group } => {
                begin(&mut out, 8, number);
                out.extend(handle.to_le_bytes());
                out.extend(group.as_bytes());
            }
        }
        out
    }

    /// The number and the request in a packet; None: it is none.
    pub fn decode(packet: &[u8]) -> Option<(u32, Request<'_>)> {
        let mut fields = Fields(packet);
        let (kind, number) = (fields.u32()?, fields.u32()?);
        let request = match kind {
            1 => Request::Hello { version: fields.u32()? },
            2 => Request::Open {
                partition: fields.i32()?,
                topic_id: fields.array()?,
                at: fields.position()?,
                topic: fields.rest_as_name(TOPIC_NAME_MAX)?,
            },
            3 => Request::Locate { handle: fields.u32()?, offset: fields.i64()? },
            4 => Request::Seek { handle: fields.u32()?, to: fields.position()? },
            5 => Request::Sleep(fields.rest_as_pairs()?),
            6 => Request::Close { handle: fields.u32()? },
            7 => {
                let len = usize::try_from(fields.u32()?).ok()?;
                let group = name(fields.take(len)?, GROUP_NAME_MAX)?;
                Request::Commit { group, offsets: fields.rest_as_pairs()? }
            }
            8 => Request::Committed {
                handle: fields.u32()?,
                group: fields.rest_as_name(GROUP_NAME_MAX)?,
            },
            _ => return None,
        };
        fields.0.is_empty().then_some((number, request))
    }
}

impl Answer {
    /// The packet.
    pub fn encode(&self, number: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Answer::Welcome { version, cells } => {
                begin(&mut out, 1, number);
                out.extend(version.to_le_bytes());
                out.extend(cells.to_le_bytes());
            }
            Answer::Opened { handle, cell, topic_id, place } => {
                begin(&mut out, 2, number);
                out.extend(handle.to_le_bytes());
                out.extend(cell.to_le_bytes());
                out.extend(topic_id);
                put_place(&mut out, place);
            }
            Answer::Located { position, log_start, high_watermark } => {
                begin(&mut out, 3, number);
                out.extend(position.to_le_bytes());
                out.extend(log_start.to_le_bytes());
                out.extend(high_watermark.to_le_bytes());
            }
            Answer::Nothing(place) => {
                begin(&mut out, 4, number);
                put_place(&mut out, place);
            }
            Answer::Moved(place) => {
                begin(&mut out, 5, number);
                put_place(&mut out, place);
            }
            Answer::Awake => begin(&mut out, 6, number),
            Answer::Done => begin(&mut out, 7, number),
            Answer::Committed(offset) => {
                begin(&mut out, 8, number);
                out.extend(offset.unwrap_or(-1).to_le_bytes());
            }
            Answer::Failed { reason, offsets, why } => {
                begin(&mut out, 9, number);
                out.extend((*reason as u32).to_le_bytes());
                offsets.iter().for_each(|offset| out.extend(offset.to_le_bytes()));
                out.extend(cut(why).as_bytes());
            }
        }
        out
    }

    /// The number and the answer in a packet; None: it is none.
    pub fn decode(packet: &[u8]) -> Option<(u32, Answer)> {
        let mut fields = Fields(packet);
        let (kind, number) = (fields.u32()?, fields.u32()?);
        let answer = match kind {
            1 => Answer::Welcome { version: fields.u32()?, cells: fields.u32()? },
            2 => Answer::Opened {
                handle: fields.u32()?,
                cell: fields.u32()?,
                topic_id: fields.array()?,
                place: fields.place()?,
            },
            3 => Answer::Located {
                position: u64::from_le_bytes(fields.array()?),
                log_start: fields.i64()?,
                high_watermark: fields.i64()?,
            },
            4 => Answer::Nothing(fields.place()?),
            5 => Answer::Moved(fields.place()?),
            6 => Answer::Awake,
            7 => Answer::Done,
            8 => Answer::Committed(Some(fields.i64()?).filter(|offset| *offset >= 0)),
            9 => Answer::Failed {
                reason: Reason::of(fields.u32()?)?,
                offsets: [fields.i64()?, fields.i64()?, fields.i64()?],
                why: String::from_utf8_lossy(fields.take(fields.0.len().min(WHY_MAX))?).into(),
            },
            _ => return None,
        };
        fields.0.is_empty().then_some((number, answer))
    }
}

fn begin(out: &mut Vec<u8>, kind: u32, number: u32) {
    out.extend(kind.to_le_bytes());
    out.extend(number.to_le_bytes());
}

fn put_pair(out: &mut Vec<u8>, handle: u32, offset: i64) {
    out.extend(handle.to_le_bytes());
    out.extend(offset.to_le_bytes());
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    for offset in [place.offset, place.log_start, place.high_watermark] {
        out.extend(offset.to_le_bytes());
    }
}

fn put_position(out: &mut Vec<u8>, position: Position) {
    let (kind, value): (u32, i64) = match position {
        Position::Earliest => (0, 0),
        Position::Latest => (1, 0),
        Position::Offset(offset) => (2, offset),
        Position::Time(ms) => (3, ms),
    };
    out.extend(kind.to_le_bytes());
    out.extend(value.to_le_bytes());
}

/// As much of an explanation as there is room for.
fn cut(why: &str) -> &str {
    let fits = (0..=WHY_MAX.min(why.len())).rev().find(|end| why.is_char_boundary(*end));
    &why[..fits.unwrap_or(0)]
}

fn name(bytes: &[u8], max: usize) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| (1..=max).contains(&name.len()))
}

/// What is left of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.array()?))
    }

    fn position(&mut self) -> Option<Position> {
        let (kind, value) = (self.u32()?, self.i64()?);
        match (kind, value) {
            (0, 0) => Some(Position::Earliest),
            (1, 0) => Some(Position::Latest),
            (2, offset) => Some(Position::Offset(offset)),
            (3, ms) => Some(Position::Time(ms)),
            _ => None,
        }
    }

    fn place(&mut self) -> Option<Place> {
        let (offset, log_start, high_watermark) = (self.i64()?, self.i64()?, self.i64()?);
        Some(Place { offset, log_start, high_watermark })
    }

    fn rest_as_name(&mut self, max: usize) -> Option<&'a str> {
        name(std::mem::take(&mut self.0), max)
    }

    fn rest_as_pairs(&mut self) -> Option<Vec<(u32, i64)>> {
        if self.0.len() > PARTITIONS_MAX * 12 || !self.0.len().is_multiple_of(12) {
            return None;
        }
        let mut pairs = Vec::with_capacity(self.0.len() / 12);
        while !self.0.is_empty() {
            pairs.push((self.u32()?, self.i64()?));
        }
        Some(pairs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests() -> Vec<Request<'static>> {
        let (handle, group) = (7, "workers");
        let full: Vec<(u32, i64)> = (0..PARTITIONS_MAX as u32).map(|n| (n, -5)).collect();
        vec![
            Request::Hello { version: VERSION },
            Request::Open {
                topic: "orders",
                topic_id: [9; 16],
                partition: 3,
                at: Position::Time(-1),
            },
            Request::Locate { handle, offset: i64::MAX },
            Request::Seek { handle, to: Position::Latest },
            Request::Sleep(full.clone()),
            Request::Sleep(Vec::new()),
            Request::Close { handle },
            Request::Commit { group, offsets: full },
            Request::Committed { handle, group },
        ]
    }

    fn answers() -> Vec<Answer> {
        let place = Place { offset: 1, log_start: 2, high_watermark: 3 };
        let why = "a reason".to_owned();
        vec![
            Answer::Welcome { version: VERSION, cells: 4096 },
            Answer::Opened { handle: 1, cell: 2, topic_id: [3; 16], place },
            Answer::Located { position: 1 << 40, log_start: 0, high_watermark: 9 },
            Answer::Nothing(place),
            Answer::Moved(place),
            Answer::Awake,
            Answer::Done,
            Answer::Committed(None),
            Answer::Committed(Some(5)),
            Answer::Failed { reason: Reason::OutOfRange, offsets: [1, 2, 3], why },
        ]
    }

    #[test]
    fn what_is_written_is_read_and_nothing_shorter_or_longer() {
        for request in requests() {
            let packet = request.encode(77);
            assert!(packet.len() <= PACKET_MAX);
            assert_eq!(Request::decode(&packet), Some((77, request.clone())));
            let longer = [&packet[..], &[0xff]].concat();
            assert_ne!(Request::decode(&longer), Some((77, request)));
        }
        for answer in answers() {
            let packet = answer.encode(77);
            assert!(packet.len() <= PACKET_MAX);
            assert_eq!(Answer::decode(&packet), Some((77, answer.clone())));
            assert_ne!(Answer::decode(&[&packet[..], b"x"].concat()), Some((77, answer)));
        }
    }

    #[test]
    fn what_is_too_much_is_refused_and_an_explanation_is_cut() {
        let long = "x".repeat(TOPIC_NAME_MAX + 1);
        let open = |topic| Request::Open { topic, topic_id: [0; 16], partition: 0, at: LATEST };
        assert!(Request::decode(&open(&long).encode(1)).is_none());
        assert!(Request::decode(&open("").encode(1)).is_none());
        let sleep = Request::Sleep(vec![(1, 1); PARTITIONS_MAX + 1]);
        assert!(Request::decode(&sleep.encode(1)).is_none());
        let why = "\u{e9}".repeat(WHY_MAX);
        let failed = Answer::Failed { reason: Reason::Busy, offsets: [0; 3], why };
        let Some((1, Answer::Failed { why, .. })) = Answer::decode(&failed.encode(1)) else {
            panic!("it is an answer");
        };
        assert_eq!(why.len(), WHY_MAX);
    }

    const LATEST: Position = Position::Latest;

    proptest! {
        #[test]
        fn bytes_of_any_kind_do_no_harm(
            mut bytes in prop::collection::vec(any::<u8>(), 0..128),
            kind in 0u8..12,
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            let _ = (Request::decode(&bytes), Answer::decode(&bytes));
            if let Some(rest) = bytes.get_mut(1..4) {
                rest.fill(0);
            }
            if let Some((number, request)) = Request::decode(&bytes) {
                prop_assert_eq!(request.encode(number), bytes.clone());
            }
        }
    }
}
