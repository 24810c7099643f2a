//! The pool: workers that start, join, leave and stop together.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::engine::{Launch, Settings};
use crate::error::StartError;
use crate::handle::Handle;
use crate::partition::{Partitioner, WorkerId};
use crate::policy::Policy;
use crate::shard::{Shard, Status};
use crate::stats::{PoolStats, Report};
use crate::topology::{Cpu, Placement, PlacementError, Topology};

/// How long a drop waits for handlers to return; see [`Pool`].
pub const DROP_WAIT: Duration = Duration::from_secs(1);
/// What a worker is given, after the deadline of a drain, to say how far it came.
const STOP_GRACE: Duration = Duration::from_millis(10);

/// Workers that each own a thread, a state and a queue, and take messages of type `M` by keys of
/// type `K`.
///
/// [`Pool::builder`] starts one, [`handle`](Self::handle) gives a producer its end of it, and
/// [`drain`](Self::drain) ends it in order.
///
/// **Dropped**, a pool takes no more messages and each worker stops after the message in its hands;
/// what is still queued goes to [`Worker::undelivered`](crate::Worker::undelivered). The drop waits
/// for them up to [`DROP_WAIT`]. A handler that takes longer is left behind: its thread ends when
/// it returns.
pub struct Pool<K: ?Sized, M> {
    core: Arc<Core<K, M>>,
    plan: Plan<M>,
    crew: Mutex<Crew<M>>,
}

/// How workers are started.
pub(crate) struct Plan<M> {
    pub(crate) topology: Topology,
    pub(crate) placement: Placement,
    pub(crate) settings: Arc<Settings>,
    pub(crate) spawn: Box<Spawn<M>>,
}

type Spawn<M> = dyn Fn(Launch<M>) -> io::Result<JoinHandle<()>> + Send + Sync;

/// Who is there. Changes to it, and to the view, are made under its lock.
struct Crew<M> {
    members: BTreeMap<WorkerId, Member<M>>,
    next_id: u32,
    /// Places of workers that are being built.
    reserved: Vec<usize>,
}

struct Member<M> {
    shard: Arc<Shard<M>>,
    thread: JoinHandle<()>,
    /// Its turn in the placement.
    place: usize,
}

/// A worker whose thread runs and whose state may not be built yet.
struct Starting<M> {
    member: Member<M>,
    started: mpsc::Receiver<Result<(), StartError>>,
}

/// No worker of this id is in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0}")]
pub struct UnknownWorker(
    /// The id.
    pub WorkerId,
);

impl<K: ?Sized + 'static, M: Send + 'static> Pool<K, M> {
    pub(crate) fn start(
        plan: Plan<M>,
        workers: usize,
        partitioner: Box<dyn Partitioner<K>>,
        policy: Policy,
    ) -> Result<Pool<K, M>, StartError> {
        let core = Arc::new(Core::new(partitioner, policy));
        let cpus = plan.placement.plan(&plan.topology, workers)?;
        let crew = Mutex::new(Crew { members: BTreeMap::new(), next_id: 0, reserved: Vec::new() });
        // Whatever goes wrong from here on, the pool's drop stops those that were started.
        let pool = Pool { core, plan, crew };
        let mut crew = pool.crew();
        let mut starting = Vec::with_capacity(workers);
        let mut failed = None;
        for (place, cpu) in cpus.into_iter().enumerate() {
            match pool.spawn(crew.take_id(), place, cpu) {
                Ok(worker) => starting.push(worker),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for worker in starting {
            let started = worker.wait();
            crew.members.insert(worker.member.shard.id, worker.member);
            failed = failed.or(started.err());
        }
        if let Some(error) = failed {
            drop(crew);
            return Err(error);
        }
        crew.members.values().for_each(|member| pool.join(&member.shard));
        drop(crew);
        Ok(pool)
    }

    /// Starts one more worker, with the next id and in the first free place, and waits until it has
    /// built its state.
    ///
    /// Which keys move to it is the partitioner's affair: see [`partition`](crate::partition).
    ///
    /// # Errors
    ///
    /// As [`Builder::start`](crate::Builder::start); the other workers do not notice.
    pub fn add_worker(&self) -> Result<WorkerId, StartError> {
        let (id, place) = self.crew().reserve();
        // Without the lock: `build` and listeners may call the pool.
        let built = self.build_member(id, place);
        let mut crew = self.crew();
        crew.reserved.retain(|reserved| *reserved != place);
        let member = built?;
        self.join(&member.shard);
        crew.members.insert(id, member);
        Ok(id)
    }

    fn build_member(&self, id: WorkerId, place: usize) -> Result<Member<M>, StartError> {
        let cpu = self.plan.cpu_of(place)?;
        let worker = self.spawn(id, place, cpu)?;
        worker.wait()?;
        Ok(worker.member)
    }

    fn spawn(
        &self,
        id: WorkerId,
        place: usize,
        cpu: Option<Cpu>,
    ) -> Result<Starting<M>, StartError> {
        let shard = Arc::new(Shard::new(id, self.plan.settings.capacity));
        let (report, started) = mpsc::channel();
        let core = Arc::clone(&self.core);
        let launch = Launch {
            shard: Arc::clone(&shard),
            cpu,
            settings: Arc::clone(&self.plan.settings),
            started: report,
            on_death: Box::new(move |worker| core.partitioner.left(worker)),
        };
        let thread = (self.plan.spawn)(launch);
        let thread = thread.map_err(|source| StartError::Thread { worker: id, source })?;
        Ok(Starting { member: Member { shard, thread, place }, started })
    }

    fn join(&self, shard: &Arc<Shard<M>>) {
        self.core.partitioner.joined(shard.id);
        if shard.has_farewell() {
            // Its first tick was its last, and it may have left before it joined.
            self.core.partitioner.left(shard.id);
        }
        self.core.add(Arc::clone(shard));
    }
}

impl<K: ?Sized, M> Pool<K, M> {
    /// An end for a producer.
    pub fn handle(&self) -> Handle<K, M> {
        Handle::new(Arc::clone(&self.core))
    }

    /// The workers there are, ascending; the dead included, as long as they are not removed.
    pub fn workers(&self) -> Vec<WorkerId> {
        self.core.view().ids().to_vec()
    }

    /// What the workers counted.
    pub fn stats(&self) -> PoolStats {
        PoolStats::of(self.core.view().shards.iter().map(Deref::deref))
    }

    /// Takes a worker out of the pool: it gets no new messages, handles those it has queued, and
    /// stops. Waits for that up to `within`; what it has not handled by then is left.
    ///
    /// Producers that were about to send to it send to the one that has the key now. A dead worker
    /// can be removed too, and with [`Hash`](struct@crate::partition::Hash) that is what deals its
    /// keys to the others.
    ///
    /// A worker that removes itself, in a handler, is not waited for: it goes on with its queue
    /// when the handler returns, and counts as stuck.
    ///
    /// # Errors
    ///
    /// There is no such worker, or no longer.
    pub fn remove_worker(
        &self,
        worker: WorkerId,
        within: Duration,
    ) -> Result<Report, UnknownWorker> {
        let mut crew = self.crew();
        let member = crew.members.remove(&worker).ok_or(UnknownWorker(worker))?;
        let before = Before::of(&member.shard);
        // The view first: a producer that finds the queue closed finds a view without it.
        self.core.remove(worker);
        if member.shard.take_farewell() {
            self.core.partitioner.left(worker);
        }
        member.shard.close(Status::Leaving);
        drop(crew);
        Ok(settle(vec![(member, before)], Instant::now().checked_add(within)))
    }

    /// Has a worker build its state anew, before its next message. That does not count against its
    /// [`Restart`](crate::Restart) policy. A dead worker stays dead, and the call says nothing of
    /// it: remove it, and add one.
    ///
    /// # Errors
    ///
    /// There is no such worker.
    pub fn restart_worker(&self, worker: WorkerId) -> Result<(), UnknownWorker> {
        let crew = self.crew();
        let member = crew.members.get(&worker).ok_or(UnknownWorker(worker))?;
        member.shard.restart();
        Ok(())
    }

    /// Ends the pool in order: refuses new messages, has those that are queued handled, and stops
    /// the workers. Waits for that up to `within`; then workers stop after the message in their
    /// hands, and what is queued is left.
    ///
    /// Returns at the deadline even if a handler never does. Called on the thread of one of its
    /// workers, by a handler, it does not wait for that one, which goes on with its queue when the
    /// handler returns and counts as stuck.
    ///
    /// ```
    /// use chaski_pool::{Pool, worker};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().workers(2).start(worker(|_| (), |(), _: u32, _| ()))?;
    /// let handle = pool.handle();
    /// for number in 0..100_u32 {
    ///     handle.send(&number, number)?;
    /// }
    /// let report = pool.drain(Duration::from_secs(5));
    /// assert_eq!((report.left, report.stuck), (0, 0));
    /// assert!(handle.send(&1, 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(self, within: Duration) -> Report {
        let deadline = Instant::now().checked_add(within);
        let members = self.close();
        settle(members, deadline)
    }

    /// Refuses new messages, and takes the workers, which end when they have handled the others.
    fn close(&self) -> Vec<(Member<M>, Before)> {
        let mut crew = self.crew();
        self.core.close();
        let members = std::mem::take(&mut crew.members).into_values();
        let members: Vec<_> = members
            .map(|member| (Before::of(&member.shard), member))
            .map(|(b, m)| (m, b))
            .collect();
        for (member, _) in &members {
            member.shard.close(Status::Leaving);
        }
        members
    }

    fn crew(&self) -> MutexGuard<'_, Crew<M>> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: ?Sized, M> Drop for Pool<K, M> {
    fn drop(&mut self) {
        let members = self.close();
        members.iter().for_each(|(member, _)| member.shard.stop());
        let deadline = Instant::now() + DROP_WAIT;
        for (member, _) in members {
            // A handler that owns its pool cannot wait for itself.
            if !member.is_here() && member.shard.wait_ended(Some(deadline)) {
                member.end();
            }
        }
    }
}

impl<K: ?Sized, M> fmt::Debug for Pool<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.workers()).finish_non_exhaustive()
    }
}

impl<M> Plan<M> {
    /// The CPU of the worker in this place.
    fn cpu_of(&self, place: usize) -> Result<Option<Cpu>, PlacementError> {
        Ok(self.placement.plan(&self.topology, place + 1)?.pop().flatten())
    }
}

impl<M> Crew<M> {
    fn take_id(&mut self) -> WorkerId {
        let id = WorkerId::new(self.next_id);
        self.next_id += 1;
        id
    }

    /// An id, and the first free place.
    fn reserve(&mut self) -> (WorkerId, usize) {
        let mut taken: Vec<usize> = self.members.values().map(|member| member.place).collect();
        taken.extend(&self.reserved);
        let place = (0..).find(|place| !taken.contains(place)).unwrap_or(taken.len());
        self.reserved.push(place);
        (self.take_id(), place)
    }
}

impl<M> Starting<M> {
    fn wait(&self) -> Result<(), StartError> {
        let worker = self.member.shard.id;
        let silent = || "the thread ended without a word".to_owned();
        self.started
            .recv()
            .unwrap_or_else(|_| Err(StartError::BuildPanicked { worker, message: silent() }))
    }
}

impl<M> Member<M> {
    /// Whether this is the worker's own thread: a handler, or a listener, cannot wait for itself.
    fn is_here(&self) -> bool {
        self.thread.thread().id() == thread::current().id()
    }

    /// Takes the thread back, which has nothing more to do.
    fn end(self) {
        if !self.is_here() {
            // No panic of the program leaves a worker's loop, and one of ours has been printed.
            let _ = self.thread.join();
        }
    }
}

/// What a worker had counted before it was told to end.
#[derive(Clone, Copy)]
struct Before {
    handled: u64,
    left: u64,
}

impl Before {
    fn of<M>(shard: &Shard<M>) -> Before {
        let counters = &shard.counters;
        let (handled, left) =
            (counters.handled.load(Ordering::Relaxed), counters.left.load(Ordering::Relaxed));
        Before { handled, left }
    }
}

/// Waits for workers whose queues are closed, stops those that are late, and adds up.
fn settle<M>(members: Vec<(Member<M>, Before)>, deadline: Option<Instant>) -> Report {
    for (member, _) in members.iter().filter(|(member, _)| !member.is_here()) {
        if !member.shard.wait_ended(deadline) {
            member.shard.stop();
        }
    }
    let grace = Instant::now() + STOP_GRACE;
    let mut report = Report::default();
    for (member, before) in members {
        let ended = !member.is_here() && member.shard.wait_ended(Some(grace));
        let pending = member.shard.pending();
        let now = Before::of(&member.shard);
        report.handled += now.handled - before.handled;
        report.left += now.left - before.left;
        if ended {
            member.end();
        } else {
            report.left += pending;
            report.stuck += 1;
        }
    }
    report
}
