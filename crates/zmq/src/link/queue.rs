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
use chaski_zmtp::pattern::{Body, Outgoing, Said};
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
    /// A command, or a greeting: it is for this connection, and not offered to the next.
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

    /// Adds what is said to a new peer: none of it is offered to the next connection.
    pub(super) fn greet(&mut self, said: Said, version: Version, framing: Framing) {
        match said {
            Said::Command(command) => {
                self.tell(&command, version);
            }
            Said::Message(message) => {
                self.push(&Outgoing::from(message), framing);
                if let Some(entry) = self.entries.back_mut() {
                    entry.command = true;
                }
            }
            Said::Goodbye => {}
        }
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

#[cfg(test)]
mod tests {
    use chaski_zmtp::Message;
    use proptest::prelude::*;

    use super::*;

    /// What is queued, in a form whose bytes are found out without a queue.
    #[derive(Clone, Debug)]
    enum Item {
        /// Frames of these sizes, the last of them lent as a slice if so said.
        Message(Vec<usize>, bool),
        Command(usize),
    }

    fn item() -> impl Strategy<Value = Item> {
        let size = prop::sample::select(vec![0, 1, 38, 255, 256, 4095, 4096, 5000]);
        prop_oneof![
            6 => (prop::collection::vec(size, 1..4), any::<bool>())
                .prop_map(|(sizes, lent)| Item::Message(sizes, lent)),
            1 => (0..40_usize).prop_map(Item::Command),
        ]
    }

    fn push(queue: &mut Queue, item: &Item) -> Vec<u8> {
        let mut bytes = Vec::new();
        match item {
            Item::Message(sizes, lent) => {
                let body = |size: &usize| vec![*size as u8; *size];
                let frames: Vec<Vec<u8>> = sizes.iter().map(body).collect();
                for (at, frame) in frames.iter().enumerate() {
                    let flags = Flags::message(at + 1 < frames.len());
                    encoder::encode_frame(flags, frame, &mut bytes);
                }
                let (last, envelope) = frames.split_last().unwrap();
                let mut message = Outgoing::from(&last[..]);
                message.envelope = envelope.iter().map(|frame| &frame[..]).collect();
                if !lent {
                    message = Outgoing::from(message.into_message());
                }
                queue.push(&message, Framing::Zmtp);
            }
            Item::Command(size) => {
                let command = Command::Subscribe(Bytes::from(vec![7; *size]));
                assert!(command.encode(Version::V3_1, &mut bytes));
                assert!(queue.tell(&command, Version::V3_1));
            }
        }
        bytes
    }

    fn written(queue: &Queue, count: usize) -> Vec<u8> {
        let mut slices = Slices::new();
        queue.slices(&mut slices);
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        assert!(!all.is_empty() || queue.is_empty());
        all[..count.min(all.len())].to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However the kernel cuts what is written, the bytes are those of the messages in order,
        /// and a message counts when its last byte is out. When the connection breaks at any byte,
        /// the next one is offered every message that was not out whole, and no command.
        #[test]
        fn bytes_come_out_in_order_and_whole_messages_are_offered_again(
            items in prop::collection::vec(item(), 1..12),
            cuts in prop::collection::vec(1..6000_usize, 1..30),
        ) {
            let mut queue = Queue::default();
            let encoded: Vec<Vec<u8>> = items.iter().map(|item| push(&mut queue, item)).collect();
            let all = encoded.concat();
            prop_assert_eq!(queue.len(), all.len());
            let (mut out, mut messages) = (Vec::new(), 0);
            for cut in cuts {
                let bytes = written(&queue, cut);
                messages += queue.advance(bytes.len());
                out.extend(bytes);
                prop_assert_eq!(&out[..], &all[..out.len()]);
                prop_assert_eq!(queue.len(), all.len() - out.len());
            }
            let (mut end, mut whole, mut rest) = (0, 0, Vec::new());
            for (item, bytes) in items.iter().zip(&encoded) {
                end += bytes.len();
                match item {
                    Item::Message(..) if end <= out.len() => whole += 1,
                    Item::Message(..) => rest.extend_from_slice(bytes),
                    Item::Command(_) => {}
                }
            }
            prop_assert_eq!(messages, whole);
            let mut again = Queue::default();
            let first = push(&mut again, &Item::Message(vec![3, 5000], false));
            queue.move_messages(&mut again);
            prop_assert!(queue.is_empty());
            let mut offered = Vec::new();
            while !again.is_empty() {
                let bytes = written(&again, usize::MAX);
                again.advance(bytes.len());
                offered.extend(bytes);
            }
            prop_assert_eq!(offered, [first, rest].concat());
        }

        /// Sealed in any portions, each frame is sealed once, in order.
        #[test]
        fn every_frame_is_sealed_once(
            items in prop::collection::vec(item(), 1..12),
            enough in 1..9000_usize,
        ) {
            /// Seals to the frame as it would be in the clear.
            struct Plain;
            impl Sealer for Plain {
                fn seal(&mut self, flags: Flags, body: &[&[u8]], out: &mut Vec<u8>) {
                    encoder::encode_frame(flags, &body.concat(), out);
                }
            }
            let mut queue = Queue::default();
            let all: Vec<u8> = items.iter().flat_map(|item| push(&mut queue, item)).collect();
            let mut out = Vec::new();
            while !queue.is_empty() {
                let (mut sealed, mut ends) = (Vec::new(), VecDeque::new());
                queue.seal(&mut Plain, enough, &mut sealed, &mut ends);
                prop_assert_eq!(ends.back().map(|end| end.0), Some(sealed.len()));
                ends.iter().for_each(|_| queue.pop());
                out.extend(sealed);
            }
            prop_assert_eq!(out, all);
        }
    }

    #[test]
    fn large_bodies_are_not_copied() {
        let body = Bytes::from(vec![7; 100_000]);
        let mut queue = Queue::default();
        queue.push(&Outgoing::from(Message::from(body.clone())), Framing::Zmtp);
        let mut slices = Slices::new();
        queue.slices(&mut slices);
        assert!(slices.iter().any(|slice| slice.as_ptr() == body.as_ptr()));
    }
}
