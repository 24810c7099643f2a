//! The requests that await their responses: a table whose places travel in the records' tags.

use std::fmt;

use super::OUTSTANDING_MAX;

/// A request of a [`Client`](super::Client). Counts up from 0 and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: RequestId,
    /// Where its record ends in the ring.
    end: u64,
}

/// The table.
#[derive(Debug)]
pub(super) struct Outstanding {
    places: Vec<Option<Entry>>,
    free: Vec<u16>,
    next: u64,
    /// The furthest end of a request that was answered.
    answered: u64,
}

impl Outstanding {
    /// `max` is cut to what a tag can hold.
    pub(super) fn new(max: usize) -> Outstanding {
        let max = max.clamp(1, OUTSTANDING_MAX);
        let places = 0..u16::try_from(max).expect("no more than a tag can hold");
        Outstanding { places: vec![None; max], free: places.rev().collect(), next: 0, answered: 0 }
    }

    pub(super) fn max(&self) -> usize {
        self.places.len()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The place that the next request will have.
    #[inline]
    pub(super) fn free(&self) -> Option<u16> {
        self.free.last().copied()
    }

    /// A request was sent from that place, in a record that ends at `end`.
    #[inline]
    pub(super) fn sent(&mut self, end: u64) -> RequestId {
        let place = self.free.pop().expect("who sends has asked for a place");
        let id = RequestId(self.next);
        self.next += 1;
        self.places[usize::from(place)] = Some(Entry { id, end });
        id
    }

    /// Which request is at this place.
    #[inline]
    pub(super) fn at(&self, place: u16) -> Option<RequestId> {
        let entry = self.places.get(usize::from(place)).copied().flatten()?;
        Some(entry.id)
    }

    /// The request at this place has all of its response: which that was.
    #[inline]
    pub(super) fn answered(&mut self, place: u16) -> Option<RequestId> {
        let entry = self.places.get_mut(usize::from(place))?.take()?;
        self.answered = self.answered.max(entry.end);
        self.free.push(place);
        Some(entry.id)
    }

    /// Whether a server can have stopped at `head`: where it began, or where a record ends.
    pub(super) fn could_stop_at(&self, head: u64) -> bool {
        let ends = self.places.iter().flatten().map(|entry| entry.end);
        head >= self.answered && (head == self.answered || ends.into_iter().any(|end| end == head))
    }

    /// Removes the requests that a server had taken which stopped at `head`, and returns them, the
    /// oldest first.
    pub(super) fn taken(&mut self, head: u64) -> Vec<RequestId> {
        // The next server begins there.
        self.answered = self.answered.max(head);
        self.remove(|entry| entry.end <= head)
    }

    /// Removes and returns all.
    pub(super) fn clear(&mut self) -> Vec<RequestId> {
        self.remove(|_| true)
    }

    fn remove(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<RequestId> {
        let mut removed = Vec::new();
        for (place, entry) in (0..).zip(&mut self.places) {
            if entry.as_ref().is_some_and(&which) {
                removed.extend(entry.take().map(|entry| entry.id));
                self.free.push(place);
            }
        }
        removed.sort_unstable();
        removed
    }

    /// Removes and returns all: the ring begins anew.
    pub(super) fn restart(&mut self) -> Vec<RequestId> {
        self.answered = 0;
        self.clear()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_by_one_request_at_a_time() {
        let mut table = Outstanding::new(2);
        let first = table.free().unwrap();
        let one = table.sent(16);
        let second = table.free().unwrap();
        let two = table.sent(32);
        assert!(first != second && table.free().is_none() && table.len() == 2);
        assert_eq!((table.at(first), table.at(second)), (Some(one), Some(two)));
        table.answered(first);
        assert_eq!((table.at(first), table.free()), (None, Some(first)));
        assert_eq!(table.at(7), None);
    }

    #[test]
    fn what_ends_at_the_head_or_before_was_taken() {
        let mut table = Outstanding::new(8);
        let ids: Vec<_> = (1..=4).map(|n| table.sent(n * 16)).collect();
        assert!(table.could_stop_at(32) && table.could_stop_at(0) && !table.could_stop_at(24));
        assert_eq!(table.taken(32), &ids[..2]);
        assert!(table.could_stop_at(32) && !table.could_stop_at(0));
        assert_eq!(table.clear(), &ids[2..]);
        assert_eq!(table.len(), 0);
    }
}
