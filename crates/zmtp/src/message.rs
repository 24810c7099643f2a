//! What is sent and received: a message of one or more frames.
//!
//! A frame of up to [`Frame::INLINE_MAX`] bytes lies in the value itself; a longer one is a
//! reference-counted slice ([`Bytes`]), which a receiver cuts out of the page it has read. A
//! message of up to four frames needs no allocation of its own.

use std::fmt;
use std::ops::{Deref, Index};

use bytes::Bytes;
use smallvec::SmallVec;

/// One frame: some bytes.
///
/// ```
/// use chaski_zmtp::Frame;
///
/// let frame = Frame::from("hello");
/// assert_eq!(frame.as_slice(), b"hello");
/// ```
#[derive(Clone)]
pub struct Frame(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Frame::INLINE_MAX] },
    Shared(Bytes),
}

impl Frame {
    /// The longest frame that lies in the value itself, in bytes.
    pub const INLINE_MAX: usize = 38;

    /// A frame without bytes: the delimiter of REQ and REP.
    pub const fn empty() -> Self {
        Frame(Repr::Inline { len: 0, bytes: [0; Frame::INLINE_MAX] })
    }

    /// Copies `bytes`: into the value if they fit, else into an allocation of their own.
    #[inline]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Frame::inline(bytes).unwrap_or_else(|| Frame(Repr::Shared(Bytes::copy_from_slice(bytes))))
    }

    /// The first `len` bytes of `start`. Those after them are copied too, and never seen: a copy
    /// of a fixed size is a few moves, one of any size a call.
    #[inline(always)]
    pub(crate) fn from_start(start: &[u8; Frame::INLINE_MAX], len: u8) -> Self {
        Frame(Repr::Inline { len: len.min(Frame::INLINE_MAX as u8), bytes: *start })
    }

    /// Bytes that are too many to lie in the value itself.
    #[inline(always)]
    pub(crate) fn from_long(bytes: Bytes) -> Self {
        Frame(Repr::Shared(bytes))
    }

    #[inline]
    fn inline(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok()?;
        let mut inline = [0; Frame::INLINE_MAX];
        inline.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Frame(Repr::Inline { len, bytes: inline }))
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The bytes as a reference-counted slice, copied only if they lie in the value itself.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { len, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The bytes as a vector, copied unless this frame is their only owner.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Repr::Inline { len, bytes } => bytes[..usize::from(len)].to_vec(),
            Repr::Shared(bytes) => bytes.into(),
        }
    }

    /// A frame that keeps nothing else alive.
    ///
    /// A received frame may be a slice of a page that holds its neighbours too. That costs nothing
    /// for a message that is soon dropped; who keeps a few of many for long detaches them.
    #[must_use]
    pub fn detach(self) -> Self {
        Frame::copy_from_slice(&self)
    }
}

impl Default for Frame {
    fn default() -> Self {
        Frame::empty()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

impl<B: AsRef<[u8]> + ?Sized> PartialEq<B> for Frame {
    fn eq(&self, other: &B) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl Eq for Frame {}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Frame::copy_from_slice(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    fn from(bytes: &[u8; N]) -> Self {
        Frame::copy_from_slice(bytes)
    }
}

impl From<&str> for Frame {
    fn from(text: &str) -> Self {
        Frame::copy_from_slice(text.as_bytes())
    }
}

impl From<Bytes> for Frame {
    /// Short bytes are copied, so that a few of them do not keep a page alive.
    fn from(bytes: Bytes) -> Self {
        Frame::inline(&bytes).unwrap_or(Frame(Repr::Shared(bytes)))
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Frame::from(Bytes::from(bytes))
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Frame::from(text.into_bytes())
    }
}

/// The frames of a message.
pub(crate) type Frames = SmallVec<[Frame; 4]>;

/// One or more frames that travel together: all of them arrive, or none.
///
/// ```
/// use chaski_zmtp::Message;
///
/// let message = Message::from_iter(["topic", "body"]);
/// assert_eq!(message.len(), 2);
/// assert_eq!(&message[1], "body");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    frames: Frames,
    routing_id: u32,
}

impl Message {
    /// A message without frames, to be pushed to. It cannot be sent as long as it has none.
    pub const fn new() -> Self {
        Message { frames: SmallVec::new_const(), routing_id: 0 }
    }

    /// Adds a frame at the end.
    #[inline]
    pub fn push(&mut self, frame: impl Into<Frame>) {
        self.frames.push(frame.into());
    }

    /// Adds a frame at the end and gives the message back.
    #[must_use]
    pub fn with(mut self, frame: impl Into<Frame>) -> Self {
        self.push(frame);
        self
    }

    /// Adds a frame before all others.
    pub fn push_front(&mut self, frame: impl Into<Frame>) {
        self.frames.insert(0, frame.into());
    }

    /// Takes the first frame away.
    pub fn pop_front(&mut self) -> Option<Frame> {
        (!self.frames.is_empty()).then(|| self.frames.remove(0))
    }

    /// Takes the last frame away.
    pub fn pop(&mut self) -> Option<Frame> {
        self.frames.pop()
    }

    /// How many frames there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The bytes of all frames together.
    pub fn byte_len(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }

    /// The frame at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&Frame> {
        self.frames.get(index)
    }

    /// The first frame.
    pub fn first(&self) -> Option<&Frame> {
        self.frames.first()
    }

    /// The last frame: the body, where the others are an envelope.
    pub fn last(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// The frames in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Frame> {
        self.frames.iter()
    }

    /// The frames in order, as a slice.
    pub fn as_slice(&self) -> &[Frame] {
        &self.frames
    }

    /// Splits after `count` frames; this message keeps those before.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Message {
        let frames = self.frames.drain(count.min(self.frames.len())..).collect();
        Message { frames, routing_id: self.routing_id }
    }

    /// Which peer of a SERVER or PEER socket it came from or goes to; 0 if none (RFC 41).
    pub fn routing_id(&self) -> u32 {
        self.routing_id
    }

    /// Names the peer of a SERVER or PEER socket that it goes to.
    pub fn set_routing_id(&mut self, id: u32) {
        self.routing_id = id;
    }

    /// A message that keeps no page of the receiver alive; see [`Frame::detach`].
    #[must_use]
    pub fn detach(self) -> Self {
        let routing_id = self.routing_id;
        Message { frames: self.frames.into_iter().map(Frame::detach).collect(), routing_id }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.frames).finish()
    }
}

impl Index<usize> for Message {
    type Output = Frame;

    fn index(&self, index: usize) -> &Frame {
        &self.frames[index]
    }
}

impl<F: Into<Frame>> From<F> for Message {
    #[inline]
    fn from(frame: F) -> Self {
        // Not `Message::new`: a constant is copied, the zeros where no frame is yet included.
        let mut frames = Frames::new();
        frames.push(frame.into());
        Message { frames, routing_id: 0 }
    }
}

impl<F: Into<Frame>> FromIterator<F> for Message {
    fn from_iter<I: IntoIterator<Item = F>>(frames: I) -> Self {
        Message { frames: frames.into_iter().map(Into::into).collect(), routing_id: 0 }
    }
}

impl<F: Into<Frame>> Extend<F> for Message {
    fn extend<I: IntoIterator<Item = F>>(&mut self, frames: I) {
        self.frames.extend(frames.into_iter().map(Into::into));
    }
}

impl IntoIterator for Message {
    type Item = Frame;
    type IntoIter = smallvec::IntoIter<[Frame; 4]>;

    fn into_iter(self) -> Self::IntoIter {
        self.frames.into_iter()
    }
}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a Frame;
    type IntoIter = std::slice::Iter<'a, Frame>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_frames_lie_inline_and_long_ones_do_not() {
        let short = Frame::from(vec![7; Frame::INLINE_MAX]);
        assert!(matches!(short.0, Repr::Inline { .. }));
        let long = Frame::from(vec![7; Frame::INLINE_MAX + 1]);
        assert!(matches!(long.0, Repr::Shared(_)));
        assert_eq!(size_of::<Frame>(), 40);
    }

    #[test]
    fn four_frames_need_no_allocation() {
        let message = Message::from_iter(["id", "", "topic", "body"]);
        assert!(!message.frames.spilled());
        assert_eq!(message.len(), 4);
    }

    #[test]
    fn frames_come_off_both_ends() {
        let mut message = Message::from_iter(["id", "body", "tail"]);
        assert_eq!(message.pop_front().unwrap(), "id");
        let rest = message.split_off(1);
        assert_eq!(message, Message::from("body"));
        assert_eq!(rest, Message::from("tail"));
    }
}
