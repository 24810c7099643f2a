//! Workers whose handlers await.

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;

use crate::partition::WorkerId;
use crate::shard::Orders;
use crate::topology::Cpu;
use crate::worker::{BoxError, Seat};

/// A kind of worker whose handlers await: on answers of other workers, on sockets, on timers.
///
/// Each worker runs its handlers on its own thread, up to
/// [`Builder::concurrency`](crate::Builder::concurrency) of them at a time. They begin in the order
/// of the queue and end in any; with a concurrency of 1 each ends before the next begins. They
/// share the state by `&`, and as no two run at the same instant a `Cell` or a `RefCell` in it is
/// enough (do not hold a borrow over an `await`). Neither state nor futures need to be `Send`.
///
/// No executor is needed; with the feature `tokio`,
/// [`Builder::tokio`](crate::Builder::tokio) runs the handlers on a current-thread runtime of the
/// worker's own, with its sockets and timers.
///
/// ```
/// use chaski_pool::{AsyncWorker, BoxError, Handle, Pool, Reply, Seat, TaskContext};
/// use std::cell::Cell;
///
/// /// Asks another pool for the price of each article, and adds up.
/// struct Shopping { prices: Handle<str, (String, Reply<u64>)> }
///
/// enum Order { Buy(String), Total(Reply<u64>) }
///
/// impl AsyncWorker for Shopping {
///     type State = Cell<u64>;
///     type Message = Order;
///
///     async fn build(&self, _: &Seat) -> Result<Cell<u64>, BoxError> {
///         Ok(Cell::new(0))
///     }
///
///     async fn handle(&self, sum: &Cell<u64>, order: Order, _: &TaskContext) {
///         match order {
///             Order::Buy(article) => {
///                 let key = article.clone();
///                 let price = self.prices.ask_async(&*key, |reply| (article, reply)).await;
///                 sum.set(sum.get() + price.unwrap_or(0));
///             }
///             Order::Total(reply) => drop(reply.send(sum.get())),
///         }
///     }
/// }
///
/// let lengths = chaski_pool::worker(
///     |_| (),
///     |(), (article, reply): (String, Reply<u64>), _| drop(reply.send(article.len() as u64)),
/// );
/// let prices = Pool::builder().workers(1).start(lengths)?;
/// let shop = Pool::builder().workers(1).concurrency(1);
/// let shop = shop.start_async(Shopping { prices: prices.handle() })?;
/// let orders = shop.handle();
/// for article in ["pen", "paper"] {
///     orders.send("me", Order::Buy(article.to_owned()))?;
/// }
/// assert_eq!(orders.ask("me", Order::Total)?, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Panics.** A handler that panics is dropped, and its message counts as lost. If the worker is
/// restarted, handlers that began before it go on with the old state, which is dropped with the
/// last of them.
pub trait AsyncWorker: Send + Sync + 'static {
    /// What one worker owns.
    type State;
    /// What it is sent.
    type Message: Send + 'static;

    /// Builds the state, as [`Worker::build`](crate::Worker::build). No handler runs meanwhile.
    ///
    /// # Errors
    ///
    /// Any, with the same consequences as there.
    fn build(&self, seat: &Seat) -> impl Future<Output = Result<Self::State, BoxError>>;

    /// Handles one message.
    fn handle(
        &self,
        state: &Self::State,
        message: Self::Message,
        context: &TaskContext,
    ) -> impl Future<Output = ()>;

    /// Called every [`Builder::tick`](crate::Builder::tick), if that was set, unless the last one
    /// still runs. It runs among the handlers, and counts as one of them.
    fn tick(&self, state: &Self::State, context: &TaskContext) -> impl Future<Output = ()> {
        let _ = (state, context);
        ready(())
    }

    /// Takes the state back when the worker leaves in order; no handler runs any more.
    fn stop(&self, state: Self::State, context: &TaskContext) -> impl Future<Output = ()> {
        let _ = context;
        drop(state);
        ready(())
    }

    /// A message that no handler has begun and none will, as
    /// [`Worker::undelivered`](crate::Worker::undelivered).
    fn undelivered(&self, message: Self::Message, worker: WorkerId) {
        let _ = worker;
        drop(message);
    }
}

/// What a handler that awaits sees of the worker it runs on.
///
/// There is no arena in it: handlers overlap, so there is no end of a batch to reset one at.
pub struct TaskContext {
    pub(crate) seat: Seat,
    pub(crate) orders: Arc<Orders>,
}

impl TaskContext {
    /// The worker's id.
    pub fn worker(&self) -> WorkerId {
        self.seat.worker
    }

    /// The CPU its thread is bound to, if it is.
    pub fn cpu(&self) -> Option<Cpu> {
        self.seat.cpu
    }

    /// How often its state had been built anew when this handler began.
    pub fn restarts(&self) -> u64 {
        self.seat.restarts
    }

    /// Whether the worker is to stop at once, which drops its handlers where they await.
    pub fn is_stopping(&self) -> bool {
        self.orders.stop()
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("seat", &self.seat).finish_non_exhaustive()
    }
}
