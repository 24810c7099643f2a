//! A counter by key, spread over workers that share nothing: no lock, no atomic.
//!
//! The pool's partitioner gives each page to one worker, which alone counts its visits in a map of
//! its own. A producer pushes straight into that worker's queue. A total is a question to every
//! worker, and the answers are added up.
//!
//!     cargo run --release -p chaski --example sharded_counter

use std::collections::HashMap;
use std::error::Error;
use std::thread;

use chaski::pool::{BoxError, Context, Handle, Pool, Reply, Seat, Worker};

/// What the workers are sent.
enum Message {
    Visit(&'static str),
    CountOf(&'static str, Reply<u64>),
    Total(Reply<u64>),
}

struct Counter;

impl Worker for Counter {
    type State = HashMap<&'static str, u64>;
    type Message = Message;

    fn build(&self, _: &Seat) -> Result<Self::State, BoxError> {
        Ok(HashMap::new())
    }

    fn handle(&self, visits: &mut Self::State, message: Message, _: &Context) {
        // A reply fails if nobody waits for it any more, which is no concern of ours.
        match message {
            Message::Visit(page) => *visits.entry(page).or_default() += 1,
            Message::CountOf(page, reply) => {
                let _ = reply.send(visits.get(page).copied().unwrap_or(0));
            }
            Message::Total(reply) => {
                let _ = reply.send(visits.values().sum());
            }
        }
    }
}

const PAGES: [&str; 4] = ["/", "/docs", "/blog", "/about"];

fn main() -> Result<(), Box<dyn Error>> {
    let counts = count(2, 100_000)?;
    for (page, visits) in PAGES.iter().zip(counts.pages) {
        println!("{page:8} {visits}");
    }
    println!("total    {}", counts.total);
    Ok(())
}

struct Counts {
    pages: Vec<u64>,
    total: u64,
}

/// So many producers, of which each visits the pages in turn so many times.
fn count(producers: usize, visits: usize) -> Result<Counts, Box<dyn Error>> {
    let pool: Pool<str, Message> = Pool::builder().workers(3).name("counter").start(Counter)?;
    thread::scope(|scope| {
        for _ in 0..producers {
            let handle = pool.handle();
            scope.spawn(move || visit(&handle, visits));
        }
    });
    let handle = pool.handle();
    let ask = |page| handle.ask(page, |reply| Message::CountOf(page, reply));
    let pages = PAGES.into_iter().map(ask).collect::<Result<_, _>>()?;
    let mut total = 0;
    for worker in handle.workers() {
        total += handle.ask_worker(worker, Message::Total)?;
    }
    Ok(Counts { pages, total })
}

fn visit(handle: &Handle<str, Message>, visits: usize) {
    for page in PAGES.into_iter().cycle().take(visits) {
        // Waits while the worker's queue is full: it sets the pace.
        if handle.send(page, Message::Visit(page)).is_err() {
            return;
        }
    }
}

#[test]
fn every_visit_is_counted() {
    let counts = count(3, 1000).unwrap();
    assert_eq!(counts.pages, [750; 4]);
    assert_eq!(counts.total, 3000);
}
