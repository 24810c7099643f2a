//! The threads behind a log: some that sync, one that does everything else nobody waits for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::partition::{Partition, Stopped};
use super::pending::Answers;
use crate::clock;
use crate::store::{Fault, FaultKind};

/// How often the age of unflushed bytes is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Work for the background thread.
pub(crate) enum Task {
    /// Sync, seal, move the checkpoint.
    Flush(Arc<Partition>),
    /// Write zeros ahead of the tail.
    Zone(Arc<Partition>),
    /// Remove a directory that was set aside.
    Remove(PathBuf),
}

/// Work handed from thread to thread, in order.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    ended: bool,
}

/// What a wait for work came to.
pub(crate) enum Pop<T> {
    Item(T),
    TimedOut,
    Ended,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        let state = State { items: VecDeque::new(), ended: false };
        Queue { state: Mutex::new(state), ready: Condvar::new() }
    }

    pub(crate) fn push(&self, item: T) {
        self.lock().items.push_back(item);
        self.ready.notify_one();
    }

    /// Lets whoever pops finish what is queued and no more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.ready.notify_all();
    }

    /// Waits for an item, up to `deadline` if there is one.
    pub(crate) fn pop(&self, deadline: Option<Instant>) -> Pop<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Pop::Item(item);
            }
            if state.ended {
                return Pop::Ended;
            }
            state = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                None => self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Pop::TimedOut,
                Some(left) => {
                    let waited = self.ready.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs one partition after the other until the queue ends.
pub(crate) fn run_syncs(shared: &Shared, queue: &Queue<Arc<Partition>>) {
    while let Pop::Item(partition) = queue.pop(None) {
        guarded(&partition, || partition.sync(shared));
    }
}

/// Does the other work until the queue ends.
pub(crate) fn run_tasks(shared: &Shared) {
    let mut tick = Instant::now() + TICK;
    loop {
        // Here and not on a timeout, which never comes if there is always something to do.
        if Instant::now() >= tick {
            flush_aged(shared);
            tick = Instant::now() + TICK;
        }
        match shared.background.pop(Some(tick)) {
            Pop::Item(task) => run(task, shared),
            Pop::TimedOut => {}
            Pop::Ended => return,
        }
    }
}

fn run(task: Task, shared: &Shared) {
    match task {
        Task::Flush(partition) => flush(&partition, shared),
        Task::Zone(partition) => guarded(&partition, || partition.extend_zone(shared)),
        Task::Remove(dir) => {
            if let Err(error) = std::fs::remove_dir_all(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "cannot remove a deleted partition");
            }
        }
    }
}

fn flush_aged(shared: &Shared) {
    let now_ms = clock::now_ms();
    for partition in shared.open_partitions() {
        let due = {
            let w = partition.lock();
            let age = now_ms.saturating_sub(w.unchecked_since_ms);
            let failed = matches!(w.stopped, Some(Stopped::Failed(_)));
            w.unchecked > 0 && !failed && age >= clock::as_ms(w.config.flush_age)
        };
        if due {
            flush(&partition, shared);
        }
    }
}

fn flush(partition: &Partition, shared: &Shared) {
    guarded(partition, || {
        if let Err(error) = partition.flush(shared) {
            tracing::warn!(partition = partition.name, %error, "flush failed");
        }
    });
}

/// Keeps a panic over one partition from ending the thread that serves the others. The partition
/// ends as after a failed sync, for nobody knows how far the work came.
fn guarded(partition: &Partition, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_ok() {
        return;
    }
    tracing::error!(partition = partition.name, "panic in the background, writing ends");
    if catch_unwind(AssertUnwindSafe(|| fail(partition))).is_err() {
        // Who waits for an answer now would wait for ever.
        tracing::error!(partition = partition.name, "cannot answer what waits, the process ends");
        std::process::abort();
    }
}

/// Stops a partition and fails what waits for it.
fn fail(partition: &Partition) {
    let mut answers = Answers::default();
    {
        let mut w = partition.lock();
        if w.stopped != Some(Stopped::Deleted) {
            let why = format!("{} stopped by a panic", partition.name);
            w.stop(Stopped::Failed(Fault::new(FaultKind::Other, why)), &mut answers);
        }
    }
    answers.deliver();
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::conformance::{Probe, batch};
    use crate::disk::Disk;
    use crate::local::LocalLog;
    use crate::store::{AppendError, Durability};

    use super::*;

    #[derive(Debug, Default)]
    struct PanickingDisk {
        armed: AtomicBool,
    }

    impl Disk for PanickingDisk {
        fn sync_data(&self, _: &File) -> io::Result<()> {
            assert!(!self.armed.swap(false, Ordering::Relaxed), "the test wants this panic");
            Ok(())
        }
    }

    #[test]
    fn a_panic_ends_its_partition_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(PanickingDisk::default());
        let log = LocalLog::open_on(disk.clone(), dir.path(), 1).unwrap();
        let probe = Probe::new(Box::new(log));
        let (p, other) = (probe.open("t", 0), probe.open("t", 1));
        disk.armed.store(true, Ordering::Relaxed);
        let written = probe.append(p, &batch(0, 1), Durability::Disk);
        assert!(matches!(written, Err(AppendError::InDoubt(_))), "{written:?}");
        let refused = probe.append(p, &batch(0, 1), Durability::Disk);
        assert!(matches!(refused, Err(AppendError::Storage(_))), "{refused:?}");
        assert!(probe.store.stats(p).unwrap().failed.is_some());
        probe.append(other, &batch(0, 1), Durability::Disk).unwrap();
    }
}
