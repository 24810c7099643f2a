//! The lock under which senders and receivers meet.
//!
//! ```text
//!   offers   senders that wait, oldest first: ticket, message, waker
//!   takers   threads blocked in `recv`, oldest first: ticket, waker
//!   handed   messages on their way to a taker that was taken off the list: ticket, message
//! ```
//!
//! Never are there offers and takers at once: whoever comes second finds the first. A ticket that
//! is in no list any more is one whose owner was served. Wakers are called outside of the lock.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::error::{TryRecvError, TrySendError};
use crate::padded::Padded;
use crate::stats::Stats;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use crate::wait::Waiters;

/// One channel.
pub(super) struct Meeting<T> {
    table: Mutex<Table<T>>,
    /// Counts what changed at the table, for those who spin: they lock when it moved.
    moves: Padded<AtomicUsize>,
    /// Receivers that wait for an offer without being takers: tasks, and selecting threads.
    visitors: Waiters,
}

struct Table<T> {
    closed: bool,
    next_ticket: u64,
    offers: VecDeque<Offer<T>>,
    takers: VecDeque<Taker>,
    handed: Vec<(u64, T)>,
    stats: Stats,
}

struct Offer<T> {
    ticket: u64,
    message: T,
    waker: Waker,
}

struct Taker {
    ticket: u64,
    waker: Waker,
}

/// Nobody will take it; here is the message.
pub(super) struct Refused<T>(pub(super) T);

/// What became of a message that was brought to the table.
pub(super) enum Brought {
    Handed,
    Offered(u64),
}

/// No message will come.
pub(super) struct Closed;

impl<T> Meeting<T> {
    pub(super) fn new() -> Meeting<T> {
        let table = Table {
            closed: false,
            next_ticket: 0,
            offers: VecDeque::new(),
            takers: VecDeque::new(),
            handed: Vec::new(),
            stats: Stats::default(),
        };
        let moves = Padded(AtomicUsize::new(0));
        Meeting { table: Mutex::new(table), moves, visitors: Waiters::new() }
    }

    pub(super) fn visitors(&self) -> &Waiters {
        &self.visitors
    }

    pub(super) fn moves(&self) -> usize {
        // ORDERING: relaxed: who sees it move takes the lock for the rest.
        self.moves.load(Ordering::Relaxed)
    }

    /// Says that something changed. Under the lock, so that a plain store will do.
    fn moved(&self, _table: &MutexGuard<'_, Table<T>>) {
        self.moves.store(self.moves().wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.table).closed
    }

    pub(super) fn is_ready(&self) -> bool {
        let table = lock(&self.table);
        table.closed || !table.offers.is_empty()
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = lock(&self.table).stats;
        stats.receiver_wakes += self.visitors.wakes();
        stats
    }

    /// Sender: hands the message to the oldest taker, if there is one.
    pub(super) fn try_hand(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut table = lock(&self.table);
        if table.closed {
            return Err(TrySendError::Closed(message));
        }
        let Some(taker) = table.takers.pop_front() else {
            table.stats.full_stalls += 1;
            return Err(TrySendError::Full(message));
        };
        table.handed.push((taker.ticket, message));
        table.stats.receiver_wakes += 1;
        table.count_one();
        self.moved(&table);
        drop(table);
        taker.waker.wake();
        Ok(())
    }

    /// Sender: hands the message over or offers it.
    pub(super) fn bring(&self, message: T, waker: &Waker) -> Result<Brought, Refused<T>> {
        let message = match self.try_hand(message) {
            Ok(()) => return Ok(Brought::Handed),
            Err(TrySendError::Closed(message)) => return Err(Refused(message)),
            Err(TrySendError::Full(message)) => message,
        };
        let waker = waker.clone();
        let mut table = lock(&self.table);
        if table.closed {
            return Err(Refused(message));
        }
        if !table.takers.is_empty() {
            // One came between the two locks.
            drop(table);
            return self.bring(message, &waker);
        }
        let ticket = table.ticket();
        table.offers.push_back(Offer { ticket, message, waker });
        drop(table);
        self.visitors.notify(1);
        Ok(Brought::Offered(ticket))
    }

    /// Sender: whether its offer was taken. Refused: the channel was closed before it was.
    pub(super) fn is_taken(&self, ticket: u64, waker: &Waker) -> Result<Poll<()>, Refused<T>> {
        let waker = waker.clone();
        let mut table = lock(&self.table);
        let Some(index) = table.offer(ticket) else { return Ok(Poll::Ready(())) };
        if table.closed {
            let offer = table.offers.remove(index).expect("found above");
            drop(table);
            return Err(Refused(offer.message));
        }
        let old = std::mem::replace(&mut table.offers[index].waker, waker);
        drop(table);
        drop(old);
        Ok(Poll::Pending)
    }

    /// Sender: takes its offer back. `None`: it was taken.
    pub(super) fn withdraw(&self, ticket: u64) -> Option<T> {
        let mut table = lock(&self.table);
        let index = table.offer(ticket)?;
        let offer = table.offers.remove(index).expect("found above");
        drop(table);
        Some(offer.message)
    }

    /// Receiver: takes the oldest offer.
    pub(super) fn try_take(&self) -> Result<T, TryRecvError> {
        let mut table = lock(&self.table);
        if table.closed {
            return Err(TryRecvError::Closed);
        }
        let Some(offer) = table.offers.pop_front() else { return Err(TryRecvError::Empty) };
        table.stats.sender_wakes += 1;
        table.count_one();
        self.moved(&table);
        drop(table);
        offer.waker.wake();
        Ok(offer.message)
    }

    /// Receiver, about to block: becomes a taker. The caller must look for an offer after this and
    /// before it sleeps; `Err`: it need not, here is one, or the channel is closed.
    pub(super) fn sit_down(&self, waker: &Waker) -> Result<u64, Result<T, Closed>> {
        let waker = waker.clone();
        loop {
            match self.try_take() {
                Ok(message) => return Err(Ok(message)),
                Err(TryRecvError::Closed) => return Err(Err(Closed)),
                Err(TryRecvError::Empty) => {}
            }
            let mut table = lock(&self.table);
            if table.closed || !table.offers.is_empty() {
                // Changed between the two locks.
                continue;
            }
            let ticket = table.ticket();
            table.takers.push_back(Taker { ticket, waker });
            return Ok(ticket);
        }
    }

    /// Taker: whether it was handed a message.
    pub(super) fn is_served(&self, ticket: u64) -> Poll<Result<T, Closed>> {
        let mut table = lock(&self.table);
        if let Some(message) = table.handed_to(ticket) {
            return Poll::Ready(Ok(message));
        }
        if table.closed { Poll::Ready(Err(Closed)) } else { Poll::Pending }
    }

    /// Taker: gets up. Some: it had been handed this.
    pub(super) fn get_up(&self, ticket: u64) -> Option<T> {
        let mut table = lock(&self.table);
        let taker = table.takers.iter().position(|taker| taker.ticket == ticket);
        match taker {
            Some(index) => {
                let taker = table.takers.remove(index);
                drop(table);
                drop(taker);
                None
            }
            None => table.handed_to(ticket),
        }
    }

    /// Nobody sends or takes any more. Offers stay for their senders to take back.
    pub(super) fn close(&self) {
        let mut table = lock(&self.table);
        if std::mem::replace(&mut table.closed, true) {
            return;
        }
        let takers = std::mem::take(&mut table.takers);
        let senders: Vec<Waker> = table.offers.iter().map(|offer| offer.waker.clone()).collect();
        self.moved(&table);
        drop(table);
        takers.into_iter().for_each(|taker| taker.waker.wake());
        senders.into_iter().for_each(Waker::wake);
        self.visitors.notify(usize::MAX);
    }
}

impl<T> Table<T> {
    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Where an offer stands. Tickets go up along the list.
    fn offer(&self, ticket: u64) -> Option<usize> {
        self.offers.binary_search_by_key(&ticket, |offer| offer.ticket).ok()
    }

    fn handed_to(&mut self, ticket: u64) -> Option<T> {
        let index = self.handed.iter().position(|(to, _)| *to == ticket)?;
        Some(self.handed.swap_remove(index).1)
    }

    fn count_one(&mut self) {
        self.stats.sent += 1;
        self.stats.received += 1;
    }
}
