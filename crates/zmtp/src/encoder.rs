//! Bytes of the traffic phase on their way out (RFC 37, "Framing").
//!
//! Small messages are copied behind each other into one buffer, so that one write carries many. Who
//! sends a large body writes its head with [`encode_head`] and passes the body to the kernel as it
//! lies.

use crate::frame::{Flags, HEADER_BYTES_MAX, Header};
use crate::pattern::Outgoing;

/// How many bytes a frame with a body of `len` bytes has on the wire.
pub const fn frame_bytes(len: usize) -> usize {
    len + if len <= crate::frame::SHORT_BYTES_MAX { 2 } else { HEADER_BYTES_MAX }
}

/// Appends the head of a frame whose body has `len` bytes.
#[inline]
pub fn encode_head(flags: Flags, len: usize, out: &mut Vec<u8>) {
    let (octets, head) = Header::write(flags, len);
    // Of a size known here, so that it is no call.
    match octets {
        [flags, len, ..] if head == 2 => out.extend_from_slice(&[flags, len]),
        long => out.extend_from_slice(&long),
    }
}

/// Appends a frame.
///
/// ```
/// use chaski_zmtp::{Flags, encoder};
///
/// let mut out = Vec::new();
/// encoder::encode_frame(Flags::MORE, b"topic", &mut out);
/// encoder::encode_frame(Flags::LAST, b"body", &mut out);
/// assert_eq!(out, b"\x01\x05topic\0\x04body");
/// ```
#[inline]
pub fn encode_frame(flags: Flags, body: &[u8], out: &mut Vec<u8>) {
    out.reserve(body.len() + HEADER_BYTES_MAX);
    encode_head(flags, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends all frames of a message.
#[inline]
pub fn encode_message(message: &Outgoing<'_>, out: &mut Vec<u8>) {
    for (frame, more) in message.frames() {
        encode_frame(Flags::message(more), frame, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn the_size_is_known_before() {
        for len in [0, 255, 256, 70_000] {
            let mut out = Vec::new();
            encode_frame(Flags::LAST, &vec![7; len], &mut out);
            assert_eq!(out.len(), frame_bytes(len));
        }
    }

    #[test]
    fn frames_of_a_message_follow_each_other() {
        let mut out = Vec::new();
        let mut message = Outgoing::from(&b"body"[..]);
        message.envelope = Message::from_iter(["id", ""]);
        encode_message(&message, &mut out);
        assert_eq!(out, b"\x01\x02id\x01\0\0\x04body");
    }
}
