//! What a publication costs, by the number of subscribers: nanoseconds for a record of 64 bytes.
//!
//! ```text
//! cargo run --release -p chaski-ring --example region_broadcast
//! ```

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_ring::region::broadcast::{
    Key, Layout, Policy, PublishError, Publisher, RecvError, Subscriber,
};
use chaski_ring::region::{Fence, HeapExtent};

const CAPACITY: usize = 256 * 1024;
const PAYLOAD: [u8; 64] = [7; 64];
const ROUNDS: usize = 5;
const RECORDS: u32 = 200_000;

type Out = Publisher<HeapExtent>;
type In = Subscriber<HeapExtent>;

/// A fence of the sleeper's that nobody here needs, for nobody sleeps.
const SLEEPER_PAYS: Fence = Fence::Sleeper(|| {});

fn broadcast(policy: Policy, subscribers: usize) -> (Out, Vec<(Key, In)>) {
    let layout = Layout::new(CAPACITY).unwrap();
    let area = HeapExtent::new(layout.publisher_len());
    let mut publisher = Publisher::new(area.clone(), layout, 0, SLEEPER_PAYS).unwrap();
    let subscribers = (0..subscribers)
        .map(|_| {
            let page = HeapExtent::new(layout.subscriber_len());
            layout.format_subscriber(&page).unwrap();
            let (key, start) = publisher.subscribe(page.clone(), policy, 0).unwrap();
            let (area, fence) = (area.clone(), SLEEPER_PAYS);
            (key, Subscriber::attach(area, page, layout, start, fence).unwrap())
        })
        .collect();
    (publisher, subscribers)
}

/// The median of some rounds of publishing, in nanoseconds for a record.
fn measure(publisher: &mut Out, batch: u32, mut each: impl FnMut(&mut Out)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            for n in 0..RECORDS {
                while publisher.stage(0, black_box(&PAYLOAD)) == Err(PublishError::Full) {
                    thread::yield_now();
                }
                if n % batch == 0 {
                    publisher.publish();
                    each(publisher);
                }
            }
            begin.elapsed().as_nanos() as f64 / f64::from(RECORDS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Reads until told to stop; records taken and lost.
fn read(mut subscriber: In, stop: &AtomicBool) -> (u64, u64) {
    let (mut payload, mut received) = ([0; 64], 0);
    while !stop.load(Ordering::Relaxed) {
        match subscriber.try_recv_slice(&mut payload) {
            Ok(Some(_)) => received += 1,
            Ok(None) => thread::yield_now(),
            Err(RecvError::Lagged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        black_box(&payload);
    }
    (received, subscriber.lost())
}

/// Subscribers that are there and do not read.
fn idle(subscribers: usize) {
    let (mut publisher, readers) = broadcast(Policy::DropOldest, subscribers);
    let keys: Vec<Key> = readers.iter().map(|(key, _)| *key).collect();
    let alone = measure(&mut publisher, 1, |_| {});
    let asking = measure(&mut publisher, 1, |publisher| {
        for key in &keys {
            black_box(publisher.must_wake(*key));
        }
    });
    let batch = measure(&mut publisher, 16, |_| {});
    println!(
        "{subscribers:>4} not reading: {alone:6.1}, asked who sleeps {asking:6.1}, \
         batches of 16 {batch:6.1}"
    );
}

/// Subscribers that read, each on a thread of its own.
fn reading(policy: Policy, subscribers: usize) {
    let (mut publisher, readers) = broadcast(policy, subscribers);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = readers
            .into_iter()
            .map(|(_, subscriber)| scope.spawn(|| read(subscriber, &stop)))
            .collect();
        thread::sleep(Duration::from_millis(20));
        let alone = measure(&mut publisher, 1, |_| {});
        let batch = measure(&mut publisher, 16, |_| {});
        stop.store(true, Ordering::Relaxed);
        let ends = readers.into_iter().map(|reader| reader.join().unwrap());
        let (received, lost) = ends.fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        let share = 100.0 * lost as f64 / (received + lost).max(1) as f64;
        println!(
            "{subscribers:>4} {policy:?}: {alone:6.1}, batches of 16 {batch:6.1}, lost {share:.1} %"
        );
    });
}

fn main() {
    println!("ns for a record of 64 bytes, in {} KiB, median of {ROUNDS} rounds", CAPACITY / 1024);
    [0, 1, 8, 100].into_iter().for_each(idle);
    for policy in [Policy::DropOldest, Policy::Block] {
        [1, 8].into_iter().for_each(|subscribers| reading(policy, subscribers));
    }
}
