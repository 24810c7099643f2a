//! The page that is read into and taken from, and what becomes of it.
//!
//! - `frozen` is empty or the page being taken from; then `open` is empty.
//! - `at` is never beyond the end of the page being taken from.
//! - A page of `open` has no slices outside, so its bytes may be moved within it.

use bytes::Bytes;

use crate::frame::{Flags, HEADER_BYTES_MAX};
use crate::limits::PageSize;
use crate::message::Frame;

/// A page in which less than this part is filled is not frozen.
const SPARSE: usize = 8;

/// How many reads in a row have to use less than an eighth of a page before pages get smaller.
const QUIET_READS: u32 = 32;

pub(super) struct Pages {
    open: Vec<u8>,
    frozen: Bytes,
    at: usize,
    /// Pages of which slices may be out; a unique one can be read into again.
    retired: [Bytes; 2],
    /// The size of the next page, and its bounds.
    size: usize,
    bounds: (usize, usize),
    quiet: u32,
    /// How much was in the page, and how much room, when room was last asked for.
    offered: (usize, usize),
}

impl Pages {
    pub(super) fn new(size: PageSize) -> Self {
        let bounds = size.range();
        Pages {
            open: Vec::new(),
            frozen: Bytes::new(),
            at: 0,
            retired: [Bytes::new(), Bytes::new()],
            size: bounds.0,
            bounds,
            quiet: 0,
            offered: (0, 0),
        }
    }

    /// What is to be taken.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        &self.page()[self.at..]
    }

    #[inline]
    fn page(&self) -> &[u8] {
        if self.frozen.is_empty() { &self.open } else { &self.frozen }
    }

    /// Takes the next frame if it has no more flags than `flags` names, at most `max` bytes, and
    /// is all here; with its flags.
    #[inline]
    pub(super) fn take_frame(&mut self, flags: u8, max: usize) -> Option<(u8, Frame)> {
        let ahead = self.ahead();
        let (&octet, rest) = ahead.split_first()?;
        if octet & !flags != 0 {
            return None;
        }
        let (head, len) = if octet & Flags::LONG == 0 {
            (2, usize::from(*rest.first()?))
        } else {
            (HEADER_BYTES_MAX, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?)
        };
        let body = &ahead[head..];
        if len > max || len > body.len() {
            return None;
        }
        let frame = match body.first_chunk() {
            Some(start) if len <= Frame::INLINE_MAX => Frame::from_start(start, len as u8),
            _ => self.cut(head, len),
        };
        self.at += head + len;
        Some((octet, frame))
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// A frame of the `len` bytes that begin `from` bytes ahead.
    pub(super) fn cut(&mut self, from: usize, len: usize) -> Frame {
        let start = self.at + from;
        let range = start..start + len;
        if len <= Frame::INLINE_MAX {
            return Frame::copy_from_slice(&self.page()[range]);
        }
        if self.frozen.is_empty() {
            if self.open.len() < self.open.capacity() / SPARSE {
                return Frame::from_long(Bytes::copy_from_slice(&self.open[range]));
            }
            self.frozen = Bytes::from(std::mem::take(&mut self.open));
        }
        Frame::from_long(self.frozen.slice(range))
    }

    /// Whether a frame of so many bytes, its head included, is to be read into a page.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        bytes <= self.size / 2
    }

    /// Takes all there is but the first `head` bytes, which are passed over.
    pub(super) fn take_all(&mut self, head: usize) -> &[u8] {
        // Frames that long will come again.
        self.grow(self.bounds.1);
        let start = self.at + head;
        self.at = self.page().len();
        &self.page()[start..]
    }

    /// Appends bytes that were read beyond the end of a frame.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.room(bytes.len()).extend_from_slice(bytes);
        }
    }

    /// The page to read into, with room for the rest of the next `whole` bytes at least.
    pub(super) fn room(&mut self, whole: usize) -> &mut Vec<u8> {
        self.learn();
        if !self.frozen.is_empty() {
            self.turn();
        } else if self.at == self.open.len() {
            self.open.clear();
            self.at = 0;
            if self.open.capacity() != self.size {
                self.open = self.fresh();
            }
        }
        let missing = whole.saturating_sub(self.open.len() - self.at);
        if self.spare() < missing.max(self.size / 4) {
            self.open.drain(..self.at);
            self.at = 0;
            if self.spare() < missing.max(1) {
                self.open.reserve_exact(missing.max(self.size));
            }
        }
        self.offered = (self.open.len(), self.spare());
        &mut self.open
    }

    /// Gives back every page that is not in use.
    pub(super) fn rest(&mut self) {
        self.retired = [Bytes::new(), Bytes::new()];
        if self.ahead().is_empty() {
            self.open = Vec::new();
            self.frozen = Bytes::new();
            self.at = 0;
            self.offered = (0, 0);
            self.size = self.bounds.0;
        }
    }

    /// How many bytes of memory it holds, those of slices that are out not counted.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let retired = self.retired.iter().filter(|page| !page.is_empty()).count();
        self.open.capacity() + self.frozen.len() + retired * self.size
    }

    fn spare(&self) -> usize {
        self.open.capacity() - self.open.len()
    }

    /// Goes on to another page, with what is left of the frozen one.
    fn turn(&mut self) {
        let mut spent = std::mem::take(&mut self.frozen);
        self.open = self.fresh();
        self.open.extend_from_slice(&spent[self.at..]);
        self.at = 0;
        // One byte stays: of none, `Bytes` would keep no memory.
        spent.truncate(1);
        let [first, second] = &mut self.retired;
        if !first.is_empty() {
            std::mem::swap(first, second);
        }
        *first = spent;
    }

    /// An empty page of the size that is due: a retired one that nobody holds, or a new one.
    fn fresh(&mut self) -> Vec<u8> {
        for retired in &mut self.retired {
            if retired.is_unique() {
                let mut page = Vec::from(std::mem::take(retired));
                if page.capacity() == self.size {
                    page.clear();
                    return page;
                }
            }
        }
        Vec::with_capacity(self.size)
    }

    /// Fits the size of pages to the last read.
    fn learn(&mut self) {
        let (before, room) = std::mem::take(&mut self.offered);
        let read = self.page().len().saturating_sub(before);
        if room == 0 || read == 0 {
            return;
        }
        if read >= room {
            self.grow(PageSize::filled_max(self.bounds));
        } else if read < self.size / SPARSE {
            self.quiet += 1;
            if self.quiet >= QUIET_READS {
                self.quiet = 0;
                self.size = (self.size / 2).max(self.bounds.0);
            }
        } else {
            self.quiet = 0;
        }
    }

    /// Doubles the size of pages, up to `max` if they are not larger already.
    fn grow(&mut self, max: usize) {
        self.quiet = 0;
        self.size = self.size.max((self.size * 2).min(max));
    }
}
