//! A thread that writes random words over all of a broadcast while its victims use it.
//!
//! They may be told that the ring is corrupt or that records were lost, may be cut off, and may
//! receive garbage. They must not crash, loop, take more than they allow, hold each other up, or
//! touch a byte beside what is theirs.
#![cfg(not(loom))]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_ring::region::broadcast::{
    Key, Layout, Policy, PublishError, Publisher, RecvError, Start, Subscriber,
};
use chaski_ring::region::{Area, Extent, Fence};

const CAPACITY: usize = 1024;
const LIMIT: usize = 400;
/// Words of a page.
const PAGE: usize = 512;
/// What stands in the guards.
const GUARD: u64 = 0x6775_6172_6467_7561;

/// How often each victim begins anew.
const LIVES: usize = if cfg!(miri) { 3 } else { 2000 };
/// What it does in one life, if it is not told earlier that all is lost.
const STEPS: usize = if cfg!(miri) { 20 } else { 300 };
/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE]);

/// Words between two pages of guards.
#[derive(Clone)]
struct Guarded {
    pages: Arc<[Page]>,
    len: usize,
}

impl Guarded {
    fn new(len: usize) -> Guarded {
        let full = |_| Page(std::array::from_fn(|_| AtomicU64::new(GUARD)));
        Guarded { pages: (0..2 + len.div_ceil(PAGE * 8)).map(full).collect(), len }
    }

    /// The word `n` of what is between the guards.
    fn word(&self, n: usize) -> &AtomicU64 {
        &self.pages[1 + n / PAGE].0[n % PAGE]
    }

    fn check(&self) {
        let words = self.pages.iter().flat_map(|page| &page.0).enumerate();
        let inside = PAGE..PAGE + self.len / 8;
        let hit = words
            .filter(|(n, _)| !inside.contains(n))
            .find(|(_, word)| word.load(Ordering::Relaxed) != GUARD);
        assert!(hit.is_none(), "a word beside the area was written");
    }
}

// SAFETY: the pages neither move nor go before the last clone of the `Arc`, hold atomics, and are
// touched by atomic accesses alone.
unsafe impl Extent for Guarded {
    fn area(&self) -> Area {
        Area { base: NonNull::from(&self.pages[1..]).cast(), len: self.len }
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

    /// Words that get through the first checks: headers, small positions, bits flipped.
    fn word(&mut self, old: u64) -> u64 {
        match self.below(6) {
            0 => self.next(),
            1 => 0,
            2 => (1 << 32) | (self.next() % 600),
            3 => (2 << 32) | (self.next() % 1024),
            4 => old.wrapping_add((self.next() % 512) & !7),
            _ => old ^ 1 << self.below(64),
        }
    }
}

/// Writes over the words from `first` on until told to stop: more to the first of them.
fn scribble(memory: &Guarded, first: usize, stop: &AtomicBool) {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    while !stop.load(Ordering::Relaxed) {
        let count = memory.len / 8 - first;
        let n = first + if random.below(3) == 0 { random.below(64) } else { random.below(count) };
        let word = memory.word(n);
        word.store(random.word(word.load(Ordering::Relaxed)), Ordering::Relaxed);
        if random.below(4) == 0 {
            thread::yield_now();
        }
    }
}

/// Tells whoever scribbles to stop, also if its victim's test fails: else nobody would hear of it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes those that were cut off from the bad ones; how many they were.
fn take_cut_off(publisher: &mut Publisher<Guarded>, bad_keys: &mut Vec<Key>) -> usize {
    let before = bad_keys.len();
    while let Some((key, _)) = publisher.cut_off() {
        assert!(bad_keys.contains(&key), "an honest one was cut off");
        bad_keys.retain(|other| *other != key);
    }
    before - bad_keys.len()
}

/// A subscriber in its life; whether it was told that the ring is corrupt.
fn subscribe(area: &Guarded, layout: Layout, start: Start, random: &mut Random) -> bool {
    let page = Guarded::new(layout.subscriber_len());
    layout.format_subscriber(&page).unwrap();
    let fence = Fence::Both;
    let Ok(subscriber) = Subscriber::attach(area.clone(), page.clone(), layout, start, fence)
    else {
        return false;
    };
    let mut subscriber = subscriber.limit(LIMIT).publish_every(random.below(CAPACITY));
    let (mut payload, mut slice) = (Vec::new(), [0; 50]);
    for _ in 0..STEPS {
        let before = subscriber.sequence();
        let received = match random.below(4) {
            0 => subscriber.try_recv_slice(&mut slice),
            1 => subscriber.skip().map(|_| None),
            _ => subscriber.try_recv(&mut payload),
        };
        let _ = subscriber.must_wake();
        assert!(payload.capacity() <= 2 * LIMIT, "no allocation above the limit");
        match received {
            Ok(Some(record)) => assert_eq!(record.sequence, before),
            Ok(None) => {
                let _ = subscriber.announce();
                let _ = subscriber.is_ready();
                subscriber.awake();
                thread::yield_now();
            }
            Err(RecvError::Lagged { lost }) => {
                assert_eq!(subscriber.sequence(), before.wrapping_add(lost));
            }
            Err(RecvError::TooLong { .. }) => {
                let _ = subscriber.skip();
            }
            Err(RecvError::Corrupt(corrupt)) => {
                assert_eq!(subscriber.is_ready(), Err(RecvError::Corrupt(corrupt)));
                return true;
            }
            Err(error) => panic!("{error}"),
        }
    }
    page.check();
    false
}

#[test]
fn words_anywhere_in_the_ring_do_no_harm() {
    let layout = Layout::new(CAPACITY).unwrap();
    let area = Guarded::new(layout.publisher_len());
    let stop = AtomicBool::new(false);
    let mut publisher = Publisher::new(area.clone(), layout, 3, Fence::Both).unwrap();
    let told = thread::scope(|scope| {
        // Behind the words that never change, so that the victims come beyond the door.
        scope.spawn(|| scribble(&area, 16, &stop));
        let _stop = Stop(&stop);
        let victim = scope.spawn(|| {
            let mut random = Random(1);
            let lives = (0..LIVES).filter(|_| {
                // Where the ring is now, as far as it can be told.
                let position = area.word(32).load(Ordering::Relaxed) & 0xffff_fff8;
                let start = Start { position, sequence: random.next() % 8 };
                subscribe(&area, layout, start, &mut random)
            });
            lives.count()
        });
        let mut random = Random(2);
        while !victim.is_finished() {
            let len = random.below(layout.payload_max() + 1);
            publisher.try_publish(1, &[0xEE; CAPACITY][..len]).expect("nobody is waited for");
            thread::yield_now();
        }
        victim.join().unwrap()
    });
    area.check();
    if !cfg!(miri) {
        assert!(told > 0, "{told} noticed");
    }
}

/// Two honest subscribers, and two whose pages are written over all the time.
#[test]
fn words_anywhere_in_a_page_harm_only_its_owner() {
    let layout = Layout::new(CAPACITY).unwrap();
    let area = Guarded::new(layout.publisher_len());
    let page = || {
        let page = Guarded::new(layout.subscriber_len());
        layout.format_subscriber(&page).unwrap();
        page
    };
    let mut publisher = Publisher::new(area.clone(), layout, 3, Fence::Both).unwrap();
    let mut honest: Vec<_> = [Policy::Block, Policy::DropOldest]
        .into_iter()
        .map(|policy| {
            let page = page();
            let (key, start) = publisher.subscribe(page.clone(), policy, 0).unwrap();
            let attached = Subscriber::attach(area.clone(), page, layout, start, Fence::Both);
            (key, attached.unwrap())
        })
        .collect();
    let (bad, stop, cut) = (page(), AtomicBool::new(false), &mut 0);
    thread::scope(|scope| {
        // Also over the doze; not over the name, which is looked at by `subscribe`.
        scope.spawn(|| scribble(&bad, 16, &stop));
        let _stop = Stop(&stop);
        let mut bad_keys = Vec::new();
        let mut payload = Vec::new();
        let begun = Instant::now();
        for n in 0.. {
            if n >= LIVES * STEPS / 10 {
                if *cut > 0 || cfg!(miri) || begun.elapsed() > LONG {
                    break;
                }
                // On one core it may be that nobody has scribbled yet.
                thread::yield_now();
            }
            if bad_keys.is_empty() {
                for policy in [Policy::Block, Policy::Disconnect] {
                    bad_keys.push(publisher.subscribe(bad.clone(), policy, 0).unwrap().0);
                }
            }
            match publisher.try_publish(n as u16, &n.to_ne_bytes()) {
                Ok(()) => {}
                // Its cursor may be sound and stay so for long: then it is not read, but waited
                // for.
                Err(PublishError::Full) => {
                    // Beside the one that is waited for, the other may have been cut off.
                    *cut += take_cut_off(&mut publisher, &mut bad_keys);
                    bad_keys.drain(..).for_each(|key| assert!(publisher.unsubscribe(key)));
                    publisher.try_publish(n as u16, &n.to_ne_bytes()).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
            *cut += take_cut_off(&mut publisher, &mut bad_keys);
            for key in &bad_keys {
                let _ = publisher.must_wake(*key);
            }
            for (key, subscriber) in &mut honest {
                let _ = publisher.must_wake(*key);
                let record = subscriber.try_recv(&mut payload).unwrap().expect("was published");
                assert_eq!((record.sequence, &payload[..]), (n as u64, &n.to_ne_bytes()[..]));
            }
        }
    });
    area.check();
    bad.check();
    if !cfg!(miri) {
        assert!(*cut > 0, "{cut} were cut off");
    }
}
