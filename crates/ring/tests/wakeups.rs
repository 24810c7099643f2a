//! Lost wake-ups in the real machine, with the real `membarrier`: conversations and bursts with
//! random pauses, so that sleeps fall on either side of publishes, and the traffic changes between
//! *calm* and *fenced*. A wake-up that is lost shows as no progress.
#![cfg(not(any(loom, miri)))]

mod stress;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chaski_ring::{Wait, mpmc, mpsc, spsc};
use stress::{Chance, seed, watched};

/// Rounds of each program; a round is a message there and back, or a burst.
const ROUNDS: u64 = 20_000;

/// Nothing, a few hundred nanoseconds or microseconds, a slice given away, or a true sleep.
fn dawdle(chance: &mut Chance) {
    match chance.below(200) {
        0 => thread::sleep(Duration::from_micros(chance.below(100))),
        1..5 => thread::yield_now(),
        5..60 => (0..chance.below(2_000)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

fn wait(chance: &mut Chance) -> Wait {
    [Wait::Park, Wait::Adaptive][chance.below(2) as usize]
}

#[test]
fn a_conversation() {
    watched(seed(), |seed, progress| {
        let mut chance = Chance::new(seed);
        let (mut ask, asked) = spsc::channel(4);
        let (mut reply, replied) = spsc::channel(4);
        let mut asked = asked.with_wait(wait(&mut chance));
        let mut replied = replied.with_wait(wait(&mut chance));
        let other = thread::spawn(move || {
            let mut chance = Chance::new(seed ^ 1);
            while let Ok(n) = asked.recv() {
                dawdle(&mut chance);
                reply.send(n).unwrap();
            }
        });
        for n in 0..ROUNDS {
            dawdle(&mut chance);
            ask.send(n).unwrap();
            assert_eq!(replied.recv(), Ok(n));
            progress.fetch_add(1, Ordering::Relaxed);
        }
        drop(ask);
        other.join().unwrap();
    });
}

/// Bursts of up to 200 messages, then silence until all have come: from calm to fenced and back.
#[test]
fn bursts() {
    watched(seed(), |seed, progress| {
        let mut chance = Chance::new(seed);
        let capacity = [1, 2, 8, 64, 500][chance.below(5) as usize];
        let (tx, rx) = spsc::channel(capacity);
        let (mut tx, mut rx) = (tx.with_wait(wait(&mut chance)), rx.with_wait(wait(&mut chance)));
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let other = thread::spawn(move || {
            let mut chance = Chance::new(seed ^ 1);
            while rx.recv().is_ok() {
                count.fetch_add(1, Ordering::Release);
                dawdle(&mut chance);
            }
        });
        let mut sent = 0;
        while sent < ROUNDS {
            let burst = 1 + chance.below(200);
            for _ in 0..burst {
                tx.send(()).unwrap();
            }
            sent += burst;
            while received.load(Ordering::Acquire) < sent {
                thread::yield_now();
            }
            progress.fetch_add(1, Ordering::Relaxed);
            dawdle(&mut chance);
        }
        drop(tx);
        other.join().unwrap();
    });
}

/// One token for each two threads goes round: every one who sleeps is woken, or it stands still.
#[test]
fn tokens_between_many_receivers_and_senders() {
    watched(seed(), |seed, progress| {
        let (tx, rx) = mpmc::channel(1);
        let hops = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (tx, rx) = (tx.clone(), rx.clone());
                let (hops, progress) = (Arc::clone(&hops), Arc::clone(progress));
                thread::spawn(move || {
                    let mut chance = Chance::new(seed ^ n);
                    let rx = rx.with_wait(wait(&mut chance));
                    while let Ok(token) = rx.recv() {
                        dawdle(&mut chance);
                        progress.fetch_add(1, Ordering::Relaxed);
                        if hops.fetch_add(1, Ordering::Relaxed) >= ROUNDS {
                            tx.close();
                        }
                        // Two tokens and one place: one sends while the other is received.
                        if tx.send(token).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Senders that each have one message and are gone: none of them sleeps beside room.
#[test]
fn a_crowd_of_senders_for_little_room() {
    watched(seed(), |seed, progress| {
        let mut chance = Chance::new(seed);
        for _ in 0..10 {
            let capacity = [1, 2, 16, 32][chance.below(4) as usize];
            let (tx, mut rx) = mpsc::channel(capacity);
            let senders: Vec<_> = (0..64u64)
                .map(|n| {
                    let tx = tx.clone();
                    thread::spawn(move || (0..10).for_each(|_| tx.send(n).unwrap()))
                })
                .collect();
            drop(tx);
            let mut got = Vec::new();
            while rx.recv_many(&mut got, 1 + chance.below(8) as usize).is_ok() {
                progress.fetch_add(1, Ordering::Relaxed);
                dawdle(&mut chance);
            }
            assert_eq!(got.len(), 640);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        }
    });
}
