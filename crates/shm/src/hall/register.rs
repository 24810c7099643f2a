//! Who is connected to an endpoint, by slot, and what of it may be looked at from outside.
//!
//! It stands beside the connections, so that a survey never waits for the thread that has them.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaski_ring::region::Observer;

use crate::admit::Peer;
use crate::link::Ends;
use crate::memory::RingMemory;
use crate::survey;
use crate::wire::{Refusal, Refused};

/// Slots in use, and what may be looked at of them.
#[derive(Default)]
pub(crate) struct Register {
    slots: Mutex<Slots>,
    /// Peers that were cut off or left, ever.
    departed: AtomicU32,
}

#[derive(Default)]
struct Slots {
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
}

/// A slot in use.
struct Row {
    peer: Peer,
    seen: Option<Seen>,
}

/// What of a connection can be seen from outside.
pub(crate) struct Seen {
    outgoing: Observer<RingMemory>,
    incoming: Observer<RingMemory>,
    /// Bytes of segments for large payloads.
    large: Arc<AtomicUsize>,
}

impl Register {
    /// A slot for a peer, if fewer than `peers_max` are in use.
    pub(crate) fn take(&self, peer: &Peer, peers_max: usize) -> Result<u32, Refused> {
        let mut slots = self.slots();
        let row = Some(Row { peer: peer.clone(), seen: None });
        if let Some(slot) = slots.free.pop() {
            slots.rows[slot as usize] = row;
            return Ok(slot);
        }
        if slots.rows.len() >= peers_max {
            let full = format!("{peers_max} peers are connected already");
            return Err(Refused::new(Refusal::Busy, full));
        }
        slots.rows.push(row);
        Ok((slots.rows.len() - 1) as u32)
    }

    /// What may be looked at of the peer in a slot.
    pub(crate) fn show(&self, slot: u32, seen: Option<Seen>) {
        if let Some(row) = &mut self.slots().rows[slot as usize] {
            row.seen = seen;
        }
    }

    /// The slot can be given to another.
    pub(crate) fn free(&self, slot: u32) {
        let mut slots = self.slots();
        slots.rows[slot as usize] = None;
        slots.free.push(slot);
        self.departed.fetch_add(1, Ordering::Relaxed);
    }

    /// Peers that left, ever.
    pub(crate) fn departed(&self) -> u64 {
        self.departed.load(Ordering::Relaxed).into()
    }

    /// Everyone, by slot.
    pub(crate) fn survey(&self) -> Vec<survey::Connection> {
        let slots = self.slots();
        let rows = (0..).zip(&slots.rows);
        rows.filter_map(|(slot, row)| Some(row.as_ref()?.survey(slot))).collect()
    }

    /// A thread that panicked while it held the lock left a whole value.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The rings of a connection, and the gauge of its lender.
    pub(crate) fn of(ends: &Ends, large: Arc<AtomicUsize>) -> Option<Seen> {
        let (outgoing, incoming) = ends.observe().ok()?;
        Some(Seen { outgoing, incoming, large })
    }
}

impl Row {
    fn survey(&self, slot: u64) -> survey::Connection {
        let ring = |observer: &Observer<RingMemory>| {
            survey::Ring::new(observer.layout().capacity(), &observer.stats())
        };
        let seen = self.seen.as_ref();
        survey::Connection {
            slot,
            pid: self.peer.pid.into(),
            uid: self.peer.uid.into(),
            outgoing: seen.map_or_else(Default::default, |seen| ring(&seen.outgoing)),
            incoming: seen.map_or_else(Default::default, |seen| ring(&seen.incoming)),
            large_bytes: seen.map_or(0, |seen| seen.large.load(Ordering::Relaxed) as u64),
            ..survey::Connection::default()
        }
    }
}
