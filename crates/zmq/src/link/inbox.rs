//! What came from one peer and was not yet taken.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_zmtp::{Command, Decoder, Frame, Incoming, Message};

use super::stream::{Read, Stream};
use super::{Arrival, Gone, Link, NearReceiver};
use crate::monitor::{Breach, Lost};

/// How much is read at once from a peer that speaks no ZMTP (STREAM), in bytes.
const RAW_BYTES: usize = 8 * 1024;

/// The way from one peer. It is used under the lock of the socket's inboxes.
pub(crate) struct Inbox {
    pub(crate) link: Arc<Link>,
    source: Source,
    /// Messages taken from the source before the user asked, or given back.
    pub(crate) ahead: VecDeque<Message>,
    /// Whether it stands in the socket's queue of those that may have something.
    pub(crate) listed: bool,
    /// The peer will not come again; what it sent is still received.
    pub(crate) last: bool,
    /// If so, how many messages the socket knows to be left.
    pub(crate) left: usize,
    /// What the pattern does with its messages, if that is known without asking.
    pub(crate) pass: Option<Pass>,
    /// How often something was read.
    pub(crate) reads: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// What a pattern does with every message of a peer.
pub(crate) enum Pass {
    /// The user gets it as it came.
    Whole,
    /// The user gets it behind this frame (ROUTER).
    After(Frame),
    /// The user gets it as it came if the pattern wants it (SUB).
    Wanted,
}

/// A message of a single frame, and the frame that goes before it, if one does.
pub(crate) struct Single {
    prefix: Option<Frame>,
    frame: Frame,
}

impl Single {
    /// How many bytes its frame has.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }

    /// What it begins with, as it came.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.frame.as_slice()
    }

    /// As the user gets it.
    #[inline]
    pub(crate) fn into_message(self) -> Message {
        match self.prefix {
            None => Message::from(self.frame),
            Some(prefix) => Message::from(prefix).with(self.frame),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
enum Source {
    Nothing,
    Wire(Wire),
    Near(Box<dyn NearReceiver>),
}

struct Wire {
    stream: Arc<Stream>,
    codec: Codec,
    /// The kernel may have bytes for us.
    readable: bool,
    /// A command that came up when a message was looked for.
    command: Option<Command>,
    /// The peer has hung up: a short read does not mean that no event was missed.
    hung_up: bool,
}

/// How bytes become messages.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
pub(crate) enum Codec {
    /// ZMTP.
    Zmtp(Decoder),
    /// Each read is a message (STREAM).
    Raw,
}

/// What an inbox has.
pub(crate) enum Next {
    /// A message.
    Message(Message),
    /// A command.
    Command(Command),
    /// Nothing before more is read, which may be worth trying.
    Unread,
    /// Nothing before it is heard of again.
    Empty,
    /// The connection has come to its end.
    Lost(Lost),
}

impl Inbox {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Inbox {
            link,
            source: Source::Nothing,
            ahead: VecDeque::new(),
            listed: false,
            last: false,
            left: 0,
            pass: None,
            reads: 0,
            messages: 0,
            bytes: 0,
        }
    }

    /// A connection is up.
    pub(crate) fn connect(&mut self, stream: Arc<Stream>, codec: Codec) {
        self.disconnect();
        self.source =
            Source::Wire(Wire { stream, codec, readable: true, command: None, hung_up: false });
    }

    /// A peer is reached through memory.
    pub(crate) fn lay(&mut self, receiver: Box<dyn NearReceiver>) {
        self.source = Source::Near(receiver);
    }

    /// The connection is over: what came whole is kept.
    pub(crate) fn disconnect(&mut self) {
        self.pass = None;
        if let Source::Wire(Wire { codec: Codec::Zmtp(decoder), .. }) = &mut self.source {
            while let Ok(Some(incoming)) = decoder.next() {
                if let Incoming::Message(message) = incoming {
                    self.ahead.push_back(message);
                }
            }
        }
        if let Source::Wire(_) = self.source {
            self.source = Source::Nothing;
        }
    }

    /// The kernel has bytes for us, or news.
    pub(crate) fn readable(&mut self, hung_up: bool) {
        if let Source::Wire(wire) = &mut self.source {
            wire.readable = true;
            wire.hung_up |= hung_up;
        }
    }

    /// Takes the next message or command, without reading.
    #[inline]
    pub(crate) fn next(&mut self) -> Next {
        if let Some(message) = self.ahead.pop_front() {
            self.progress();
            return Next::Message(message);
        }
        match &mut self.source {
            Source::Wire(wire) => match &mut wire.codec {
                Codec::Zmtp(decoder) => match wire
                    .command
                    .take()
                    .map_or_else(|| decoder.next(), |command| Ok(Some(Incoming::Command(command))))
                {
                    Ok(Some(Incoming::Message(message))) => {
                        self.messages += 1;
                        Next::Message(message)
                    }
                    Ok(Some(Incoming::Command(command))) => Next::Command(command),
                    Ok(None) if wire.readable => Next::Unread,
                    Ok(None) => Next::Empty,
                    Err(error) => Next::Lost(Lost::Protocol(Breach::Decode(error))),
                },
                Codec::Raw if wire.readable => Next::Unread,
                Codec::Raw => Next::Empty,
            },
            Source::Near(receiver) => match receiver.pop() {
                Ok(Some(Arrival::Message(message))) => {
                    self.messages += 1;
                    Next::Message(message)
                }
                Ok(Some(Arrival::Command(command))) => Next::Command(command),
                Ok(None) => Next::Empty,
                Err(Gone) => {
                    self.source = Source::Nothing;
                    Next::Lost(Lost::Hangup)
                }
            },
            Source::Nothing => Next::Empty,
        }
    }

    /// Takes the next message, if it lies in the page, or in memory, and nothing is before it. For
    /// patterns that take every message as it comes and know no commands.
    #[inline]
    pub(crate) fn next_at_hand(&mut self) -> Option<Message> {
        if !self.ahead.is_empty() {
            return None;
        }
        match &mut self.source {
            Source::Wire(Wire { codec: Codec::Zmtp(decoder), command, .. })
                if command.is_none() =>
            {
                match decoder.next() {
                    Ok(Some(Incoming::Message(message))) => {
                        self.messages += 1;
                        Some(message)
                    }
                    Ok(Some(Incoming::Command(found))) => {
                        *command = Some(found);
                        None
                    }
                    // What is wrong is told again by `next`.
                    Ok(None) | Err(_) => None,
                }
            }
            Source::Near(receiver) => match receiver.pop() {
                Ok(Some(Arrival::Message(message))) => {
                    self.messages += 1;
                    Some(message)
                }
                // The end is told again by `next`.
                Ok(Some(Arrival::Command(_)) | None) | Err(Gone) => None,
            },
            _ => None,
        }
    }

    /// Takes the next message if it is a single frame that lies in the page, nothing is before it
    /// and of the pattern no more is asked than [`Pass`] says. `None` says no more than that
    /// [`Inbox::next`] is.
    #[inline]
    pub(crate) fn next_single(&mut self) -> Option<Single> {
        let pass = self.pass.as_ref()?;
        if !self.ahead.is_empty() {
            return None;
        }
        let frame = match &mut self.source {
            Source::Wire(Wire { codec: Codec::Zmtp(decoder), command: None, .. }) => {
                decoder.next_single()?
            }
            Source::Near(receiver) => receiver.pop_single()?,
            _ => return None,
        };
        self.messages += 1;
        let prefix = match pass {
            Pass::Whole | Pass::Wanted => None,
            Pass::After(prefix) => Some(prefix.clone()),
        };
        Some(Single { prefix, frame })
    }

    /// Whether the pattern is to be asked if it wants what [`Inbox::next_single`] takes.
    #[inline]
    pub(crate) fn is_chosen_from(&self) -> bool {
        matches!(self.pass, Some(Pass::Wanted))
    }

    /// Whether there may be more than what has been read: the kernel's, or a near peer's, of which
    /// no other word will come.
    pub(crate) fn is_readable(&self) -> bool {
        match &self.source {
            Source::Wire(wire) => wire.readable,
            Source::Near(_) => true,
            Source::Nothing => false,
        }
    }

    /// Reads and takes nothing more: the peer broke the rules.
    pub(crate) fn shun(&mut self) {
        self.ahead.clear();
        if let Source::Wire(_) = self.source {
            self.source = Source::Nothing;
        }
    }

    /// Whether bytes have come that are not taken: the user will be back for them.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        match &self.source {
            _ if !self.ahead.is_empty() => true,
            Source::Wire(Wire { codec: Codec::Zmtp(decoder), .. }) => decoder.buffered() > 0,
            _ => false,
        }
    }

    /// Reads once, after [`Next::Unread`].
    pub(crate) fn read(&mut self) -> Result<(), Lost> {
        let Source::Wire(wire) = &mut self.source else { return Ok(()) };
        let mut raw = Vec::new();
        let room = match &mut wire.codec {
            Codec::Zmtp(decoder) => decoder.room(),
            Codec::Raw => {
                raw.reserve_exact(RAW_BYTES);
                &mut raw
            }
        };
        let count = match wire.stream.read(room) {
            Ok(Read::More(count)) => count,
            Ok(Read::Drained(count)) => {
                wire.readable = wire.hung_up && count > 0;
                count
            }
            Ok(Read::End) => return self.end(Lost::Hangup),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return self.end(Lost::Hangup);
            }
            Err(error) => return self.end(Lost::Io(error.kind())),
        };
        if count > 0 {
            self.reads += 1;
            self.progress();
            self.bytes += count as u64;
            self.link.outbox.heard();
        }
        if count == 0 && self.reads == 0 {
            // A new peer that has said nothing yet, and perhaps never will: no page for it.
            self.rest();
        }
        if !raw.is_empty() {
            self.messages += 1;
            self.ahead.push_back(Message::from(raw));
        }
        Ok(())
    }

    fn progress(&self) {
        // ORDERING: one writer at a time, who holds the inbox; the driver sees it soon enough.
        let progress = self.link.progress.load(Ordering::Relaxed);
        self.link.progress.store(progress + 1, Ordering::Relaxed);
    }

    fn end(&mut self, why: Lost) -> Result<(), Lost> {
        if let Source::Wire(wire) = &mut self.source {
            wire.readable = false;
        }
        Err(why)
    }

    /// Gives back memory that a connection at rest does not need.
    pub(crate) fn rest(&mut self) {
        if let Source::Wire(Wire { codec: Codec::Zmtp(decoder), .. }) = &mut self.source
            && decoder.buffered() == 0
        {
            decoder.rest();
        }
    }
}
