//! What comes in from a peer in shared memory: many records are copied into a page at once, and
//! messages cut out of it.
//!
//! A short frame is copied into its value, a longer one is a slice of the page, unless the page is
//! mostly empty: a message that is kept for long should not keep much more than itself. A page
//! whose slices are all dropped is filled again.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use chaski_shm::Error;
use chaski_shm::pipe::{Bell, PipeReceiver, Record};
use chaski_zmtp::{Frame, Limits, Message};

use super::record::{self, PART, SINGLE};
use crate::link::Arrival;

/// No more records are copied into a page that has so many bytes.
const PAGE_ENOUGH: usize = 16 * 1024;

/// The memory of a page, unless a long record needs more.
const PAGE_BYTES: usize = 32 * 1024;

/// No more records are copied at once.
const RECORDS_MAX: usize = 256;

/// The way in.
pub(super) struct Incoming {
    pipe: Option<(PipeReceiver, Bell)>,
    limits: Limits,
    page: Page,
    /// Records in the page that are not taken: tag and end of each.
    pending: VecDeque<(u8, usize)>,
    /// Where the first of them begins.
    at: usize,
    /// Parts of a record whose last is not here yet.
    parts: Vec<u8>,
}

/// Where records are copied to, and cut out of.
struct Page {
    bytes: Memory,
    /// Of the memory, in bytes.
    capacity: usize,
}

enum Memory {
    Open(Vec<u8>),
    /// Slices of it may be in use.
    Frozen(Bytes),
}

/// What a look brought.
pub(super) enum Found {
    Arrival(Arrival),
    /// Nothing; the pipe's descriptor becomes readable when there is something.
    Nothing,
    /// The connection has come to its end; why, if the peer did not keep the protocol.
    End(Option<&'static str>),
}

impl Incoming {
    pub(super) fn new(limits: Limits) -> Incoming {
        Incoming {
            pipe: None,
            limits,
            page: Page { bytes: Memory::Open(Vec::new()), capacity: 0 },
            pending: VecDeque::new(),
            at: 0,
            parts: Vec::new(),
        }
    }

    /// A connection is up.
    pub(super) fn plug(&mut self, receiver: PipeReceiver, bell: Bell) {
        self.pipe = Some((receiver, bell));
        self.pending.clear();
        self.parts = Vec::new();
    }

    /// The connection is over. What was copied out of it is still taken.
    pub(super) fn unplug(&mut self) -> Option<Bell> {
        self.parts = Vec::new();
        self.pipe.take().map(|(_, bell)| bell)
    }

    /// Takes the next message or command. `linger`: an answer that comes at once is waited for.
    #[inline]
    pub(super) fn next(&mut self, linger: bool) -> Found {
        loop {
            if let Some((tag, end)) = self.pending.pop_front() {
                let start = std::mem::replace(&mut self.at, end);
                if tag == SINGLE && self.parts.is_empty() && self.check(end - start).is_ok() {
                    // The common case: made where it is returned.
                    let frame = self.page.frame(start..end);
                    return Found::Arrival(Arrival::Message(Message::from(frame)));
                }
                match self.cut(tag, start, end) {
                    Ok(None) => continue,
                    Ok(Some(arrival)) => return Found::Arrival(arrival),
                    Err(why) => return self.fail(Some(why)),
                }
            }
            if self.pipe.is_none() {
                return Found::Nothing;
            }
            match self.fill() {
                Ok(0) => {}
                Ok(_) => continue,
                Err(Error::Closed) => return self.fail(None),
                Err(_) => return self.fail(Some("its memory is corrupt")),
            }
            if linger && self.comes_soon() {
                continue;
            }
            if self.may_sleep() {
                return Found::Nothing;
            }
        }
    }

    /// The connection ends here.
    #[cold]
    fn fail(&mut self, why: Option<&'static str>) -> Found {
        if let Some(bell) = self.unplug() {
            bell.close();
        }
        self.pending.clear();
        Found::End(why)
    }

    /// Looks for some microseconds, if that has paid of late.
    fn comes_soon(&mut self) -> bool {
        self.pipe.as_mut().is_some_and(|(receiver, _)| receiver.comes_soon())
    }

    /// Says that nobody looks any more; whether there is nothing still.
    fn may_sleep(&mut self) -> bool {
        let Some((receiver, bell)) = &mut self.pipe else { return true };
        // What rang so far is answered by the look that was just made, or by the next.
        bell.clear();
        receiver.arm()
    }

    /// Copies records into the page; how many.
    fn fill(&mut self) -> Result<usize, Error> {
        let Some((receiver, _)) = &mut self.pipe else { return Ok(0) };
        let page = self.page.open();
        self.at = 0;
        let taken = loop {
            match receiver.try_append(page) {
                Ok(Some(Record { tag, .. })) => self.pending.push_back((tag, page.len())),
                Ok(None) => break Ok(()),
                Err(_) if !self.pending.is_empty() => break Ok(()),
                Err(error) => break Err(error),
            }
            if page.len() >= PAGE_ENOUGH || self.pending.len() >= RECORDS_MAX {
                break Ok(());
            }
        };
        receiver.release();
        taken.map(|()| self.pending.len())
    }

    /// What the record there is; `None`: part of one.
    #[inline]
    fn cut(&mut self, tag: u8, start: usize, end: usize) -> Result<Option<Arrival>, &'static str> {
        let frames_max = self.limits.frames_max;
        if tag == PART || !self.parts.is_empty() {
            return self.join(tag, start, end);
        }
        self.check(end - start)?;
        self.page.freeze();
        let Page { bytes: Memory::Frozen(bytes), .. } = &self.page else {
            return Err("an unfrozen page");
        };
        let frame =
            |range: Range<usize>| self.page.cut(bytes, start + range.start..start + range.end);
        some(record::read(tag, &bytes[start..end], frames_max, frame))
    }

    /// A record that comes in parts.
    #[cold]
    fn join(&mut self, tag: u8, start: usize, end: usize) -> Result<Option<Arrival>, &'static str> {
        self.check(self.parts.len() + (end - start))?;
        self.parts.extend_from_slice(&self.page.bytes()[start..end]);
        if tag == PART {
            return Ok(None);
        }
        let whole = Bytes::from(std::mem::take(&mut self.parts));
        let frame = |range| Frame::from(whole.slice(range));
        some(record::read(tag, &whole, self.limits.frames_max, frame))
    }

    /// Whether a message may be so long.
    fn check(&self, len: usize) -> Result<(), &'static str> {
        let Limits { frame_bytes_max, message_bytes_max, .. } = &self.limits;
        let max = frame_bytes_max.or(*message_bytes_max).unwrap_or(u64::MAX);
        if len as u64 > max { Err("a message longer than is taken here") } else { Ok(()) }
    }
}

fn some(arrival: Option<Arrival>) -> Result<Option<Arrival>, &'static str> {
    arrival.map(Some).ok_or("a record that cannot be read")
}

impl Page {
    /// To be filled anew: the same memory, unless slices of it are in use or it has grown long.
    fn open(&mut self) -> &mut Vec<u8> {
        let bytes = match std::mem::replace(&mut self.bytes, Memory::Open(Vec::new())) {
            Memory::Open(bytes) => bytes,
            Memory::Frozen(mut bytes) if bytes.is_unique() && self.capacity <= PAGE_BYTES => {
                // Emptied first, so that nothing is moved to the front.
                bytes.truncate(0);
                Vec::from(bytes)
            }
            Memory::Frozen(_) => Vec::new(),
        };
        self.bytes = Memory::Open(bytes);
        let Memory::Open(bytes) = &mut self.bytes else { unreachable!("it has just been made so") };
        bytes.clear();
        if bytes.capacity() < PAGE_BYTES || bytes.capacity() > 2 * PAGE_BYTES {
            *bytes = Vec::with_capacity(PAGE_BYTES);
        }
        bytes
    }

    fn freeze(&mut self) {
        if let Memory::Open(bytes) = &mut self.bytes {
            self.capacity = bytes.capacity();
            self.bytes = Memory::Frozen(Bytes::from(std::mem::take(bytes)));
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Memory::Open(bytes) => bytes,
            Memory::Frozen(bytes) => bytes,
        }
    }

    /// A frame of a part of it.
    #[inline]
    fn frame(&mut self, range: Range<usize>) -> Frame {
        if range.len() > Frame::INLINE_MAX {
            self.freeze();
        }
        match &self.bytes {
            Memory::Frozen(bytes) => self.cut(bytes, range),
            Memory::Open(bytes) => Frame::copy_from_slice(&bytes[range]),
        }
    }

    /// As [`Page::frame`], of a page that is frozen.
    #[inline]
    fn cut(&self, bytes: &Bytes, range: Range<usize>) -> Frame {
        let dense = bytes.len() >= self.capacity / 2;
        if range.len() > Frame::INLINE_MAX && (dense || range.len() >= self.capacity / 8) {
            Frame::from(bytes.slice(range))
        } else {
            Frame::copy_from_slice(&bytes[range])
        }
    }
}
