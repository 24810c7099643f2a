//! The messages a worker took from its queue at once.

use std::fmt;
use std::sync::Arc;

use crate::shard::{Entry, Orders, Shard, add};

/// The messages a worker took from its queue at once, in their order.
///
/// As an iterator it gives one after the other. It may end early: an urgent message or an order
/// goes before the next one, and then `handle_batch` is called again with what was left.
///
/// **Counting.** A message counts as handled when the next one is taken or the call returns. If the
/// call panics, the message taken last counts as lost, and all that were not taken are still there.
pub struct Batch<M> {
    entries: Vec<Entry<M>>,
    /// Those before it were taken.
    next: usize,
    /// Taken, and neither handled nor lost yet.
    open: u64,
    interrupted: bool,
    orders: Arc<Orders>,
    shard: Arc<Shard<M>>,
}

impl<M> Batch<M> {
    pub(crate) fn new(shard: Arc<Shard<M>>, capacity: usize) -> Batch<M> {
        let entries = Vec::with_capacity(capacity);
        let orders = Arc::clone(&shard.orders);
        Batch { entries, next: 0, open: 0, interrupted: false, orders, shard }
    }

    /// The messages that were not taken yet.
    pub fn iter(&self) -> impl Iterator<Item = &M> {
        self.entries[self.next..].iter().flatten()
    }

    /// How many were not taken yet.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether all were taken.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Takes all of them together, and does not end early. They count as handled when
    /// `handle_batch` returns, and all as lost if it panics: for messages that succeed or fail as
    /// one.
    pub fn drain(&mut self) -> impl Iterator<Item = M> + '_ {
        self.close_open();
        self.open = self.len() as u64;
        let from = std::mem::replace(&mut self.next, self.entries.len());
        self.entries[from..].iter_mut().filter_map(Option::take)
    }

    /// Where the queue's entries are put; it is empty.
    pub(crate) fn entries(&mut self) -> &mut Vec<Entry<M>> {
        debug_assert!(self.entries.is_empty(), "the last batch is not done");
        &mut self.entries
    }

    /// Counts what was put in.
    pub(crate) fn received(&self) {
        let count = self.entries.iter().filter(|entry| entry.is_some()).count();
        add(&self.shard.counters.received, count as u64);
    }

    /// Whether the last call saw the batch end early.
    pub(crate) fn take_interrupted(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// Those taken were handled.
    #[inline(always)]
    pub(crate) fn close_open(&mut self) {
        if self.open != 0 {
            add(&self.shard.counters.handled, std::mem::take(&mut self.open));
        }
    }

    /// Those taken last are lost.
    pub(crate) fn lose_open(&mut self) {
        self.interrupted = false;
        add(&self.shard.counters.lost, std::mem::take(&mut self.open));
    }

    /// The next message, whatever is ordered.
    #[inline(always)]
    pub(crate) fn take_next(&mut self) -> Option<M> {
        while let Some(entry) = self.entries.get_mut(self.next) {
            self.next += 1;
            if let Some(message) = entry.take() {
                self.open = 1;
                return Some(message);
            }
        }
        None
    }

    /// Makes it ready to be filled again; all were taken. Those that were drained and never looked
    /// at are dropped here: if a drop panics, the next call goes on behind it.
    pub(crate) fn clear(&mut self) {
        if std::mem::needs_drop::<M>() {
            self.entries.iter_mut().for_each(|entry| drop(entry.take()));
        }
        self.entries.clear();
        self.next = 0;
    }
}

impl<M> Iterator for Batch<M> {
    type Item = M;

    #[inline(always)]
    fn next(&mut self) -> Option<M> {
        self.close_open();
        if self.orders.any() {
            self.interrupted = true;
            return None;
        }
        self.take_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.entries.len() - self.next))
    }
}

impl<M> fmt::Debug for Batch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}
