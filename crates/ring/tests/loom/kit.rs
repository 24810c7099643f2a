//! What the models share: the bound, messages that tell of their loss, an executor of one task.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};

/// How long a model of three threads may take in an everyday run; those of two end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `program` in all its interleavings that have at most `preemptions` involuntary switches of
/// thread. All of them are too many; those with few are where bugs are found (M. Musuvathi and
/// S. Qadeer, PLDI 2007). A model that has not been through all of those when [`PATIENCE`] ends is
/// left there. `LOOM_MAX_PREEMPTIONS` and `LOOM_MAX_DURATION` (seconds) take precedence.
pub(crate) fn check(preemptions: usize, program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_duration.get_or_insert(PATIENCE);
    // How often loom looks at the clock, in interleavings.
    builder.checkpoint_interval = 500;
    builder.max_branches = 10_000;
    builder.check(program);
}

/// A message that loom reports as leaked if it is neither received nor dropped.
#[derive(Clone)]
pub(crate) struct Token(Arc<u32>);

impl Token {
    pub(crate) fn new(n: u32) -> Token {
        Token(Arc::new(n))
    }

    pub(crate) fn number(&self) -> u32 {
        *self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// What a task of its own sleeps on: a permit that stays until it is taken.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Polls a future whenever it is woken, and never otherwise, until it is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => bell.wait(),
        }
    }
}

/// Polls a future once, with a waker that nobody listens to.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
