//! `chaski-pool`: the product's own workers, each with a queue that its senders push to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chaski_pool::partition::RoundRobin;
use chaski_pool::{BoxError, Context, Handle, Pool, Seat, Worker, worker};

use super::{CAPACITY, IdleWorker, Job, Workers};

/// Longer than anything takes that is measured here.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Messages go round, as with a channel for each worker.
fn builder(workers: usize) -> chaski_pool::Builder<RoundRobin> {
    Pool::builder().workers(workers).queue(CAPACITY).partitioner(RoundRobin::new())
}

/// Works on each message and adds it up; what it has goes to the total when it leaves.
struct Adder {
    job: Job,
    total: Arc<AtomicU64>,
}

impl Worker for Adder {
    type State = u64;
    type Message = u64;

    fn build(&self, _: &Seat) -> Result<u64, BoxError> {
        Ok(0)
    }

    fn handle(&self, sum: &mut u64, message: u64, _: &Context) {
        *sum += self.job.work(message);
    }

    fn stop(&self, sum: u64, _: &Context) {
        self.total.fetch_add(sum, Ordering::Relaxed);
    }
}

/// A pool of workers.
pub struct Pooled {
    handle: Handle<u64, u64>,
    _pool: Pool<u64, u64>,
}

impl Workers for Pooled {
    fn run(workers: usize, count: u64, job: Job) -> u64 {
        let total = Arc::new(AtomicU64::new(0));
        let adder = Adder { job, total: Arc::clone(&total) };
        let pool: Pool<u64, u64> = builder(workers).start(adder).expect("workers can be started");
        let handle = pool.handle();
        for message in 0..count {
            handle.send(&message, message).expect("a worker is gone");
        }
        let report = pool.drain(DRAIN_MAX);
        assert_eq!((report.left, report.stuck), (0, 0), "messages were left");
        total.load(Ordering::Relaxed)
    }
}

impl IdleWorker for Pooled {
    fn start(handle: impl Fn(u64) + Send + Sync + Clone + 'static) -> Pooled {
        let handler = worker(|_| (), move |_, message, _| handle(message));
        let pool = builder(1).start(handler).expect("a worker can be started");
        Pooled { handle: pool.handle(), _pool: pool }
    }

    fn send(&mut self, message: u64) {
        self.handle.send(&message, message).expect("the worker is gone");
    }
}
