//! What others may look at of a publisher: who is connected, and how far each has come.
//!
//! It stands beside the stage, so that a survey never waits for the publisher's thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaski_ring::region::broadcast::{Stats, SubscriberObserver};

use super::Policy;
use crate::door::Session;
use crate::hall::board::Page;
use crate::survey;

/// The subscribers of a publisher, by slot.
#[derive(Default)]
pub(super) struct Register {
    rows: Mutex<Vec<Option<Arc<Row>>>>,
    /// Subscribers that left or were cut off, ever.
    departed: AtomicU64,
}

/// A subscriber.
pub(super) struct Row {
    session: Session,
    policy: Policy,
    page: SubscriberObserver<Page>,
    /// The number of its first message, and the payload bytes published before it.
    first: u64,
    bytes_before: u64,
    wakes: AtomicU64,
    /// It has been told that it has a seat.
    welcome: AtomicBool,
}

/// How far a subscriber is behind, as far as its own counters can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    /// Messages lost, whether or not it has found out.
    pub(super) lost: u64,
    /// Messages that it can still read.
    pub(super) unread: u64,
    /// Messages that it has neither read nor found out to be lost.
    pub(super) untaken: u64,
}

impl Register {
    /// Writes who has a slot, or that nobody has it any more.
    pub(super) fn set(&self, slot: usize, row: Option<Arc<Row>>) {
        let mut rows = self.rows();
        if row.is_none() {
            self.departed.fetch_add(1, Ordering::Relaxed);
        }
        if rows.len() <= slot {
            rows.resize_with(slot + 1, || None);
        }
        rows[slot] = row;
    }

    pub(super) fn departed(&self) -> u64 {
        self.departed.load(Ordering::Relaxed)
    }

    pub(super) fn survey(&self, ring: &Stats, capacity: usize) -> Vec<survey::Connection> {
        let rows = self.rows();
        let taken = (0..).zip(rows.iter()).filter_map(|(slot, row)| Some((slot, row.as_ref()?)));
        taken.map(|(slot, row)| row.survey(slot, ring, capacity)).collect()
    }

    /// A thread that panicked while it held the lock left a whole value.
    fn rows(&self) -> MutexGuard<'_, Vec<Option<Arc<Row>>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    pub(super) fn new(
        session: &Session,
        policy: Policy,
        page: SubscriberObserver<Page>,
        first: u64,
        bytes_before: u64,
    ) -> Row {
        Row {
            session: session.clone(),
            policy,
            page,
            first,
            bytes_before,
            wakes: AtomicU64::new(0),
            welcome: AtomicBool::new(false),
        }
    }

    /// The welcome has been sent.
    pub(super) fn welcomed(&self) {
        // ORDERING: release, pairs with `is_welcome`: what is sent after that comes after it.
        self.welcome.store(true, Ordering::Release);
    }

    pub(super) fn is_welcome(&self) -> bool {
        self.welcome.load(Ordering::Acquire)
    }

    /// It was rung for. One thread counts.
    pub(super) fn woken(&self) {
        self.wakes.store(self.wakes.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn behind(&self, ring: &Stats) -> Behind {
        let page = self.page.stats();
        let told = self.first.saturating_add(page.received).saturating_add(page.lost);
        behind(told, page.lost, ring)
    }

    fn survey(&self, slot: u64, ring: &Stats, capacity: usize) -> survey::Connection {
        let (peer, page, behind) = (self.session.peer(), self.page.stats(), self.behind(ring));
        let capacity = capacity as u64;
        let outgoing = survey::Ring {
            capacity,
            fill: ring.tail.saturating_sub(page.cursor).min(capacity),
            depth: behind.unread,
            sent: ring.records.saturating_sub(self.first),
            sent_bytes: ring.bytes.saturating_sub(self.bytes_before),
            received: page.received,
            received_bytes: page.bytes,
            stalls: ring.full_stalls,
            receiver_wakes: self.wakes.load(Ordering::Relaxed),
            receiver_sleeps: page.sleeps,
            sender_sleeps: ring.sleeps && self.policy == Policy::Block,
            ..survey::Ring::default()
        };
        survey::Connection {
            slot,
            pid: peer.pid.into(),
            uid: peer.uid.into(),
            outgoing,
            drops: behind.lost,
            dead: self.session.is_closed(),
            ..survey::Connection::default()
        }
    }
}

/// Of a subscriber that has read, or knows to have lost, all messages before the number `told`.
fn behind(told: u64, lost: u64, ring: &Stats) -> Behind {
    // What was written over and it has not come to is lost, though it has not noticed.
    let unnoticed = ring.overwritten.saturating_sub(told);
    let untaken = ring.records.saturating_sub(told);
    Behind {
        lost: lost.saturating_add(unnoticed),
        unread: untaken.saturating_sub(unnoticed),
        untaken,
    }
}
