//! Whether the broker takes requests, and why not.
//!
//! A broker that has lost its control thread or one of its shards looks alive and leaves its
//! clients waiting. So the threads it cannot do without are started here, under guard: when one of
//! them ends before it was told to, the broker has failed as a whole, and whoever runs it is told.
//!
//! What cannot be stored is no such end: it may be stored in a minute. [`Ailment`] says what ails
//! the facts as long as it does, [`remedy`] what helps.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use chaski_log::store::{Fault, FaultKind};

/// The state of a broker, shared by all who ask.
#[derive(Default)]
pub(crate) struct Health(Mutex<State>);

type Tell = Box<dyn FnOnce(&str) + Send>;

#[derive(Default)]
struct State {
    phase: Phase,
    /// Those to be told of a failure.
    tell: Vec<Tell>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Stopping,
    Failed(String),
}

impl Health {
    /// It takes requests from now on, unless it has failed already.
    pub(crate) fn started(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Starting {
            state.phase = Phase::Ready;
        }
    }

    /// Threads may end from now on.
    pub(crate) fn stopping(&self) {
        self.lock().phase = Phase::Stopping;
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.lock().phase == Phase::Ready
    }

    /// Why the broker failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        match &self.lock().phase {
            Phase::Failed(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// Has `tell` called once, on any thread, when the broker fails; at once if it has.
    pub(crate) fn when_failed(&self, tell: impl FnOnce(&str) + Send + 'static) {
        let mut state = self.lock();
        if let Phase::Failed(why) = &state.phase {
            let why = why.clone();
            drop(state);
            tell(&why);
        } else {
            state.tell.push(Box::new(tell));
        }
    }

    fn fail(&self, why: String) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Stopping | Phase::Failed(_)) {
            return;
        }
        tracing::error!(why, "the broker has failed");
        state.phase = Phase::Failed(why.clone());
        let tell = mem::take(&mut state.tell);
        drop(state);
        for tell in tell {
            tell(&why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that the broker cannot do without.
pub(crate) fn spawn(
    health: &Arc<Health>,
    name: &str,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let guard = Guard { health: health.clone(), name: name.to_owned(), error: None };
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        // The whole of it moves here, to be dropped at the end of the thread.
        let mut guard = guard;
        guard.error = run().err();
    })
}

/// Notices how a thread ends, be it by a panic.
struct Guard {
    health: Arc<Health>,
    name: String,
    error: Option<io::Error>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let name = &self.name;
        self.health.fail(match &self.error {
            Some(error) => format!("thread {name}: {error}"),
            None if thread::panicking() => format!("thread {name} panicked"),
            None => format!("thread {name} ended"),
        });
    }
}

/// Why topics, groups and committed offsets cannot be stored at present. Whoever asks for anything
/// of them is sent away until they can.
#[derive(Debug, Default)]
pub(crate) struct Ailment(Mutex<Option<Fault>>);

impl Ailment {
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.lock() = fault;
    }

    pub(crate) fn get(&self) -> Option<Fault> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What helps against a failure of the storage, for people.
pub(crate) fn remedy(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Full => {
            "make room on the disk: lower retention.ms or retention.bytes of a large topic, delete \
             topics, or move other files away; all goes on by itself then"
        }
        FaultKind::Broken => {
            "see what the kernel says (dmesg); copy the data directory to another disk if it does \
             not stop, and start the broker on that"
        }
        FaultKind::ReadOnly => {
            "see why the file system takes no writes (dmesg), check it, mount it for writing, and \
             restart the broker"
        }
        FaultKind::Denied => "give the data directory to the user that the broker runs as",
        FaultKind::Descriptors => {
            "let the broker open more files: ulimit -n, or LimitNOFILE= in a unit of systemd"
        }
        FaultKind::Damaged => "see what is damaged: chaski inspect",
        _ => "see what the broker has logged, and the kernel (dmesg)",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// What is told of a thread that does this.
    fn told_of(run: impl FnOnce() -> io::Result<()> + Send + 'static) -> String {
        let health = Arc::new(Health::default());
        health.started();
        assert!(health.is_ready());
        let (tell, told) = mpsc::channel();
        health.when_failed(move |why| tell.send(why.to_owned()).expect("somebody listens"));
        let _ = spawn(&health, "t", run).expect("a thread").join();
        assert!(!health.is_ready());
        let why = told.recv().expect("told");
        assert_eq!(health.failure().as_deref(), Some(why.as_str()));
        why
    }

    #[test]
    fn the_end_of_a_thread_is_the_end_of_the_broker() {
        assert_eq!(told_of(|| panic!("on purpose")), "thread t panicked");
        assert_eq!(told_of(|| Err(io::Error::other("no poll"))), "thread t: no poll");
        assert_eq!(told_of(|| Ok(())), "thread t ended");
    }

    #[test]
    fn threads_that_end_while_stopping_are_no_failure() {
        let health = Arc::new(Health::default());
        health.started();
        health.stopping();
        spawn(&health, "t", || Ok(())).expect("a thread").join().expect("no panic");
        assert_eq!(health.failure(), None);
    }

    #[test]
    fn who_asks_late_is_told_at_once() {
        let health = Arc::new(Health::default());
        let _ = spawn(&health, "t", || Ok(())).expect("a thread").join();
        health.started();
        assert!(!health.is_ready(), "it failed before it was ready");
        let (tell, told) = mpsc::channel();
        health.when_failed(move |_| tell.send(()).expect("somebody listens"));
        assert_eq!(told.try_recv(), Ok(()));
    }
}
