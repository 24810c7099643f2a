//! Encoded messages in the order of the wire.
//!
//! ```text
//! bytes    | head body | head | head body head body | head |
//!                             ^                            ^
//! bodies                   large                        large      not copied
//!
//! entries  |     1     |      2     |       3       |      4     | one per message or command
//! ```
//!
//! Heads and short frames are copied behind each other; a body of [`SHARED_BYTES_MIN`] or more is
//! kept as it is, with the place in `bytes` where it belongs. What has been written is forgotten by
//! whole messages, so that a message of which only a part was written when its connection broke can
//! be offered to the next one from its first byte.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use chaski_zmtp::pattern::{Body, Outgoing};
use chaski_zmtp::{Command, Flags, Frame, Sealer, Version, encoder};
use smallvec::SmallVec;

/// From how many bytes on a body is passed to the kernel as it lies, instead of being copied.
pub(super) const SHARED_BYTES_MIN: usize = 4096;

/// How many slices one write passes to the kernel at most.
const SLICES_MAX: usize = 64;

/// How much memory an empty queue keeps for the next messages, in bytes.
const KEPT_BYTES_MAX: usize = 512 * 1024;

/// What one write passes to the kernel.
pub(super) type Slices<'a> = SmallVec<[IoSlice<'a>; SLICES_MAX]>;

/// See the head of this module.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    bodies: VecDeque<(usize, Bytes)>,
    entries: VecDeque<Entry>,
    /// Where the first entry begins in `bytes`.
    at: usize,
    /// How many bytes of the first entry have been written.
    written: usize,
    /// How many bytes are still to be written.
    len: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Its bytes on the wire.
    len: usize,
    /// How many of them are in `bodies`, and in how many pieces.
    shared: usize,
    pieces: u32,
    /// A command is for this connection, and not offered to the next.
    command: bool,
}

/// How a connection's bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// ZMTP.
    Zmtp,
    /// None: the bodies alone (STREAM).
    Raw,
}

impl Queue {
    /// How many bytes are still to be written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a message.
    #[inline]
    pub(super) fn push(&mut self, message: &Outgoing<'_>, framing: Framing) {
        if let (true, Body::Slice(slice)) = (message.envelope.is_empty(), &message.body)
            && slice.len() < SHARED_BYTES_MIN
            && framing != Framing::Raw
        {
            encoder::encode_frame(Flags::LAST, slice, &mut self.bytes);
            self.entry(encoder::frame_bytes(slice.len()), 0, 0, false);
        } else {
            self.push_frames(message, framing);
        }
    }

    fn push_frames(&mut self, message: &Outgoing<'_>, framing: Framing) {
        let mut filing = Filing::begin(self, framing);
        let (slice, body): (_, &[Frame]) = match &message.body {
            Body::Slice(slice) => (Some(*slice), &[]),
            Body::Message(message) => (None, message.as_slice()),
        };
        let mut left = message.envelope.len() + usize::from(slice.is_some()) + body.len();
        for frame in message.envelope.iter() {
            left -= 1;
            filing.frame(frame, left > 0, || frame.clone().into_bytes());
        }
        if let Some(slice) = slice {
            filing.frame(slice, false, || Bytes::copy_from_slice(slice));
        }
        for frame in body {
            left -= 1;
            filing.frame(frame, left > 0, || frame.clone().into_bytes());
        }
        filing.end();
    }

    /// Adds a command; whether the peer's version has it.
    pub(super) fn tell(&mut self, command: &Command, version: Version) -> bool {
        let before = self.bytes.len();
        let known = command.encode(version, &mut self.bytes);
        if known {
            self.entry(self.bytes.len() - before, 0, 0, true);
        }
        known
    }

    #[inline]
    fn entry(&mut self, len: usize, shared: usize, pieces: u32, command: bool) {
        self.len += len;
        self.entries.push_back(Entry { len, shared, pieces, command });
    }

    /// The bytes still to be written, or the first of them.
    pub(super) fn slices<'a>(&'a self, slices: &mut Slices<'a>) {
        let mut skip = self.written;
        let mut at = self.at;
        let mut push = |piece: &'a [u8]| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if piece.len() > skipped && slices.len() < SLICES_MAX {
                slices.push(IoSlice::new(&piece[skipped..]));
            }
        };
        for (place, body) in self.bodies.iter().take(SLICES_MAX) {
            push(&self.bytes[at..*place]);
            push(body);
            at = *place;
        }
        if self.bodies.len() <= SLICES_MAX {
            push(&self.bytes[at..]);
        }
    }

    /// The first `count` bytes are written; how many messages are thereby written whole.
    pub(super) fn advance(&mut self, count: usize) -> usize {
        debug_assert!(count <= self.len, "more written than there was");
        self.written += count;
        self.len -= count;
        if self.len == 0 {
            let messages = self.entries.iter().filter(|entry| !entry.command).count();
            self.clear();
            return messages;
        }
        let mut messages = 0;
        while let Some(&entry) = self.entries.front()
            && entry.len <= self.written
        {
            self.entries.pop_front();
            self.written -= entry.len;
            self.at += entry.len - entry.shared;
            self.bodies.drain(..entry.pieces as usize);
            messages += usize::from(!entry.command);
        }
        messages
    }

    /// Forgets everything, and gives memory back if it was much.
    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bodies.clear();
        self.entries.clear();
        (self.at, self.written, self.len) = (0, 0, 0);
    }

    /// Moves all messages that are not wholly written behind those of `to`, and drops the commands.
    /// What was written of the first is forgotten.
    pub(super) fn move_messages(&mut self, to: &mut Queue) {
        let mut at = self.at;
        for entry in std::mem::take(&mut self.entries) {
            let end = at + entry.len - entry.shared;
            let bodies = self.bodies.drain(..entry.pieces as usize);
            if entry.command {
                drop(bodies);
            } else {
                let shift = to.bytes.len();
                to.bodies.extend(bodies.map(|(place, body)| (place - at + shift, body)));
                to.bytes.extend_from_slice(&self.bytes[at..end]);
                to.entry(entry.len, entry.shared, entry.pieces, false);
            }
            at = end;
        }
        self.clear();
    }

    /// How many messages are in it.
    pub(super) fn messages(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.command).count()
    }

    /// Appends to `out` the encrypted frames of the messages from the `from`th on, until there are
    /// `enough` bytes, and to `ends` where each ends.
    pub(super) fn seal(
        &self,
        sealer: &mut dyn Sealer,
        enough: usize,
        out: &mut Vec<u8>,
        ends: &mut VecDeque<(usize, bool)>,
    ) {
        let mut at = self.at;
        let mut bodies = self.bodies.iter();
        for entry in &self.entries {
            if out.len() >= enough {
                return;
            }
            let end = at + entry.len - entry.shared;
            let mut next = bodies.clone();
            while at < end {
                at = self.seal_frame(at, &mut next, sealer, out);
            }
            bodies = next;
            ends.push_back((out.len(), entry.command));
        }
    }

    /// Seals the frame that begins at `at`; where the next one begins.
    fn seal_frame<'a>(
        &'a self,
        at: usize,
        bodies: &mut (impl Iterator<Item = &'a (usize, Bytes)> + Clone),
        sealer: &mut dyn Sealer,
        out: &mut Vec<u8>,
    ) -> usize {
        let (flags, head, len) = read_head(&self.bytes[at..]);
        let place = at + head;
        let mut peeked = bodies.clone();
        match peeked.next() {
            Some((here, body)) if *here == place && body.len() == len && len > 0 => {
                *bodies = peeked;
                sealer.seal(flags, &[body], out);
                place
            }
            _ => {
                sealer.seal(flags, &[&self.bytes[place..place + len]], out);
                place + len
            }
        }
    }

    /// Forgets the first entry, which has been written in another form.
    pub(super) fn pop(&mut self) {
        if let Some(entry) = self.entries.front() {
            self.advance(entry.len - self.written);
        }
    }
}

/// Reads a head that this module wrote: flags, bytes of the head, bytes of the body.
fn read_head(bytes: &[u8]) -> (Flags, usize, usize) {
    let octet = bytes[0];
    let flags = if octet & 4 != 0 { Flags::COMMAND } else { Flags::message(octet & 1 != 0) };
    match bytes[1..].first_chunk::<8>() {
        Some(len) if octet & 2 != 0 => (flags, 9, u64::from_be_bytes(*len) as usize),
        _ => (flags, 2, usize::from(bytes[1])),
    }
}

/// The frames of one message being added.
struct Filing<'a> {
    queue: &'a mut Queue,
    framing: Framing,
    before: usize,
    shared: usize,
    pieces: u32,
}

impl<'a> Filing<'a> {
    fn begin(queue: &'a mut Queue, framing: Framing) -> Self {
        Filing { before: queue.bytes.len(), queue, framing, shared: 0, pieces: 0 }
    }

    fn frame(&mut self, frame: &[u8], more: bool, body: impl FnOnce() -> Bytes) {
        let bytes = &mut self.queue.bytes;
        if self.framing != Framing::Raw {
            encoder::encode_head(Flags::message(more), frame.len(), bytes);
        }
        if frame.len() < SHARED_BYTES_MIN {
            bytes.extend_from_slice(frame);
        } else {
            self.shared += frame.len();
            self.pieces += 1;
            self.queue.bodies.push_back((bytes.len(), body()));
        }
    }

    fn end(self) {
        let len = self.queue.bytes.len() - self.before + self.shared;
        self.queue.entry(len, self.shared, self.pieces, false);
    }
}
