//! Commands of the traffic phase (RFC 37, "Commands").
//!
//! ```text
//! +------+----------+------ ...
//! | size | name     | data          one frame with COMMAND set
//! +------+----------+------ ...
//!
//! SUBSCRIBE, CANCEL    the prefix of a topic
//! JOIN, LEAVE          the name of a group
//! PING                 ttl, 2 octets; context, at most 16
//! PONG                 the context of the PING
//! ERROR                size of the reason, 1 octet; the reason
//! ```
//!
//! To a peer of ZMTP 3.0 or 2.0 a subscription is a message: an octet 1, or 0 to take it back, and
//! the prefix. Which of the two it is does not show on an incoming message, so those are left to
//! the pattern.

use bytes::Bytes;

use crate::encoder;
use crate::error::DecodeError;
use crate::frame::Flags;
use crate::greeting::Version;
use crate::limits::PING_CONTEXT_BYTES_MAX;

/// A command that may come at any time once the handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Wants topics with this prefix.
    Subscribe(Bytes),
    /// Takes one such wish back.
    Cancel(Bytes),
    /// Joins a group (RADIO and DISH).
    Join(Bytes),
    /// Leaves a group.
    Leave(Bytes),
    /// Are you there?
    Ping {
        /// How long the sender wants to be believed alive without another word, in tenths of a
        /// second; 0 says nothing.
        ttl_tenths: u16,
        /// At most 16 bytes, which come back in the answer.
        context: Bytes,
    },
    /// I am.
    Pong {
        /// The context of the question.
        context: Bytes,
    },
    /// The peer refuses and will close.
    Error(Bytes),
    /// One that this version does not know; to be ignored.
    Unknown(Bytes),
}

impl Command {
    /// Reads the body of a command frame.
    ///
    /// # Errors
    ///
    /// If it has no name, or the data does not have the shape that a known name demands.
    pub fn decode(body: &Bytes) -> Result<Command, DecodeError> {
        let (name, at) = split_name(body).ok_or(DecodeError::Command("nameless"))?;
        let data = || body.slice(at..);
        Ok(match name {
            b"SUBSCRIBE" => Command::Subscribe(data()),
            b"CANCEL" => Command::Cancel(data()),
            b"JOIN" => Command::Join(data()),
            b"LEAVE" => Command::Leave(data()),
            b"PING" => ping(data())?,
            b"PONG" => Command::Pong { context: context(data(), "PONG")? },
            b"ERROR" => {
                let reason = split_reason(&body[at..]).ok_or(DecodeError::Command("ERROR"))?;
                Command::Error(body.slice_ref(reason))
            }
            _ => Command::Unknown(body.clone()),
        })
    }

    /// Appends the body of the frame that says this to a peer of that version, and tells the
    /// frame's flags; `None`, and nothing appended, if the version has no such word.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) -> Option<Flags> {
        let (name, data, old) = match self {
            Command::Subscribe(prefix) => ("SUBSCRIBE", prefix, Some(1)),
            Command::Cancel(prefix) => ("CANCEL", prefix, Some(0)),
            Command::Join(group) => ("JOIN", group, None),
            Command::Leave(group) => ("LEAVE", group, None),
            Command::Ping { context, .. } => ("PING", context, None),
            Command::Pong { context } => ("PONG", context, None),
            Command::Error(reason) => ("ERROR", reason, None),
            Command::Unknown(body) => ("", body, None),
        };
        if !version.has_commands() {
            out.push(old?);
            out.extend_from_slice(data);
            return Some(Flags::LAST);
        }
        if !name.is_empty() {
            encode_name(name, out);
        }
        match self {
            Command::Ping { ttl_tenths, .. } => out.extend_from_slice(&ttl_tenths.to_be_bytes()),
            Command::Error(reason) => {
                encode_reason(reason, out);
                return Some(Flags::COMMAND);
            }
            _ => {}
        }
        out.extend_from_slice(data);
        Some(Flags::COMMAND)
    }

    /// Appends the frame that says this to a peer of that version; `false`, and nothing appended,
    /// if the version has no such word.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> bool {
        let mut body = Vec::new();
        let Some(flags) = self.encode_body(version, &mut body) else { return false };
        encoder::encode_frame(flags, &body, out);
        true
    }
}

/// The name of a command and where its data begins.
pub(crate) fn split_name(body: &[u8]) -> Option<(&[u8], usize)> {
    let (&len, rest) = body.split_first()?;
    let name = rest.get(..usize::from(len))?;
    (!name.is_empty()).then_some((name, 1 + name.len()))
}

/// Appends the name of a command, with its size in front.
pub(crate) fn encode_name(name: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

fn ping(data: Bytes) -> Result<Command, DecodeError> {
    let ttl = *data.first_chunk().ok_or(DecodeError::Command("PING"))?;
    let context = context(data.slice(2..), "PING")?;
    Ok(Command::Ping { ttl_tenths: u16::from_be_bytes(ttl), context })
}

fn context(data: Bytes, name: &'static str) -> Result<Bytes, DecodeError> {
    if data.len() > PING_CONTEXT_BYTES_MAX {
        return Err(DecodeError::Command(name));
    }
    Ok(data)
}

/// The reason of an ERROR, out of its data; bytes after it are passed over, as libzmq does.
pub(crate) fn split_reason(data: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = data.split_first()?;
    rest.get(..usize::from(len))
}

/// Appends the data of an ERROR: of a longer reason the first 255 bytes.
pub(crate) fn encode_reason(reason: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    let reason = reason.as_ref();
    out.push(u8::try_from(reason.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(&reason[..reason.len().min(255)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn all() -> Vec<(Command, &'static [u8])> {
        let context = bytes("0123456789abcdef");
        vec![
            (Command::Subscribe(bytes("topic")), b"\x09SUBSCRIBEtopic"),
            (Command::Subscribe(bytes("")), b"\x09SUBSCRIBE"),
            (Command::Cancel(bytes("topic")), b"\x06CANCELtopic"),
            (Command::Join(bytes("group")), b"\x04JOINgroup"),
            (Command::Leave(bytes("group")), b"\x05LEAVEgroup"),
            (Command::Ping { ttl_tenths: 258, context: bytes("") }, b"\x04PING\x01\x02"),
            (
                Command::Ping { ttl_tenths: 0, context: context.clone() },
                b"\x04PING\0\x000123456789abcdef",
            ),
            (Command::Pong { context }, b"\x04PONG0123456789abcdef"),
            (Command::Error(bytes("no")), b"\x05ERROR\x02no"),
            (Command::Unknown(bytes("\x04WHATever")), b"\x04WHATever"),
        ]
    }

    #[test]
    fn commands_come_back_as_they_were_sent() {
        for (command, body) in all() {
            let mut out = Vec::new();
            assert_eq!(command.encode_body(Version::V3_1, &mut out), Some(Flags::COMMAND));
            assert_eq!(out, body);
            assert_eq!(Command::decode(&Bytes::from(out)), Ok(command));
        }
    }

    #[test]
    fn older_peers_get_subscriptions_as_messages_and_nothing_else() {
        for version in [Version::V2_0, Version::V3_0] {
            for (command, _) in all() {
                let mut out = Vec::new();
                match &command {
                    Command::Subscribe(prefix) | Command::Cancel(prefix) => {
                        assert!(command.encode(version, &mut out));
                        let first = u8::from(matches!(command, Command::Subscribe(_)));
                        let len = u8::try_from(prefix.len() + 1).unwrap();
                        assert_eq!(out, [&[0, len, first], &prefix[..]].concat());
                    }
                    _ => {
                        assert!(!command.encode(version, &mut out));
                        assert_eq!(out, b"");
                    }
                }
            }
        }
    }

    #[test]
    fn malformed_commands_are_refused() {
        for body in [
            &b""[..],
            b"\0",
            b"\x05PING",
            b"\x04PING\x01",
            b"\x04PING\x00\x000123456789abcdefg",
            b"\x04PONG0123456789abcdefg",
            b"\x05ERROR",
            b"\x05ERROR\x03no",
        ] {
            assert!(Command::decode(&Bytes::from(body)).is_err(), "{body:?}");
        }
    }
}
