//! The records of a pipe: what two sockets of this crate say to each other through shared memory.
//!
//! | tag | record | payload |
//! |---|---|---|
//! | 0 | a message of one frame | the frame |
//! | 1 | a message of several | see below |
//! | 2 | a command | the body of ZMTP's command frame (RFC 37) |
//! | 3 | the first of each side | version, 1 byte; metadata as in READY (RFC 37) |
//! | 4 | part of a record | goes before what the next record brings, which has its tag |
//!
//! ```text
//! several frames:   count 4 | length 4, of each but the last | frames ...     little-endian
//! ```
//!
//! So a message of one frame, the common one, is in the ring as the user gave it. One that is too
//! long for a record comes in parts. What cannot be read ends the connection.

use bytes::Bytes;
use chaski_zmtp::metadata::{IDENTITY, SOCKET_TYPE};
use chaski_zmtp::pattern::PeerInfo;
use chaski_zmtp::{Command, Frame, Kind, Message, Metadata, Version};
use smallvec::SmallVec;

use crate::link::Arrival;

pub(super) const SINGLE: u8 = 0;
pub(super) const SEVERAL: u8 = 1;
pub(super) const COMMAND: u8 = 2;
pub(super) const HELLO: u8 = 3;
pub(super) const PART: u8 = 4;

/// The version of what is said here.
const VERSION: u8 = 1;

/// Bytes of a number.
const WORD: usize = 4;

/// A record in pieces, as a pipe takes it.
pub(super) type Pieces<'a> = SmallVec<[&'a [u8]; 6]>;

/// The head of a message of several frames; nothing for one.
pub(super) fn head(message: &Message) -> SmallVec<[u8; 32]> {
    let mut head = SmallVec::new();
    if let [lengths @ .., _] = message.as_slice()
        && !lengths.is_empty()
    {
        head.extend_from_slice(&(message.len() as u32).to_le_bytes());
        for frame in lengths {
            head.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        }
    }
    head
}

/// The tag of a message, and the pieces of its record.
pub(super) fn message<'a>(head: &'a [u8], message: &'a Message) -> (u8, Pieces<'a>) {
    let mut pieces = Pieces::new();
    if !head.is_empty() {
        pieces.push(head);
    }
    pieces.extend(message.iter().map(Frame::as_slice));
    (if head.is_empty() { SINGLE } else { SEVERAL }, pieces)
}

/// The payload of a command.
pub(super) fn command(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    // Every version that has commands has these.
    let _ = command.encode_body(Version::V3_1, &mut body);
    body
}

/// The payload of the first record.
pub(super) fn hello(kind: Kind, identity: &[u8]) -> Vec<u8> {
    let mut metadata = Metadata::new();
    // Both are names and values that metadata can hold.
    let _ = metadata.push(SOCKET_TYPE, kind.name());
    let _ = metadata.push(IDENTITY, Bytes::copy_from_slice(identity));
    let mut payload = vec![VERSION];
    metadata.encode(&mut payload);
    payload
}

/// Who is at the other end, by its first record: one that `ours` may talk to.
pub(super) fn read_hello(ours: Kind, payload: &[u8]) -> Result<PeerInfo, &'static str> {
    let (version, metadata) = payload.split_first().ok_or("an empty first record")?;
    if *version != VERSION {
        return Err("the peer is of another version");
    }
    let metadata = Metadata::decode(metadata).map_err(|_| "metadata that cannot be read")?;
    let kind = metadata.get(SOCKET_TYPE).and_then(Kind::from_name).ok_or("no kind of socket")?;
    if !ours.compatible(kind) {
        return Err("the two kinds of sockets do not talk to each other");
    }
    let identity = metadata.get(IDENTITY).unwrap_or_default();
    if identity.len() > chaski_zmtp::limits::IDENTITY_BYTES_MAX || identity.first() == Some(&0) {
        return Err("an identity that is none");
    }
    Ok(PeerInfo { kind, identity: Frame::copy_from_slice(identity), subscribes_by_command: true })
}

/// Reads the record of this tag. `frame` makes a frame of a part of the payload.
pub(super) fn read(
    tag: u8,
    payload: &[u8],
    frames_max: usize,
    mut frame: impl FnMut(std::ops::Range<usize>) -> Frame,
) -> Option<Arrival> {
    match tag {
        SINGLE => Some(Arrival::Message(Message::from(frame(0..payload.len())))),
        SEVERAL => {
            let word = |at: usize| {
                let bytes = payload.get(at * WORD..)?.first_chunk()?;
                Some(u32::from_le_bytes(*bytes) as usize)
            };
            let count = word(0).filter(|count| (2..=frames_max).contains(count))?;
            let mut message = Message::new();
            let mut at = count * WORD;
            for n in 1..count {
                let end = at.checked_add(word(n)?).filter(|end| *end <= payload.len())?;
                message.push(frame(at..end));
                at = end;
            }
            // Behind the lengths, whose last has just been read.
            message.push(frame(at..payload.len()));
            Some(Arrival::Message(message))
        }
        COMMAND => Command::decode(&Bytes::copy_from_slice(payload)).ok().map(Arrival::Command),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(sent: &Message) -> Option<Message> {
        let head = head(sent);
        let (tag, pieces) = message(&head, sent);
        let payload = pieces.concat();
        match read(tag, &payload, 100, |range| Frame::from(&payload[range]))? {
            Arrival::Message(message) => Some(message),
            Arrival::Command(_) => None,
        }
    }

    #[test]
    fn messages_come_back_as_they_were() {
        for frames in [&["one"][..], &[""], &["", ""], &["id", "", "topic", "body"], &["a"; 100]] {
            let message: Message = frames.iter().copied().collect();
            assert_eq!(there_and_back(&message), Some(message));
        }
        assert_eq!(there_and_back(&["too many"; 101].into_iter().collect()), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let sent: Message = ["id", "body"].into_iter().collect();
        let head = head(&sent);
        let payload = message(&head, &sent).1.concat();
        let read = |tag, payload: &[u8]| {
            read(tag, payload, 100, |range| Frame::from(&payload[range])).is_some()
        };
        assert!(read(SEVERAL, &payload));
        for len in 0..8 {
            assert!(!read(SEVERAL, &payload[..len]), "{len} bytes");
        }
        for count in [0_u32, 1, 4, 101, u32::MAX] {
            let odd = [&count.to_le_bytes()[..], &payload[4..]].concat();
            assert!(!read(SEVERAL, &odd), "{count} frames");
        }
        let odd = [&payload[..4], &u32::MAX.to_le_bytes(), &payload[8..]].concat();
        assert!(!read(SEVERAL, &odd));
        assert!(!read(HELLO, &payload) && !read(PART, &payload) && !read(255, &payload));
        assert!(!read(COMMAND, b"") && !read(COMMAND, b"\x09short"));
    }

    #[test]
    fn commands_come_back_as_they_were() {
        let sent = Command::Subscribe(Bytes::from_static(b"topic"));
        let payload = command(&sent);
        let read = read(COMMAND, &payload, 1, |_| Frame::empty());
        assert!(matches!(read, Some(Arrival::Command(command)) if command == sent));
    }

    #[test]
    fn kinds_that_do_not_talk_are_told() {
        let info = read_hello(Kind::Router, &hello(Kind::Dealer, b"me")).unwrap();
        assert_eq!((info.kind, info.identity.as_slice()), (Kind::Dealer, &b"me"[..]));
        assert!(read_hello(Kind::Router, &hello(Kind::Push, b"")).is_err());
        assert!(read_hello(Kind::Router, &hello(Kind::Dealer, &[0, 1])).is_err());
        assert!(read_hello(Kind::Router, &hello(Kind::Dealer, &[1; 256])).is_err());
        let mut other = hello(Kind::Dealer, b"me");
        other[0] = 2;
        assert!(read_hello(Kind::Router, &other).is_err());
        assert!(read_hello(Kind::Router, b"").is_err());
    }
}
