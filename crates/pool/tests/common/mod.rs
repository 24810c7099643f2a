//! A worker for tests: it notes what it is sent, waits when it is told to, and panics on demand.
#![allow(dead_code)] // each test uses a part of it

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chaski_pool::{Batch, BoxError, Context, Event, Pool, Reply, Seat, Worker, WorkerId};

/// Long enough for anything that is to happen at all.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) enum Job {
    Note(u32),
    Notes(Reply<Vec<u32>>),
    /// The handler waits until it is let go.
    Hold(Held),
    Panic,
    /// Panics when it is dropped, unless it was handled.
    Bomb(Bomb),
    /// Answers `Context::is_stopping` once the handler is let go.
    IsStopping(Held, Reply<bool>),
}

pub(crate) struct Bomb(pub(crate) bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        if std::mem::take(&mut self.0) {
            panic!("a bomb");
        }
    }
}

/// In the message.
pub(crate) struct Held {
    entered: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
}

/// In the test. Dropped, it lets the handler go.
pub(crate) struct Holder {
    entered: mpsc::Receiver<()>,
    _release: mpsc::Sender<()>,
}

pub(crate) fn hold() -> (Held, Holder) {
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    (Held { entered, release: released }, Holder { entered: has_entered, _release: release })
}

impl Held {
    pub(crate) fn wait(&self) {
        let _ = self.entered.send(());
        let _ = self.release.recv();
    }
}

impl Holder {
    /// Until the handler is at it.
    pub(crate) fn entered(&self) {
        self.entered.recv_timeout(LONG).expect("the handler is not called");
    }
}

/// What happened to each numbered message.
#[derive(Default)]
pub(crate) struct Ledger {
    handled: Vec<AtomicU32>,
    undelivered: Vec<AtomicU32>,
}

impl Ledger {
    pub(crate) fn new(messages: u32) -> Arc<Ledger> {
        let row = || (0..messages).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Ledger { handled: row(), undelivered: row() })
    }

    pub(crate) fn handled(&self, message: u32) -> u32 {
        self.handled[message as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn undelivered(&self, message: u32) -> u32 {
        self.undelivered[message as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn note_handled(&self, message: u32) {
        if let Some(count) = self.handled.get(message as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_undelivered(&self, message: u32) {
        if let Some(count) = self.undelivered.get(message as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn total_handled(&self) -> u32 {
        self.handled.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn total_undelivered(&self) -> u32 {
        self.undelivered.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Its state is the list of numbers it was sent since the state was built.
#[derive(Default, Clone)]
pub(crate) struct Notebook {
    pub(crate) ledger: Arc<Ledger>,
    /// States that may be built before `build` fails.
    pub(crate) builds: Option<Arc<AtomicU32>>,
    /// `build` panics where it would fail.
    pub(crate) build_panics: bool,
}

impl Worker for Notebook {
    type State = Vec<u32>;
    type Message = Job;

    fn build(&self, _: &Seat) -> Result<Vec<u32>, BoxError> {
        if let Some(builds) = &self.builds
            && builds
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err()
        {
            assert!(!self.build_panics, "no more states");
            return Err("no more states".into());
        }
        Ok(Vec::new())
    }

    fn handle(&self, notes: &mut Vec<u32>, job: Job, context: &Context) {
        match job {
            Job::Note(number) => {
                self.ledger.note_handled(number);
                notes.push(number);
            }
            Job::Notes(reply) => drop(reply.send(notes.clone())),
            Job::Hold(held) => held.wait(),
            Job::Panic => panic!("on demand"),
            Job::Bomb(mut bomb) => bomb.0 = false,
            Job::IsStopping(held, reply) => {
                held.wait();
                let _ = reply.send(context.is_stopping());
            }
        }
    }

    fn undelivered(&self, job: Job, _: WorkerId) {
        if let Job::Note(number) = job {
            self.ledger.note_undelivered(number);
        }
    }
}

/// Takes all of a batch at once, and panics over it if it is told to.
pub(crate) struct Wholesale {
    pub(crate) sizes: mpsc::Sender<usize>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Worker for Wholesale {
    type State = ();
    type Message = Job;

    fn build(&self, _: &Seat) -> Result<(), BoxError> {
        Ok(())
    }

    fn handle(&self, (): &mut (), _: Job, _: &Context) {
        unreachable!("all are taken as batches");
    }

    fn handle_batch(&self, (): &mut (), batch: &mut Batch<Job>, _: &Context) {
        assert_eq!(batch.len(), batch.iter().count());
        self.sizes.send(batch.len()).unwrap();
        for job in batch.drain() {
            match job {
                Job::Note(number) => self.ledger.note_handled(number),
                Job::Hold(held) => held.wait(),
                _ => panic!("on demand"),
            }
        }
    }
}

/// Events go into a channel.
pub(crate) fn events() -> (impl Fn(Event) + Send + Sync + 'static, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    (move |event| drop(sender.lock().unwrap().send(event)), receiver)
}

/// The next event that `wanted` recognizes.
pub(crate) fn next<T>(events: &mpsc::Receiver<Event>, wanted: impl Fn(Event) -> Option<T>) -> T {
    loop {
        let event = events.recv_timeout(LONG).expect("the event does not come");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

/// Ends a pool that is to end by itself, with nothing left.
pub(crate) fn drain<K: ?Sized, M>(pool: Pool<K, M>) {
    let report = pool.drain(LONG);
    assert_eq!((report.left, report.stuck), (0, 0));
}
