//! What every channel promises, once for each of them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chaski_ring::{RecvError, RecvTimeoutError, TryRecvError, TrySendError};

/// Small under miri, which runs a few thousand times slower.
const MANY: u64 = if cfg!(miri) { 100 } else { 100_000 };

macro_rules! promises {
    ($name:ident: $($channel:ident)::+) => {
        mod $name {
            use super::*;

            #[test]
            #[allow(unused_mut)]
            fn in_order_through_a_full_ring() {
                for capacity in [1, 2, 3, 7, 64] {
                    let (mut tx, mut rx) = chaski_ring::$($channel)::+::channel(capacity);
                    let sender = thread::spawn(move || {
                        for n in 0..MANY / 10 {
                            tx.send(n).unwrap();
                        }
                    });
                    for n in 0..MANY / 10 {
                        assert_eq!(rx.recv(), Ok(n));
                    }
                    assert_eq!(rx.recv(), Err(RecvError));
                    sender.join().unwrap();
                }
            }

            #[test]
            #[allow(unused_mut)]
            fn holds_its_capacity_and_at_most_an_eighth_more() {
                for capacity in [1, 2, 5, 8, 16, 100, 1024] {
                    let (mut tx, mut rx) = chaski_ring::$($channel)::+::channel(capacity);
                    let mut held = 0;
                    while tx.try_send(held).is_ok() {
                        held += 1;
                    }
                    assert!((capacity..=capacity + capacity / 8).contains(&held), "{held}");
                    assert_eq!(tx.capacity(), Some(capacity));
                    assert_eq!((tx.len(), rx.len()), (held, held));
                    assert_eq!(rx.try_iter().count(), held);
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                    assert_eq!(tx.stats().full_stalls, 1);
                    assert_eq!(tx.stats().high_water, held as u64);
                }
            }

            #[test]
            #[allow(unused_mut)]
            fn a_receiver_that_goes_drops_what_was_sent_and_the_sender_learns_of_it() {
                let message = Arc::new(());
                let (mut tx, rx) = chaski_ring::$($channel)::+::channel(4);
                for _ in 0..3 {
                    tx.send(Arc::clone(&message)).unwrap();
                }
                drop(rx);
                assert_eq!(Arc::strong_count(&message), 1);
                assert!(tx.is_closed());
                let Err(TrySendError::Closed(back)) = tx.try_send(Arc::clone(&message)) else {
                    panic!("nobody listens")
                };
                assert!(Arc::ptr_eq(&back, &message));
                assert!(tx.send(back).is_err());
            }

            #[test]
            #[allow(unused_mut)]
            fn close_refuses_the_new_and_keeps_the_old() {
                let (mut tx, mut rx) = chaski_ring::$($channel)::+::channel(4);
                tx.send(1).unwrap();
                rx.close();
                assert_eq!(tx.send(2), Err(chaski_ring::SendError(2)));
                assert_eq!(rx.recv(), Ok(1));
                assert_eq!(rx.recv(), Err(RecvError));
            }

            #[test]
            #[allow(unused_mut)]
            fn times_out_and_wakes_up() {
                let (mut tx, mut rx) = chaski_ring::$($channel)::+::channel(1);
                let short = Duration::from_millis(2);
                assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
                tx.send(1).unwrap();
                assert!(tx.send_timeout(2, short).is_err());
                let sender = thread::spawn(move || tx.send(3));
                thread::sleep(short);
                assert_eq!(rx.recv(), Ok(1));
                assert_eq!(rx.recv(), Ok(3));
                sender.join().unwrap().unwrap();
                assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Closed));
            }

            #[test]
            #[allow(unused_mut)]
            fn batches_arrive_whole() {
                let (mut tx, mut rx) = chaski_ring::$($channel)::+::channel(100);
                let sender = thread::spawn(move || tx.send_all(0..MANY));
                let mut got = Vec::new();
                while rx.recv_many(&mut got, 64).is_ok() {}
                assert!(got.into_iter().eq(0..MANY));
                assert_eq!(sender.join().unwrap(), Ok(MANY as usize));
            }
        }
    };
}

promises!(spsc: spsc);
promises!(mpsc: mpsc);
promises!(fan_in: fan_in);
promises!(mpmc: mpmc);
