//! A thread that writes random words over a whole ring while its victims use it.
//!
//! They may be told that the ring is corrupt and may receive garbage. They must not crash, loop,
//! take more than they allow, or touch a byte beside the ring.
#![cfg(not(loom))]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use chaski_ring::region::{
    Area, Areas, Consumer, Corrupt, Fence, Layout, Memory, Observer, Producer, RecvError, SendError,
};

const CAPACITY: usize = 1024;
const LIMIT: usize = 400;
/// Words of a page.
const PAGE: usize = 512;
/// What stands in the guards.
const GUARD: u64 = 0x6775_6172_6467_7561;

/// How often each victim takes its side up anew.
const LIVES: usize = if cfg!(miri) { 3 } else { 3000 };
/// What it does in one life, if it is not told earlier that all is lost.
const STEPS: usize = if cfg!(miri) { 20 } else { 400 };

#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE]);

impl Page {
    fn full_of(value: u64) -> Page {
        Page(std::array::from_fn(|_| AtomicU64::new(value)))
    }
}

/// ```text
/// | guard | producer's header | records | guard ... | consumer's header | guard |
/// 0       1                   2                     4                   5
/// ```
#[derive(Clone)]
struct Guarded(Arc<[Page]>);

impl Guarded {
    fn new(layout: Layout) -> Guarded {
        assert!(layout.producer_len() <= 2 * PAGE * 8 && layout.consumer_len() == PAGE * 8);
        let guarded = Guarded((0..6).map(|_| Page::full_of(GUARD)).collect());
        guarded.ring().for_each(|word| word.store(0, Ordering::Relaxed));
        guarded
    }

    fn word(&self, n: usize) -> &AtomicU64 {
        &self.0[n / PAGE].0[n % PAGE]
    }

    fn is_ring(n: usize) -> bool {
        let producer = PAGE..2 * PAGE + CAPACITY / 8;
        producer.contains(&n) || (4 * PAGE..5 * PAGE).contains(&n)
    }

    /// Every word that either side may write.
    fn ring(&self) -> impl Iterator<Item = &AtomicU64> {
        (0..6 * PAGE).filter(|n| Self::is_ring(*n)).map(|n| self.word(n))
    }

    fn check(&self) {
        let hit = (0..6 * PAGE)
            .find(|n| !Self::is_ring(*n) && self.word(*n).load(Ordering::Relaxed) != GUARD);
        assert_eq!(hit, None, "a word beside the ring was written");
    }
}

// SAFETY: the pages neither move nor go before the last clone of the `Arc`, hold atomics, and are
// touched by atomic accesses alone.
unsafe impl Memory for Guarded {
    fn areas(&self) -> Areas {
        let area = |page: usize, len| Area { base: NonNull::from(&self.0[page..]).cast(), len };
        Areas { producer: area(1, PAGE * 8 + CAPACITY), consumer: area(4, PAGE * 8) }
    }
}

/// Numbers that look random (xorshift64; G. Marsaglia, Journal of Statistical Software 8, 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Words that get through the first checks: headers, small cursors, bits flipped.
    fn word(&mut self, old: u64) -> u64 {
        match self.below(6) {
            0 => self.next(),
            1 => 0,
            2 => (1 << 32) | (self.next() % 600),
            3 => (2 << 32) | (self.next() % 1024),
            4 => (self.next() % 8192) & !7,
            _ => old ^ 1 << self.below(64),
        }
    }
}

/// Writes over the words that `choose` allows, until told to stop.
fn scribble(memory: &Guarded, stop: &AtomicBool, choose: impl Fn(usize) -> bool) {
    let words: Vec<usize> = (0..6 * PAGE).filter(|n| Guarded::is_ring(*n) && choose(*n)).collect();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    while !stop.load(Ordering::Relaxed) {
        // Mostly where it hurts: the words in use and the records.
        let n = words[random.below(words.len())];
        let word = memory.word(n);
        word.store(random.word(word.load(Ordering::Relaxed)), Ordering::Relaxed);
        if random.below(4) == 0 {
            thread::yield_now();
        }
    }
}

fn produce(memory: &Guarded, layout: Layout, random: &mut Random) -> Option<Corrupt> {
    let mut producer = Producer::resume(memory.clone(), layout, Fence::Both).ok()?;
    let payload = [0xEE; CAPACITY];
    for _ in 0..STEPS {
        let payload = &payload[..random.below(layout.payload_max() + 2)];
        let sent = match random.below(4) {
            0 => producer.stage(1, payload),
            1 => producer.try_send_parts(2, &[&payload[..payload.len() / 2], payload]),
            _ => producer.try_send(payload),
        };
        let _ = producer.must_wake();
        match sent {
            Ok(()) | Err(SendError::TooLarge { .. }) => {}
            Err(SendError::Full) => {
                let _ = producer.announce();
                let _ = producer.has_room(random.below(LIMIT));
                producer.awake();
                thread::yield_now();
            }
            Err(SendError::Corrupt(corrupt)) => {
                assert_eq!(producer.try_send(b""), Err(SendError::Corrupt(corrupt)));
                return Some(corrupt);
            }
            Err(error) => panic!("{error}"),
        }
    }
    None
}

fn consume(memory: &Guarded, layout: Layout, random: &mut Random) -> Option<Corrupt> {
    let consumer = Consumer::resume(memory.clone(), layout, Fence::Both).ok()?;
    let mut consumer = consumer.limit(LIMIT).publish_every(random.below(CAPACITY));
    let (mut payload, mut slice) = (Vec::new(), [0; 50]);
    for _ in 0..STEPS {
        let received = match random.below(4) {
            0 => consumer.try_recv_slice(&mut slice).map(|record| {
                assert!(record.is_none_or(|record| record.len <= slice.len()));
                record.is_some()
            }),
            1 => consumer.skip(),
            _ => consumer.try_recv(&mut payload).map(|record| {
                assert!(record.is_none_or(|record| record.len == payload.len()));
                record.is_some()
            }),
        };
        let _ = consumer.must_wake();
        assert!(payload.capacity() <= 2 * LIMIT, "no allocation above the limit");
        match received {
            Ok(true) => {}
            Ok(false) => {
                let _ = consumer.announce();
                let _ = consumer.is_ready();
                consumer.awake();
                thread::yield_now();
            }
            Err(RecvError::TooLong { .. }) => {
                let _ = consumer.skip();
            }
            Err(RecvError::Corrupt(corrupt)) => {
                assert_eq!(consumer.is_ready(), Err(RecvError::Corrupt(corrupt)));
                return Some(corrupt);
            }
            Err(error) => panic!("{error}"),
        }
    }
    None
}

/// Runs both victims through their lives; how often each was told that the ring is corrupt.
fn torture(choose: impl Fn(usize) -> bool + Send + 'static) -> (usize, usize) {
    let layout = Layout::new(CAPACITY).unwrap();
    let memory = Guarded::new(layout);
    let stop = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        layout.format(&memory).unwrap();
        scope.spawn(|| scribble(&memory, &stop, choose));
        let producer = scope.spawn(|| {
            let mut random = Random(1);
            (0..LIVES).filter_map(|_| produce(&memory, layout, &mut random)).count()
        });
        let consumer = scope.spawn(|| {
            let mut random = Random(2);
            let lives = (0..LIVES).filter_map(|life| {
                if life % 100 == 0 {
                    // The memory is beyond repair by now; begin again.
                    layout.format(&memory).unwrap();
                }
                let _ = Observer::attach(memory.clone()).map(|observer| observer.stats());
                consume(&memory, layout, &mut random)
            });
            lives.count()
        });
        let told = (producer.join().unwrap(), consumer.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        told
    });
    memory.check();
    told
}

/// Everything but the words that never change, so that the victims come beyond the door.
fn beyond_identity(n: usize) -> bool {
    n % PAGE >= 16 || (2 * PAGE..3 * PAGE).contains(&n)
}

#[test]
fn words_anywhere_do_no_harm() {
    let (producer, consumer) = torture(beyond_identity);
    if !cfg!(miri) {
        assert!(producer > 0 && consumer > 0, "{producer} and {consumer} noticed");
    }
}

#[test]
fn words_anywhere_at_all_do_no_harm() {
    let _ = torture(|_| true);
}

/// What a hostile producer can reach, if its consumer's area is read-only to it: the consumer may
/// suffer, the producer's own view of the head is sound.
#[test]
fn words_in_the_records_do_no_harm() {
    let (_, consumer) = torture(|n| (2 * PAGE..3 * PAGE).contains(&n));
    if !cfg!(miri) {
        assert!(consumer > 0);
    }
}
