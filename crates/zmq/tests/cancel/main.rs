//! Futures that are dropped before they are ready, at every point where they wait: each message is
//! accounted for exactly once.
//!
//! A future of this crate waits at one place, but comes to it in several states: not yet in the
//! list of those who wait, in it, woken, woken for nothing. So futures here are polled once, twice,
//! and up to [`POLLS_MAX`] times before they are dropped, each time a moment later or at once.

mod calls;
mod pairs;
mod receiving;
mod requests;
mod sending;
mod tasks;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Longer than anything takes that is going to happen.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Long enough for what should not happen to be seen now and then.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);

/// How often a future is polled at most before it is dropped.
pub(crate) const POLLS_MAX: usize = 4;

/// An endpoint of each transport, which nobody else uses.
pub(crate) fn endpoints() -> [String; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let near = |transport: &str| format!("{transport}://zmq-cancel-{}-{next}", std::process::id());
    ["tcp://127.0.0.1:*".to_owned(), "ipc://*".to_owned(), near("inproc"), near("shm")]
}

/// Unparks a thread, and counts.
struct Unpark {
    thread: Thread,
    woken: AtomicUsize,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// A waker that counts, and how often it was used.
pub(crate) struct Bell(Arc<Unpark>);

impl Bell {
    pub(crate) fn new() -> Self {
        Bell(Arc::new(Unpark { thread: thread::current(), woken: AtomicUsize::new(0) }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.0.woken.load(Ordering::SeqCst) > 0
    }
}

/// The smallest executor: polls when the thread is unparked.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let (mut future, waker) = (pin!(future), Bell::new().waker());
    let start = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(LONG),
        }
        assert!(start.elapsed() < LONG, "it is never ready");
    }
}

/// Polls a future so many times and drops it, unless it is ready before. Every other time it is
/// polled when it was woken, or a moment later.
pub(crate) fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, waker) = (pin!(future), Bell::new().waker());
    for poll in 0..polls {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        if poll % 2 == 0 {
            thread::park_timeout(Duration::from_micros(200));
        }
    }
    None
}

/// Polls and drops futures until one is ready; its value, and how many were dropped.
pub(crate) fn drop_until_ready<F: Future>(mut future: impl FnMut() -> F) -> (F::Output, usize) {
    let start = Instant::now();
    for dropped in 0.. {
        if let Some(value) = drop_after(dropped % POLLS_MAX + 1, future()) {
            return (value, dropped);
        }
        assert!(start.elapsed() < LONG, "it is never ready");
    }
    unreachable!()
}
