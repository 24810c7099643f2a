//! Panics of the program's own code inside of a channel's: nothing is lost but what panicked.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts its drop, and panics in it if told to.
struct Touchy(Arc<AtomicUsize>, bool);

impl Drop for Touchy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        assert!(!self.1, "as told");
    }
}

macro_rules! panics {
    ($channel:ident) => {
        #[allow(unused_mut)]
        mod $channel {
            use super::*;

            #[test]
            fn a_message_that_panics_in_its_drop_costs_no_other() {
                for touchy in [0, 1, 4] {
                    let drops = Arc::new(AtomicUsize::new(0));
                    let (mut tx, rx) = chaski_ring::$channel::channel(8);
                    for n in 0..5 {
                        assert!(tx.send(Touchy(Arc::clone(&drops), n == touchy)).is_ok());
                    }
                    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
                    assert_eq!(drops.load(Ordering::Relaxed), 5);
                    let Err(back) = tx.send(Touchy(Arc::clone(&drops), false)) else {
                        panic!("the receiver is gone, if with a panic")
                    };
                    drop((back, tx));
                    assert_eq!(drops.load(Ordering::Relaxed), 6);
                    assert_eq!(Arc::strong_count(&drops), 1, "the channel is freed");
                }
            }

            #[test]
            fn an_iterator_that_panics_has_sent_what_it_gave_before() {
                let (mut tx, mut rx) = chaski_ring::$channel::channel(8);
                for round in 1..5 {
                    let messages = (0..).inspect(|n| assert!(*n < round, "as told")).map(Box::new);
                    assert!(catch_unwind(AssertUnwindSafe(|| tx.send_all(messages))).is_err());
                    assert!(rx.try_iter().map(|n| *n).eq(0..round));
                }
                tx.send(Box::new(7)).unwrap();
                assert_eq!(rx.recv(), Ok(Box::new(7)), "the channel is whole");
            }

            /// What is written and not yet shown when the iterator closes and panics is dropped.
            #[test]
            fn an_iterator_that_closes_and_panics_leaks_nothing() {
                let drops = Arc::new(AtomicUsize::new(0));
                let (mut tx, rx) = chaski_ring::$channel::channel(8);
                let mut rx = Some(rx);
                let messages = (0..).map(|n| {
                    if n == 3 {
                        rx = None;
                        panic!("as told");
                    }
                    Touchy(Arc::clone(&drops), false)
                });
                assert!(catch_unwind(AssertUnwindSafe(|| tx.send_all(messages).is_ok())).is_err());
                drop(tx);
                assert_eq!(drops.load(Ordering::Relaxed), 3);
                assert_eq!(Arc::strong_count(&drops), 1);
            }
        }
    };
}

panics!(spsc);
panics!(mpsc);
panics!(mpmc);
panics!(fan_in);
