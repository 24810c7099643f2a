//! Many records at once: one buffer, one publication of the head, one question whether to wake.

use std::ops::Index;

use super::{Doorbell, Incoming, LARGE, Link, REFERENCE};
use crate::error::{Corrupt, Error};
use crate::step::step;

/// A batch that has reached so many bytes takes no further payload: it should still be in the
/// nearest cache when it is read.
const BYTES_ENOUGH: usize = 16 * 1024;

/// Payloads that were received together, one behind the other in one buffer.
///
/// Used again and again it allocates nothing once it has grown.
///
/// ```
/// let batch = chaski_shm::Batch::new();
/// assert_eq!(batch.len(), 0);
/// for payload in &batch {
///     println!("{} bytes", payload.len());
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each payload ends.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// How many payloads it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Empties it, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The payload of this index, in the order of arrival.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// All payloads, in the order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    /// Whether it is large enough.
    #[inline]
    pub(crate) fn is_ample(&self, max: usize) -> bool {
        self.ends.len() >= max || self.bytes.len() >= BYTES_ENOUGH
    }
}

impl Index<usize> for Batch {
    type Output = [u8];

    /// # Panics
    ///
    /// If there is no such payload.
    fn index(&self, at: usize) -> &[u8] {
        self.get(at).expect("an index below the length")
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a [u8];
    type IntoIter = Box<dyn ExactSizeIterator<Item = &'a [u8]> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl Link {
    /// Takes the records that there are, all of the tag 0, until the batch holds `max` of them or
    /// many bytes. Their space is given back before this returns, so that none is taken twice.
    ///
    /// On an error the batch holds what was taken before, and the connection is of no more use.
    pub(crate) fn recv_many(&mut self, max: usize, batch: &mut Batch) -> Result<(), Error> {
        self.incoming.recv_many(max, batch, &mut self.doorbell)
    }
}

impl Incoming {
    /// As [`Link::recv_many`].
    pub(crate) fn recv_many(
        &mut self,
        max: usize,
        batch: &mut Batch,
        doorbell: &mut Doorbell,
    ) -> Result<(), Error> {
        let taken = self.fill(max, batch);
        self.rx.publish();
        step("link.taken_many");
        self.ring_for_room(doorbell);
        taken
    }

    #[inline]
    fn fill(&mut self, max: usize, batch: &mut Batch) -> Result<(), Error> {
        while !batch.is_ample(max) {
            match self.rx.try_append(&mut batch.bytes) {
                Ok(None) => break,
                Ok(Some(record)) if record.tag == 0 => batch.ends.push(batch.bytes.len()),
                Ok(Some(record)) => self.add_large(record.tag, record.len, batch)?,
                Err(error) => {
                    self.unfit(error);
                    return Err(self.corrupt().map_or(Error::Closed, Error::Corrupt));
                }
            }
        }
        Ok(())
    }

    /// Adds the payload that the reference at the end of the batch leads to, in its stead.
    #[cold]
    fn add_large(&mut self, tag: u16, len: usize, batch: &mut Batch) -> Result<(), Error> {
        let start = batch.bytes.len() - len;
        let reference = <[u8; REFERENCE]>::try_from(&batch.bytes[start..]);
        batch.bytes.truncate(start);
        if tag != LARGE {
            return Err(self.spoilt(Corrupt::Tag(tag)));
        }
        let Ok(reference) = reference else { return Err(self.spoilt(Corrupt::Reference)) };
        // Taken before it is given back: in the other order a successor could find the record and
        // another payload behind it.
        self.rx.publish();
        step("link.many_published");
        let (limit, bytes) = (self.payload_max, &mut batch.bytes);
        let (session, ledger) = (&self.session, &self.my_ledger);
        match self.borrower.append_to(&reference, session, ledger, bytes, limit) {
            Ok(_) => batch.ends.push(batch.bytes.len()),
            Err(_) => return Err(self.spoilt(Corrupt::Reference)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_lie_one_behind_the_other() {
        let batch = Batch { bytes: b"onethree".to_vec(), ends: vec![3, 3, 8] };
        let payloads: Vec<_> = batch.iter().collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"three"]);
        assert_eq!((&batch).into_iter().len(), batch.len());
        assert_eq!((&batch[0], &batch[1], &batch[2]), (&b"one"[..], &b""[..], &b"three"[..]));
        assert_eq!(batch.get(3), None);
    }
}
