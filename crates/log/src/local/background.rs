//! The threads behind a log: some that sync, one that does everything else nobody waits for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::partition::{Partition, Stopped};
use crate::clock;

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
        partition.sync(shared);
    }
}

/// Does the other work until the queue ends.
pub(crate) fn run_tasks(shared: &Shared) {
    let mut tick = Instant::now() + TICK;
    loop {
        match shared.background.pop(Some(tick)) {
            Pop::Item(task) => run(task, shared),
            Pop::TimedOut => {
                flush_aged(shared);
                tick = Instant::now() + TICK;
            }
            Pop::Ended => return,
        }
    }
}

fn run(task: Task, shared: &Shared) {
    match task {
        Task::Flush(partition) => flush(&partition, shared),
        Task::Zone(partition) => partition.extend_zone(shared),
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
    if let Err(error) = partition.flush(shared) {
        tracing::warn!(partition = partition.name, %error, "flush failed");
    }
}
