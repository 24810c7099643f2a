//! Messages and commands out of the bytes of a connection whose handshake is done (RFC 37,
//! "Framing").
//!
//! Who reads the connection appends to [`Decoder::room`] and then takes what is whole by
//! [`Decoder::next`] until there is nothing more. Nothing is looked at before it is asked for, so a
//! message that nobody takes costs its bytes and no more.
//!
//! # Where the bytes lie
//!
//! ```text
//!             at                             capacity
//!  page  .....[frame][frame][frame][fra..... |
//!        taken            to be taken  room
//! ```
//!
//! - A frame of at most 38 bytes is copied into the [`Frame`] itself.
//! - A longer one is a slice of the page, which is then *frozen*: nothing is added to it.
//! - In a page of which less than an eighth is filled it is copied, so that a message that is kept
//!   does not keep eight times as much alive.
//! - One that is longer than half a page gets a buffer of its own, which [`Decoder::room`] points
//!   into: the body is read to where it stays.
//!
//! A frozen page whose slices are all dropped is read into again, and never zeroed.
//!
//! On an encrypted connection a sealed frame is copied out of the page, which then is never frozen,
//! and opened in its new place: an allocation for all frames that were read at once. Whether more
//! frames follow it is said in the box (RFC 26); what its head says of that, which nobody has
//! signed, is not asked: libzmq leaves it out there, omq repeats it.
//!
//! # What a peer can make us hold
//!
//! A buffer of its own grows with what came: at most to twice of it and 1 MiB. [`Limits`] bounds
//! the rest.

mod body;
mod pages;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use crate::command::Command;
use crate::error::DecodeError;
use crate::frame::{Flags, Header};
use crate::greeting::Version;
use crate::limits::Limits;
use crate::mechanism::Opener;
use crate::message::{Frame, Message};
use body::Body;
use pages::Pages;

/// What a peer says once the handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A command. One may come between the frames of a message, which is then still to come.
    Command(Command),
}

/// The incoming side of a connection in traffic.
///
/// ```
/// use chaski_zmtp::{Decoder, Incoming, Limits, Message, Version};
///
/// let mut decoder = Decoder::new(Limits::default(), Version::V3_1, None);
/// decoder.room().extend_from_slice(b"\x01\x05topic\0\x04bo");
/// assert_eq!(decoder.next(), Ok(None));
/// decoder.room().extend_from_slice(b"dy");
/// let message = Message::from_iter(["topic", "body"]);
/// assert_eq!(decoder.next(), Ok(Some(Incoming::Message(message))));
/// ```
pub struct Decoder {
    pages: Pages,
    /// The longest frame that the limits let in.
    frame_max: usize,
    /// Whether the next frame is in the clear, begins a message, and lies in the page.
    between: bool,
    version: Version,
    limits: Limits,
    opener: Option<Box<dyn Opener>>,
    /// Where sealed frames are opened, in room for all that was read with the first of them.
    opened: BytesMut,
    /// The frame being read into a buffer of its own.
    body: Option<Body>,
    /// How many bytes the next frame has that is in the page in part, its head included.
    whole: usize,
    /// The frames so far of a message that goes on.
    partial: Message,
    partial_bytes: u64,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A decoder for a peer of that version, which passes frames through `opener` if there is one.
    ///
    /// It allocates nothing before [`Decoder::room`] is called.
    pub fn new(limits: Limits, version: Version, opener: Option<Box<dyn Opener>>) -> Self {
        let bytes_max = [limits.frame_bytes_max, limits.message_bytes_max];
        let frame_max = bytes_max.into_iter().flatten().min().unwrap_or(u64::MAX);
        Decoder {
            pages: Pages::new(limits.page),
            frame_max: usize::try_from(frame_max).unwrap_or(usize::MAX),
            between: opener.is_none(),
            version,
            limits,
            opener,
            opened: BytesMut::new(),
            body: None,
            whole: 1,
            partial: Message::new(),
            partial_bytes: 0,
            failed: None,
        }
    }

    /// Where the caller appends what it reads: a vector with spare capacity, whose present contents
    /// are not to be touched.
    ///
    /// To be called when [`Decoder::next`] has found nothing more. If it is called with messages
    /// untaken, the room grows without a limit.
    pub fn room(&mut self) -> &mut Vec<u8> {
        match &mut self.body {
            Some(body) if !body.is_whole() => body.room(),
            _ => self.pages.room(self.whole),
        }
    }

    /// Appends bytes that were read elsewhere: what a handshake left over.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room();
            let count = bytes.len().min(room.capacity() - room.len());
            let (now, later) = bytes.split_at(count);
            room.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Takes the next whole message or command; `None` if more has to be read for it.
    ///
    /// # Errors
    ///
    /// If the peer breaks the rules or a limit, as soon as the octet that does is there; from then
    /// on at every call. The connection is to be closed.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it ends with the connection, not with None")]
    pub fn next(&mut self) -> Result<Option<Incoming>, DecodeError> {
        match self.next_single() {
            Some(frame) => Ok(Some(Incoming::Message(Message::from(frame)))),
            None => self.next_of_any_kind(),
        }
    }

    /// Takes the next message if it has one frame, in the clear, and is all here. `None` says no
    /// more than that [`Decoder::next`] is to be asked.
    ///
    /// It is what `next` does first, for who cares about nanoseconds: a [`Message`] is four times
    /// as large as a [`Frame`], and moving one takes longer than finding it. So it is best made
    /// from the frame in the place where it stays.
    #[inline]
    pub fn next_single(&mut self) -> Option<Frame> {
        if !self.between {
            return None;
        }
        self.pages.take_frame(Flags::LONG, self.frame_max).map(|(_, frame)| frame)
    }

    /// How many bytes have come that are not part of a message taken.
    pub fn buffered(&self) -> usize {
        let body = self.body.as_ref().map_or(0, Body::len);
        let partial = usize::try_from(self.partial_bytes).unwrap_or(usize::MAX);
        self.pages.ahead().len().saturating_add(body).saturating_add(partial)
    }

    /// Gives back what is not in use: for a connection that has been silent for a while. The next
    /// [`Decoder::room`] allocates again.
    pub fn rest(&mut self) {
        self.pages.rest();
        self.opened = BytesMut::new();
    }

    fn next_of_any_kind(&mut self) -> Result<Option<Incoming>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut message = std::mem::take(&mut self.partial);
        let gathered = self.gather(&mut message);
        let goes_on = self.body.is_some()
            || !message.is_empty() && !matches!(gathered, Ok(Gathered::Message));
        self.between = self.opener.is_none() && !goes_on && gathered.is_ok();
        let next = match gathered {
            Ok(Gathered::Message) => {
                self.partial_bytes = 0;
                return Ok(Some(Incoming::Message(message)));
            }
            Ok(Gathered::Command(command)) => Ok(Some(Incoming::Command(command))),
            Ok(Gathered::Nothing) => Ok(None),
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        };
        self.partial = message;
        next
    }

    /// Takes frames up to the end of `message` or to a command.
    fn gather(&mut self, message: &mut Message) -> Result<Gathered, DecodeError> {
        while let Some((flags, frame)) = self.frame(message.len())? {
            if flags.command() {
                return Command::decode(&frame.into_bytes()).map(Gathered::Command);
            }
            self.check_count(message.len())?;
            self.partial_bytes += frame.len() as u64;
            message.push(frame);
            if !flags.more() {
                return Ok(Gathered::Message);
            }
        }
        Ok(Gathered::Nothing)
    }

    /// The next frame; `count` are those of its message that have been taken.
    fn frame(&mut self, count: usize) -> Result<Option<(Flags, Frame)>, DecodeError> {
        if let Some(body) = &self.body {
            if !body.is_whole() {
                return Ok(None);
            }
            let (flags, bytes, rest) = self.body.take().map(Body::finish).unwrap_or_default();
            self.pages.append(&rest);
            return self.unseal(flags, bytes).map(Some);
        }
        let Some(header) = Header::read(self.pages.ahead(), self.version)? else {
            self.whole = self.pages.ahead().len() + 1;
            return Ok(None);
        };
        let len = self.admit(header, count)?;
        self.whole = header.head.saturating_add(len);
        if self.pages.ahead().len() < self.whole {
            if !self.pages.fits(self.whole) {
                self.body = Some(Body::new(header.flags, len, self.pages.take_all(header.head)));
            }
            return Ok(None);
        }
        let taken = self.take(header, len)?;
        self.pages.skip(self.whole);
        self.whole = 1;
        Ok(Some(taken))
    }

    /// Whether the limits let this frame in, after `count` others of its message; and its length.
    fn admit(&self, header: Header, count: usize) -> Result<usize, DecodeError> {
        let overhead = self.opener.as_ref().map_or(0, |opener| opener.overhead() as u64);
        let bytes = header.body.saturating_sub(overhead);
        if let Some(limit) = self.limits.frame_bytes_max.filter(|&limit| bytes > limit) {
            return Err(DecodeError::FrameTooLong { bytes, limit });
        }
        let message = self.partial_bytes + bytes;
        if let Some(limit) = self.limits.message_bytes_max.filter(|&limit| message > limit) {
            return Err(DecodeError::MessageTooLong { bytes: message, limit });
        }
        if !header.flags.command() {
            self.check_count(count)?;
        }
        usize::try_from(header.body)
            .map_err(|_| DecodeError::FrameTooLong { bytes, limit: usize::MAX as u64 })
    }

    /// Whether a message of `count` frames may have one more. Asked as soon as that is known to be
    /// no command, and again once it is opened: the head of a sealed frame need not tell.
    fn check_count(&self, count: usize) -> Result<(), DecodeError> {
        let frames_max = self.limits.frames_max.max(1);
        if count < frames_max {
            return Ok(());
        }
        Err(DecodeError::TooManyFrames(frames_max))
    }

    /// The frame with this head, which lies whole in the page, and is left there.
    fn take(&mut self, header: Header, len: usize) -> Result<(Flags, Frame), DecodeError> {
        let Some(opener) = &mut self.opener else {
            return Ok((header.flags, self.pages.cut(header.head, len)));
        };
        let ahead = self.pages.ahead();
        let page = &mut self.opened;
        page.clear();
        if page.capacity() < len && !page.try_reclaim(ahead.len()) {
            *page = BytesMut::with_capacity(ahead.len());
        }
        page.extend_from_slice(&ahead[header.head..header.head + len]);
        let (flags, body) = opener.open(page)?;
        if body.len() <= Frame::INLINE_MAX {
            return Ok((flags, Frame::copy_from_slice(&page[body])));
        }
        Ok((flags, Frame::from(page.split().freeze().slice(body))))
    }

    /// A frame that had a buffer of its own.
    fn unseal(&mut self, flags: Flags, mut bytes: Vec<u8>) -> Result<(Flags, Frame), DecodeError> {
        let Some(opener) = &mut self.opener else {
            return Ok((flags, Frame::from(Bytes::from(bytes))));
        };
        let (flags, body) = opener.open(&mut bytes)?;
        Ok((flags, Frame::from(Bytes::from(bytes).slice(body))))
    }
}

/// What was found behind the frames of a message so far.
enum Gathered {
    /// Its end.
    Message,
    Command(Command),
    Nothing,
}
