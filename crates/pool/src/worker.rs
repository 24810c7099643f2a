//! What a worker is, to those who write one.

use crate::batch::Batch;
use crate::context::Context;
use crate::partition::WorkerId;
use crate::topology::Cpu;

/// Any error, as `build` may return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A kind of worker: how its state is built, and what it does with a message.
///
/// A pool shares one value of this type among its threads, so `self` holds what all of them need
/// and none changes: a configuration, a handle to somewhere else. What changes is the
/// [`State`](Self::State). Each worker builds its own, on its own thread after that was bound to
/// its CPU, and keeps it there: a state is never sent and never shared, it may hold an `Rc` or a
/// `RefCell`, and its memory is on the worker's own NUMA node.
///
/// ```
/// use chaski_pool::{BoxError, Context, Pool, Seat, Worker};
/// use std::collections::HashMap;
///
/// struct WordCount;
///
/// impl Worker for WordCount {
///     type State = HashMap<String, u64>;
///     type Message = String;
///
///     fn build(&self, _: &Seat) -> Result<Self::State, BoxError> {
///         Ok(HashMap::new())
///     }
///
///     fn handle(&self, counts: &mut Self::State, word: String, _: &Context) {
///         *counts.entry(word).or_default() += 1;
///     }
/// }
///
/// let pool = Pool::builder().workers(2).start(WordCount)?;
/// let words = pool.handle();
/// for word in ["to", "be", "or", "not", "to", "be"] {
///     words.send(word, word.to_owned())?; // the same word to the same worker
/// }
/// assert_eq!(pool.drain(std::time::Duration::from_secs(5)).left, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A panic in any of these functions stays on the worker's thread: see [`Restart`](crate::Restart).
/// For two closures that need no type of their own there is [`worker`].
pub trait Worker: Send + Sync + 'static {
    /// What one worker owns.
    type State;
    /// What it is sent.
    type Message: Send + 'static;

    /// Builds the state of the worker in this seat, on its own thread. Called once when the worker
    /// starts and again for each restart.
    ///
    /// # Errors
    ///
    /// Any. At the start it becomes the error of
    /// [`Builder::start`](crate::Builder::start) or [`Pool::add_worker`](crate::Pool::add_worker);
    /// at a restart it ends the worker.
    fn build(&self, seat: &Seat) -> Result<Self::State, BoxError>;

    /// Handles one message.
    fn handle(&self, state: &mut Self::State, message: Self::Message, context: &Context);

    /// Handles the messages that were taken from the queue at once, in their order. Overwrite it
    /// where many together cost less than each alone: one write for all, one lookup for a run of
    /// equal keys.
    ///
    /// What it leaves in the batch is passed to [`handle`](Self::handle).
    fn handle_batch(
        &self,
        state: &mut Self::State,
        batch: &mut Batch<Self::Message>,
        context: &Context,
    ) {
        for message in batch {
            self.handle(state, message, context);
        }
    }

    /// Called every [`Builder::tick`](crate::Builder::tick), if that was set: between two batches
    /// of a busy worker, from its sleep in an idle one. Ticks that were missed are not made up for.
    fn tick(&self, state: &mut Self::State, context: &Context) {
        let _ = (state, context);
    }

    /// Takes the state back when the worker leaves in order. Not called when the worker died: then
    /// the state is dropped.
    fn stop(&self, state: Self::State, context: &Context) {
        let _ = context;
        drop(state);
    }

    /// A message that the worker will not handle: it died or was stopped with this in its queue.
    /// Called on the worker's thread.
    fn undelivered(&self, message: Self::Message, worker: WorkerId) {
        let _ = worker;
        drop(message);
    }
}

/// The seat of a worker: what it is called and where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seat {
    /// Its id in the pool.
    pub worker: WorkerId,
    /// The CPU its thread is bound to, if it is.
    pub cpu: Option<Cpu>,
    /// How many states this seat had before.
    pub restarts: u64,
}

impl Seat {
    pub(crate) fn new(worker: WorkerId) -> Seat {
        Seat { worker, cpu: None, restarts: 0 }
    }
}

/// A worker made of two closures: one that builds the state, one that handles a message.
///
/// ```
/// use chaski_pool::{Pool, worker};
///
/// let adder = worker(|_| 0_u64, |sum, number: u64, _| *sum += number);
/// let pool = Pool::builder().workers(2).start(adder)?;
/// pool.handle().send(&7_u64, 7)?;
/// # pool.drain(std::time::Duration::from_secs(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn worker<S, M, B, H>(build: B, handle: H) -> impl Worker<State = S, Message = M>
where
    S: 'static,
    M: Send + 'static,
    B: Fn(&Seat) -> S + Send + Sync + 'static,
    H: Fn(&mut S, M, &Context) + Send + Sync + 'static,
{
    Closures { build, handle, kind: std::marker::PhantomData }
}

struct Closures<S, M, B, H> {
    build: B,
    handle: H,
    /// Made and taken by the closures, held by neither: `Send` and `Sync` whatever they are.
    kind: std::marker::PhantomData<fn(M) -> S>,
}

impl<S, M, B, H> Worker for Closures<S, M, B, H>
where
    S: 'static,
    M: Send + 'static,
    B: Fn(&Seat) -> S + Send + Sync + 'static,
    H: Fn(&mut S, M, &Context) + Send + Sync + 'static,
{
    type State = S;
    type Message = M;

    fn build(&self, seat: &Seat) -> Result<S, BoxError> {
        Ok((self.build)(seat))
    }

    fn handle(&self, state: &mut S, message: M, context: &Context) {
        (self.handle)(state, message, context);
    }
}
