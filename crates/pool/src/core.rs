//! What a pool and its handles share: the workers there are, and how one is picked.
//!
//! The workers are a [`View`], replaced whole when one joins or leaves. A handle keeps the view it
//! was made with and compares one number, on a line that is hardly ever written, before each send;
//! only after a change does it load the newest view.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use chaski_ring::Padded;

use crate::error::Refusal;
use crate::partition::{Partitioner, Turn, WorkerId, Workers};
use crate::policy::Policy;
use crate::shard::{Shard, Status};

pub(crate) struct Core<K: ?Sized, M> {
    newest: ArcSwap<View<M>>,
    /// That of `newest`.
    version: Padded<AtomicU64>,
    pub(crate) partitioner: Box<dyn Partitioner<K>>,
    pub(crate) policy: Policy,
}

/// The workers that messages can go to, at one time.
pub(crate) struct View<M> {
    version: u64,
    open: bool,
    /// Ascending.
    ids: Vec<WorkerId>,
    /// In the same slots.
    pub(crate) shards: Vec<Arc<Shard<M>>>,
}

/// Whom a message is for.
pub(crate) enum To<'a, K: ?Sized> {
    Key(&'a K),
    Worker(WorkerId),
}

impl<K: ?Sized, M> Core<K, M> {
    pub(crate) fn new(partitioner: Box<dyn Partitioner<K>>, policy: Policy) -> Core<K, M> {
        let nobody = View { version: 0, open: true, ids: Vec::new(), shards: Vec::new() };
        let (newest, version) = (ArcSwap::from_pointee(nobody), Padded(AtomicU64::new(0)));
        Core { newest, version, partitioner, policy }
    }

    /// The workers now.
    pub(crate) fn view(&self) -> Arc<View<M>> {
        self.newest.load_full()
    }

    /// Whether this view is the newest.
    #[inline(always)]
    pub(crate) fn is_newest(&self, view: &View<M>) -> bool {
        // ORDERING: acquire, pairs with the store of `publish`: a handle that finds another number
        // finds a view at least as new.
        self.version.load(Ordering::Acquire) == view.version
    }

    /// Puts a worker into the view. One change at a time.
    pub(crate) fn add(&self, shard: Arc<Shard<M>>) {
        let mut shards = self.view().shards.clone();
        // Workers that are built at the same time may join in another order than that of their ids.
        let slot = shards.partition_point(|other| other.id < shard.id);
        shards.insert(slot, shard);
        self.publish(true, shards);
    }

    /// Takes a worker out of the view.
    pub(crate) fn remove(&self, worker: WorkerId) {
        let mut shards = self.view().shards.clone();
        shards.retain(|shard| shard.id != worker);
        self.publish(true, shards);
    }

    /// Refuses every send from now on. The workers stay in the view, for their figures.
    pub(crate) fn close(&self) {
        let shards = self.view().shards.clone();
        self.publish(false, shards);
    }

    fn publish(&self, open: bool, shards: Vec<Arc<Shard<M>>>) {
        let version = self.view().version + 1;
        let ids = shards.iter().map(|shard| shard.id).collect();
        self.newest.store(Arc::new(View { version, open, ids, shards }));
        // ORDERING: release, pairs with the load of `is_newest`.
        self.version.store(version, Ordering::Release);
    }

    /// The worker a message goes to. `dead` were met on its way there.
    #[inline]
    pub(crate) fn route<'a>(
        &self,
        view: &'a View<M>,
        to: &To<'_, K>,
        turn: &Turn,
        dead: usize,
    ) -> Result<&'a Shard<M>, Refusal> {
        if !view.open {
            return Err(Refusal::Closed);
        }
        let depths = |slot: usize| view.depth(slot);
        let workers = Workers::new(&view.ids, &depths, turn).ok_or(Refusal::NoWorkers)?;
        let slot = match to {
            To::Key(key) => {
                let slot = self.partitioner.pick(key, &workers);
                // A run, or a draw, may name the dead one again.
                if dead > 0 && self.partitioner.keyless() { view.alive_from(slot) } else { slot }
            }
            To::Worker(worker) => workers.slot_of(*worker).ok_or(Refusal::Unknown(*worker))?,
        };
        let no_slot = Refusal::NoSlot { slot, workers: view.ids.len() };
        view.shards.get(slot).map(Deref::deref).ok_or(no_slot)
    }
}

impl<M> View<M> {
    pub(crate) fn ids(&self) -> &[WorkerId] {
        &self.ids
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The first slot from this one on, round and round, whose worker is not dead; this one, if all
    /// are.
    #[cold]
    fn alive_from(&self, slot: usize) -> usize {
        let alive = |slot: &usize| {
            self.shards.get(*slot).is_some_and(|shard| shard.status() != Status::Dead)
        };
        let mut round = (slot..self.shards.len()).chain(0..slot.min(self.shards.len()));
        round.find(alive).unwrap_or(slot)
    }

    /// What partitioners see. A dead worker's queue is empty, and must not be the shortest.
    fn depth(&self, slot: usize) -> usize {
        let shard = &self.shards[slot];
        if shard.status() == Status::Dead { usize::MAX } else { shard.depth() }
    }
}
