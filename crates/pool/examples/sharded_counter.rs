//! A counter of words without a lock: each worker counts its own words.
//!
//! `cargo run -p chaski-pool --example sharded_counter < a-text`

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::time::Duration;

use chaski_pool::{Batch, BoxError, Context, Pool, Reply, Seat, Worker};

/// What a worker is sent.
enum Request {
    Count(String),
    /// The words it has counted most often.
    Top(usize, Reply<Vec<(String, u64)>>),
}

struct Counter;

impl Worker for Counter {
    type State = HashMap<String, u64>;
    type Message = Request;

    fn build(&self, _: &Seat) -> Result<Self::State, BoxError> {
        Ok(HashMap::new())
    }

    fn handle(&self, counts: &mut Self::State, request: Request, _: &Context) {
        match request {
            Request::Count(word) => *counts.entry(word).or_default() += 1,
            Request::Top(many, reply) => {
                let mut words: Vec<_> = counts.iter().map(|(w, n)| (w.clone(), *n)).collect();
                words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                words.truncate(many);
                // Whoever asked may have gone away.
                let _ = reply.send(words);
            }
        }
    }

    fn handle_batch(
        &self,
        counts: &mut Self::State,
        batch: &mut Batch<Request>,
        context: &Context,
    ) {
        counts.reserve(batch.len()); // grow once for the batch
        for request in batch {
            self.handle(counts, request, context);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder().name("counter").start(Counter)?;
    let counter = pool.handle();
    for line in io::stdin().lock().lines() {
        for word in line?.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            counter.send(&*word.clone(), Request::Count(word))?;
        }
    }
    let mut top = Vec::new();
    for worker in pool.workers() {
        top.extend(counter.ask_worker(worker, |reply| Request::Top(10, reply))?);
    }
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for (word, count) in top.iter().take(10) {
        println!("{count:>8} {word}");
    }
    for worker in pool.stats().iter() {
        let (handled, batches) = (worker.handled, worker.batches);
        println!("{}: {handled} messages in {batches} batches", worker.worker);
    }
    pool.drain(Duration::from_secs(5));
    Ok(())
}
