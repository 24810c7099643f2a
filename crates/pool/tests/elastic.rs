//! Workers join and leave while producers send.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_pool::partition::{Consistent, LeastLoaded, Partitioner, RoundRobin};
use chaski_pool::{
    Handle, Placement, Pool, Refusal, Report, UnknownWorker, Wait, WorkerId, Workers,
};
use common::{Job, LONG, Ledger, Notebook, drain, hold};

fn id(number: u32) -> WorkerId {
    WorkerId::new(number)
}

/// Counts what the pool tells it.
struct Told<P> {
    inner: P,
    joined: Arc<AtomicU32>,
    left: Arc<AtomicU32>,
}

impl<P: Partitioner<u32>> Partitioner<u32> for Told<P> {
    fn pick(&self, key: &u32, workers: &Workers<'_>) -> usize {
        self.inner.pick(key, workers)
    }

    fn joined(&self, worker: WorkerId) {
        self.joined.fetch_add(1, Ordering::Relaxed);
        self.inner.joined(worker);
    }

    fn left(&self, worker: WorkerId) {
        self.left.fetch_add(1, Ordering::Relaxed);
        self.inner.left(worker);
    }
}

/// Three producers send for as long as workers come and go; each message is handled exactly once.
fn churn(partitioner: impl Partitioner<u32> + 'static) {
    const EACH: u32 = 1_000_000;
    let ledger = Ledger::new(3 * EACH);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool = Pool::builder().workers(2).queue(64).partitioner(partitioner);
    let pool: Pool<u32, Job> = pool.start(notebook).unwrap();
    let running = AtomicBool::new(true);
    let sent: u32 = thread::scope(|scope| {
        let producers: Vec<_> = (0..3)
            .map(|producer: u32| {
                let (mut handle, running) = (pool.handle(), &running);
                scope.spawn(move || {
                    let mut numbers = producer * EACH..(producer + 1) * EACH;
                    while running.load(Ordering::Relaxed) {
                        let Some(number) = numbers.next() else { break };
                        handle.send(&number, Job::Note(number)).unwrap();
                        if number % 1000 == 0 {
                            handle.refresh();
                        }
                    }
                    numbers.start - producer * EACH
                })
            })
            .collect();
        // The producers may be slow to begin.
        let begun = Instant::now();
        while ledger.total_handled() == 0 && begun.elapsed() < LONG {
            thread::yield_now();
        }
        // On one core the producers may be asleep for all of the first rounds.
        let (mut rounds, mut handled) = (0, 0);
        while rounds < 20 || (handled == 0 && begun.elapsed() < LONG) {
            let new = pool.add_worker().unwrap();
            assert_eq!(new, id(2 + rounds));
            let report = pool.remove_worker(id(1 + rounds), LONG).unwrap();
            assert_eq!((report.left, report.stuck), (0, 0));
            (rounds, handled) = (rounds + 1, handled + report.handled);
        }
        running.store(false, Ordering::Relaxed);
        assert!(handled > 0, "those that left had work to do");
        assert_eq!(pool.workers(), [id(0), id(1 + rounds)]);
        producers.into_iter().map(|producer| producer.join().unwrap()).sum()
    });
    drain(pool);
    assert_eq!(ledger.total_handled(), sent);
    assert!((0..3 * EACH).all(|number| ledger.handled(number) <= 1));
}

#[test]
fn every_message_is_handled_once_with_consistent() {
    churn(Consistent::new());
}

#[test]
fn every_message_is_handled_once_with_round_robin() {
    churn(RoundRobin::new());
}

#[test]
fn every_message_is_handled_once_with_least_loaded() {
    churn(LeastLoaded::new());
}

#[test]
fn partitioners_are_told_once_of_each_change() {
    let (joined, left) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let told = Told { inner: Consistent::new(), joined: joined.clone(), left: left.clone() };
    let pool = Pool::builder().workers(2).partitioner(told).restart(chaski_pool::Restart::Never);
    let pool: Pool<u32, Job> = pool.start(Notebook::default()).unwrap();
    let counts = || (joined.load(Ordering::Relaxed), left.load(Ordering::Relaxed));
    assert_eq!(counts(), (2, 0));
    pool.add_worker().unwrap();
    pool.restart_worker(id(0)).unwrap();
    assert_eq!(counts(), (3, 0));
    pool.remove_worker(id(1), LONG).unwrap();
    assert_eq!(counts(), (3, 1));
    pool.handle().send_to(id(2), Job::Panic).unwrap();
    while counts().1 == 1 {
        thread::yield_now();
    }
    pool.remove_worker(id(2), LONG).unwrap();
    assert_eq!(counts(), (3, 2), "it had left when it died");
    drop(pool);
    assert_eq!(counts(), (3, 2));
}

#[test]
fn a_worker_that_leaves_handles_its_queue_first_and_producers_go_elsewhere() {
    let ledger = Ledger::new(100);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool: Pool<u32, Job> = Pool::builder().workers(2).start(notebook).unwrap();
    let handle = pool.handle();
    let (held, holder) = hold();
    handle.send_to(id(0), Job::Hold(held)).unwrap();
    holder.entered();
    (0..50).for_each(|number| handle.send_to(id(0), Job::Note(number)).unwrap());
    thread::scope(|scope| {
        let removing = scope.spawn(|| pool.remove_worker(id(0), LONG).unwrap());
        while handle.workers() != [id(1)] {
            thread::yield_now();
        }
        assert_eq!(
            handle.send_to(id(0), Job::Note(0)).unwrap_err().reason,
            Refusal::Unknown(id(0))
        );
        // The handle was made before; it goes by the newest view.
        (50..100).for_each(|number| handle.send(&number, Job::Note(number)).unwrap());
        assert_eq!(handle.ask_worker(id(1), Job::Notes).unwrap().len(), 50);
        drop(holder);
        let report = removing.join().unwrap();
        assert_eq!((report.handled, report.left, report.stuck), (51, 0, 0));
    });
    assert!((0..100).all(|number| ledger.handled(number) == 1));
}

#[test]
fn a_worker_that_does_not_leave_in_time_is_left_behind() {
    let ledger = Ledger::new(10);
    let notebook = Notebook { ledger: Arc::clone(&ledger), ..Notebook::default() };
    let pool: Pool<u32, Job> = Pool::builder().workers(2).start(notebook).unwrap();
    let handle = pool.handle();
    let (held, holder) = hold();
    handle.send_to(id(1), Job::Hold(held)).unwrap();
    holder.entered();
    (0..10).for_each(|number| handle.send_to(id(1), Job::Note(number)).unwrap());
    let Report { handled, left, stuck, .. } =
        pool.remove_worker(id(1), Duration::from_millis(5)).unwrap();
    assert_eq!((handled, left, stuck), (0, 11, 1));
    assert_eq!(pool.remove_worker(id(1), LONG), Err(UnknownWorker(id(1))));
    assert_eq!(pool.restart_worker(id(1)), Err(UnknownWorker(id(1))));
    drop(holder);
    while ledger.total_undelivered() < 10 {
        thread::yield_now();
    }
    assert_eq!(ledger.total_handled(), 0);
}

#[test]
fn a_producer_that_waits_at_a_worker_that_leaves_goes_to_another() {
    let pool = Pool::builder().workers(2).queue(2).start(Notebook::default()).unwrap();
    let handle: Handle<u32, Job> = pool.handle();
    let (held, holder) = hold();
    let key = (0..).find(|key| {
        handle.send(key, Job::Note(*key)).unwrap();
        handle.ask_worker(id(1), Job::Notes).unwrap().contains(key)
    });
    let key = key.unwrap();
    handle.send_to(id(1), Job::Hold(held)).unwrap();
    holder.entered();
    while handle.try_send_to(id(1), Job::Note(0)).is_ok() {}
    let waiting = thread::spawn({
        let handle = handle.clone();
        move || handle.send(&key, Job::Note(77)).unwrap()
    });
    while handle.stats().worker(id(1)).is_none_or(|worker| worker.depth == 0) {
        thread::yield_now();
    }
    assert_eq!(pool.remove_worker(id(1), Duration::ZERO).unwrap().stuck, 1);
    waiting.join().unwrap();
    assert!(handle.ask_worker(id(0), Job::Notes).unwrap().contains(&77));
    drop(holder);
}

#[test]
fn a_pool_without_workers_refuses_and_can_grow_again() {
    let pool = Pool::builder().workers(1).wait(Wait::Park).placement(Placement::Compact);
    let pool: Pool<u32, Job> = pool.start(Notebook::default()).unwrap();
    let handle = pool.handle();
    pool.remove_worker(id(0), LONG).unwrap();
    assert_eq!(handle.send(&0, Job::Note(0)).unwrap_err().reason, Refusal::NoWorkers);
    assert_eq!(pool.add_worker().unwrap(), id(1));
    handle.send(&0, Job::Note(0)).unwrap();
    drain(pool);
}

#[test]
fn a_worker_that_cannot_join_changes_nothing() {
    let builds = Some(Arc::new(AtomicU32::new(2)));
    let notebook = Notebook { builds, ..Notebook::default() };
    let pool: Pool<u32, Job> = Pool::builder().workers(2).start(notebook).unwrap();
    assert!(pool.add_worker().unwrap_err().to_string().contains("worker 2"));
    assert_eq!(pool.workers(), [id(0), id(1)]);
    assert!((0..10).all(|key| pool.handle().send(&key, Job::Note(key)).is_ok()));
}
