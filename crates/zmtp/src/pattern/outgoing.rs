//! A message on its way out, before it is encoded.

use super::Misuse;
use crate::kind::Kind;
use crate::message::{Frame, Message};

/// A message on its way out: an envelope that the pattern writes, then what the user gave.
///
/// What the user gave as a slice stays one until it is encoded, so that the common send neither
/// copies nor allocates. Who has more frames than one gives those before the last as the envelope:
///
/// ```
/// use chaski_zmtp::Message;
/// use chaski_zmtp::pattern::Outgoing;
///
/// let body = vec![b'x'; 1000];
/// let mut news = Outgoing::from(&body[..]);
/// news.envelope = Message::from("topic");
/// assert_eq!(news.first(), Some(&b"topic"[..]));
/// ```
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Frames that go before the body.
    pub envelope: Message,
    /// What the user gave, less what the pattern took off it.
    pub body: Body<'a>,
}

/// What the user gave to send.
#[derive(Debug)]
pub enum Body<'a> {
    /// A message of one frame, borrowed.
    Slice(&'a [u8]),
    /// A message that is ours.
    Message(Message),
}

impl Body<'_> {
    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Body::Slice(_) => 1,
            Body::Message(message) => message.len(),
        }
    }
}

impl<'a> Outgoing<'a> {
    /// A message without an envelope.
    pub const fn new(body: Body<'a>) -> Self {
        Outgoing { envelope: Message::new(), body }
    }

    /// The frames in the order of the wire, each with whether another follows.
    pub fn frames(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let (slice, rest): (Option<&[u8]>, &[Frame]) = match &self.body {
            Body::Slice(slice) => (Some(slice), &[]),
            Body::Message(message) => (None, message.as_slice()),
        };
        let count = self.envelope.len() + usize::from(slice.is_some()) + rest.len();
        let envelope = self.envelope.iter().map(Frame::as_slice);
        let body = slice.into_iter().chain(rest.iter().map(Frame::as_slice));
        envelope.chain(body).enumerate().map(move |(at, frame)| (frame, at + 1 < count))
    }

    /// The first frame on the wire: a topic.
    pub fn first(&self) -> Option<&[u8]> {
        if let Some(frame) = self.envelope.first() {
            return Some(frame.as_slice());
        }
        match &self.body {
            Body::Slice(slice) => Some(slice),
            Body::Message(message) => message.first().map(Frame::as_slice),
        }
    }

    /// What a message of that kind of socket must be: of one frame at least, and of one only if
    /// the kind is one of the thread-safe ones (RFC 37, "Thread Safe Sockets").
    pub(crate) fn check_shape(&self, kind: Kind) -> Result<(), Misuse> {
        match self.body.len() {
            0 => Err(Misuse::Shape("a message has at least one frame")),
            1 => Ok(()),
            _ if kind.multipart() => Ok(()),
            _ => Err(Misuse::Shape("this kind of socket sends messages of one frame only")),
        }
    }

    /// The whole as an owned message, envelope first.
    pub fn into_message(self) -> Message {
        let Outgoing { mut envelope, body } = self;
        match body {
            Body::Slice(slice) => envelope.push(slice),
            Body::Message(message) if envelope.is_empty() => return message,
            Body::Message(message) => {
                envelope.set_routing_id(message.routing_id());
                envelope.extend(message);
            }
        }
        envelope
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Outgoing::new(Body::Slice(slice))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(slice: &'a [u8; N]) -> Self {
        Outgoing::new(Body::Slice(slice))
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Outgoing::new(Body::Slice(text.as_bytes()))
    }
}

impl From<Message> for Outgoing<'_> {
    fn from(message: Message) -> Self {
        Outgoing::new(Body::Message(message))
    }
}

impl From<Frame> for Outgoing<'_> {
    fn from(frame: Frame) -> Self {
        Outgoing::from(Message::from(frame))
    }
}

impl From<Vec<u8>> for Outgoing<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Outgoing::from(Message::from(bytes))
    }
}

impl From<bytes::Bytes> for Outgoing<'_> {
    fn from(bytes: bytes::Bytes) -> Self {
        Outgoing::from(Message::from(bytes))
    }
}

impl From<String> for Outgoing<'_> {
    fn from(text: String) -> Self {
        Outgoing::from(Message::from(text))
    }
}
