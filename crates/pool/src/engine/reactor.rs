//! What drives a worker's tasks: a loop of our own that parks its thread, or tokio.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::Settings;
use crate::worker::BoxError;

/// Runs one future on the calling thread, and lets it sleep until a time.
pub(super) enum Reactor {
    Own(Timer),
    #[cfg(feature = "tokio")]
    Tokio(tokio::runtime::Runtime),
}

/// Until when the future that runs has asked to sleep.
#[derive(Default)]
pub(super) struct Timer(Cell<Option<Instant>>);

impl Reactor {
    /// # Errors
    /// The system's, if tokio gets no file descriptors.
    pub(super) fn new(settings: &Settings) -> Result<Reactor, BoxError> {
        #[cfg(feature = "tokio")]
        if settings.tokio {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return Ok(Reactor::Tokio(runtime));
        }
        let _ = settings;
        Ok(Reactor::Own(Timer::default()))
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Reactor::Own(timer) => block_on(future, timer),
            #[cfg(feature = "tokio")]
            Reactor::Tokio(runtime) => {
                // So that handlers may spawn tasks of their own on this thread.
                tokio::task::LocalSet::new().block_on(runtime, future)
            }
        }
    }

    /// Ready at the time; never, without one. One such sleep at a time.
    pub(super) async fn sleep_until(&self, at: Option<Instant>) {
        let Some(at) = at else { return pending().await };
        match self {
            Reactor::Own(timer) => timer.sleep_until(at).await,
            #[cfg(feature = "tokio")]
            Reactor::Tokio(_) => tokio::time::sleep_until(at.into()).await,
        }
    }
}

impl Timer {
    async fn sleep_until(&self, at: Instant) {
        poll_fn(|_| {
            let due = Instant::now() >= at;
            self.0.set((!due).then_some(at));
            if due { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Ends one sleep of a thread. The flag, because handlers may use up the thread's own token.
struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: release, pairs with the swap of `block_on`.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn block_on<F: Future>(future: F, timer: &Timer) -> F::Output {
    let parker = Arc::new(Parker { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parker));
    let mut future = pin!(future);
    loop {
        timer.0.set(None);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // ORDERING: acquire, pairs with the store of `wake_by_ref`.
        while !parker.woken.swap(false, Ordering::Acquire) {
            match timer.0.get().map(|at| at.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => break,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wake_from_another_thread_is_not_lost_to_a_stolen_token() {
        let (sender, receiver) = chaski_ring::mpsc::channel(1);
        let mut receiver = receiver;
        let sending = thread::spawn(move || sender.send(7).unwrap());
        let received = block_on(
            async {
                thread::park_timeout(Duration::ZERO); // takes a token, if one is there
                receiver.recv_async().await.unwrap()
            },
            &Timer::default(),
        );
        assert_eq!(received, 7);
        sending.join().unwrap();
    }

    #[test]
    fn sleeps_end() {
        let reactor = Reactor::Own(Timer::default());
        let start = Instant::now();
        let at = start + Duration::from_millis(2);
        reactor.block_on(reactor.sleep_until(Some(at)));
        assert!(Instant::now() >= at);
        reactor.block_on(reactor.sleep_until(Some(start)));
    }
}
