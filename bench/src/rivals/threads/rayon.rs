//! `rayon`: a work-stealing pool, given a job for each message, or slices of many messages.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{CAPACITY, IdleWorker, Job, Workers};

/// Messages in one piece of stealable work, where a slice is split.
const CHUNK: usize = 64;

fn pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("threads can be started")
}

/// A heap-allocated job for each message.
pub struct Spawning {
    pool: ThreadPool,
    spawn: Spawn,
}

/// Has the pool handle one message.
type Spawn = Box<dyn Fn(&ThreadPool, u64) + Send>;

/// The sum of one worker, on a line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Sum(AtomicU64);

impl Workers for Spawning {
    fn run(workers: usize, count: u64, job: Job) -> u64 {
        let sums: Vec<Sum> = (0..workers).map(|_| Sum::default()).collect();
        pool(workers).in_place_scope(|scope| {
            for message in 0..count {
                let sums = &sums;
                scope.spawn(move |_| {
                    let mine = &sums[rayon::current_thread_index().expect("a worker")].0;
                    mine.fetch_add(job.work(message), Ordering::Relaxed);
                });
            }
        });
        sums.iter().map(|sum| sum.0.load(Ordering::Relaxed)).sum()
    }
}

impl IdleWorker for Spawning {
    fn start(handle: impl Fn(u64) + Send + Sync + Clone + 'static) -> Spawning {
        let spawn = move |pool: &ThreadPool, message| {
            let handle = handle.clone();
            pool.spawn(move || handle(message));
        };
        Spawning { pool: pool(1), spawn: Box::new(spawn) }
    }

    fn send(&mut self, message: u64) {
        (self.spawn)(&self.pool, message);
    }
}

/// As many messages as a channel holds are collected, then worked on together.
#[derive(Debug)]
pub struct Collecting;

impl Workers for Collecting {
    fn run(workers: usize, count: u64, job: Job) -> u64 {
        let pool = pool(workers);
        let mut collected = Vec::with_capacity(CAPACITY);
        let (mut next, mut sum) = (0, 0);
        while next < count {
            let end = count.min(next + CAPACITY as u64);
            collected.clear();
            collected.extend(next..end);
            let chunks = || collected.par_chunks(CHUNK);
            let work = |chunk: &[u64]| chunk.iter().map(|message| job.work(*message)).sum::<u64>();
            sum += pool.install(|| chunks().map(work).sum::<u64>());
            next = end;
        }
        sum
    }
}
