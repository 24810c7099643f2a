//! One sender and one receiver: what every channel promises to two threads.

use chaski_ring::{RecvError, SendError, TryRecvError, TrySendError};
use loom::thread;

use crate::kit::{Token, block_on, check};

macro_rules! models {
    ($channel:ident, $make:path, $preemptions:expr) => {
        #[allow(unused_mut)]
        mod $channel {
            use super::*;

            /// Blocking at both ends: the ring of `capacity` is full and empty in turn.
            fn blocking(capacity: usize, messages: u32) {
                check($preemptions, move || {
                    let (mut tx, mut rx) = $make(capacity);
                    let sender = thread::spawn(move || {
                        for n in 0..messages {
                            tx.send(n).unwrap();
                        }
                    });
                    for n in 0..messages {
                        assert_eq!(rx.recv(), Ok(n));
                    }
                    sender.join().unwrap();
                });
            }

            #[test]
            fn blocks_for_a_message_and_for_room_capacity_1() {
                blocking(1, 3);
            }

            #[test]
            fn blocks_for_a_message_and_for_room_capacity_2() {
                blocking(2, 3);
            }

            /// As `blocking`, by tasks that are polled only when woken.
            #[test]
            fn awaits_a_message_and_room() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(1);
                    let sender = thread::spawn(move || {
                        block_on(async {
                            for n in 0..2 {
                                tx.send_async(n).await.unwrap();
                            }
                        });
                    });
                    block_on(async {
                        for n in 0..2 {
                            assert_eq!(rx.recv_async().await, Ok(n));
                        }
                        assert_eq!(rx.recv_async().await, Err(RecvError));
                    });
                    sender.join().unwrap();
                });
            }

            #[test]
            fn batches_arrive_whole_and_in_order() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(2);
                    let sender = thread::spawn(move || assert_eq!(tx.send_all(0..3), Ok(3)));
                    let mut got = Vec::new();
                    while rx.recv_many(&mut got, 2).is_ok() {}
                    assert_eq!(got, [0, 1, 2]);
                    sender.join().unwrap();
                });
            }

            /// What is tried without waiting is all or nothing.
            #[test]
            fn tries() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(1);
                    let sender = thread::spawn(move || {
                        (0..3).filter(|n| tx.try_send(Token::new(*n)).is_ok()).collect::<Vec<_>>()
                    });
                    let mut got = Vec::new();
                    loop {
                        match rx.try_recv() {
                            Ok(token) => got.push(token.number()),
                            Err(TryRecvError::Empty) => thread::yield_now(),
                            Err(TryRecvError::Closed) => break,
                        }
                    }
                    assert_eq!(got, sender.join().unwrap());
                });
            }

            #[test]
            fn a_receiver_asleep_learns_that_the_sender_is_gone() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(1);
                    let sender = thread::spawn(move || tx.send(Token::new(7)).unwrap());
                    assert_eq!(rx.recv().map(|token| token.number()), Ok(7));
                    assert!(matches!(rx.recv(), Err(RecvError)));
                    sender.join().unwrap();
                });
            }

            /// The second message finds no room, or nobody. What was sent is dropped with the
            /// receiver, or loom names the leak.
            #[test]
            fn a_sender_asleep_learns_that_the_receiver_is_gone() {
                check($preemptions, || {
                    let (mut tx, rx) = $make(1);
                    let sender = thread::spawn(move || {
                        for n in 0..2 {
                            if let Err(SendError(back)) = tx.send(Token::new(n)) {
                                assert_eq!(back.number(), n);
                                return;
                            }
                        }
                        panic!("the second message cannot be sent");
                    });
                    drop(rx);
                    sender.join().unwrap();
                });
            }

            /// Every message that was sent is received, and every other one comes back.
            fn close_is_exact(capacity: usize) {
                check($preemptions, move || {
                    let (mut tx, mut rx) = $make(capacity);
                    let sender = thread::spawn(move || {
                        let (mut sent, mut back) = (Vec::new(), Vec::new());
                        for n in 0..3 {
                            match tx.try_send(Token::new(n)) {
                                Ok(()) => sent.push(n),
                                Err(TrySendError::Full(token) | TrySendError::Closed(token)) => {
                                    back.push(token.number());
                                }
                            }
                        }
                        assert_eq!(sent.len() + back.len(), 3);
                        sent
                    });
                    rx.close();
                    let mut got = Vec::new();
                    while let Ok(token) = rx.recv() {
                        got.push(token.number());
                    }
                    assert!(matches!(rx.try_recv(), Err(TryRecvError::Closed)));
                    assert_eq!(got, sender.join().unwrap());
                });
            }

            #[test]
            fn close_is_exact_capacity_1() {
                close_is_exact(1);
            }

            #[test]
            fn close_is_exact_capacity_3() {
                close_is_exact(3);
            }

            #[test]
            fn close_wakes_a_sender_asleep_and_gives_its_message_back() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(1);
                    tx.send(Token::new(0)).unwrap();
                    let sender = thread::spawn(move || {
                        tx.send(Token::new(1)).map_err(|SendError(back)| back.number())
                    });
                    rx.close();
                    assert_eq!(rx.recv().map(|token| token.number()), Ok(0));
                    assert!(matches!(rx.recv(), Err(RecvError)));
                    assert_eq!(sender.join().unwrap(), Err(1));
                });
            }

            /// A batch that meets a close: what is received is a beginning of it, and the message
            /// that comes back was not received. Nothing leaks.
            #[test]
            fn close_cuts_a_batch() {
                check($preemptions, || {
                    let (mut tx, mut rx) = $make(2);
                    let sender = thread::spawn(move || {
                        let sent = tx.send_all((0..4).map(Token::new));
                        sent.map_err(|SendError(back)| back.number())
                    });
                    rx.close();
                    let mut got = Vec::new();
                    while let Ok(token) = rx.recv() {
                        assert_eq!(token.number() as usize, got.len());
                        got.push(token);
                    }
                    let back = sender.join().unwrap().unwrap_err();
                    assert!(back as usize >= got.len(), "{back} came back and was received");
                });
            }

            #[test]
            fn a_batch_is_dropped_with_the_receiver() {
                check($preemptions, || {
                    let (mut tx, rx) = $make(2);
                    let sender = thread::spawn(move || {
                        assert!(tx.send_all((0..3).map(Token::new)).is_err());
                    });
                    drop(rx);
                    sender.join().unwrap();
                });
            }

            /// Whoever learns that the channel is closed has seen what was done before the close.
            #[test]
            fn the_end_is_ordered_behind_what_came_before() {
                check($preemptions, || {
                    let word = loom::sync::Arc::new(loom::cell::UnsafeCell::new(0));
                    let (tx, mut rx) = $make(1);
                    let tx: chaski_ring::$channel::Sender<u32> = tx;
                    let sender = {
                        let word = loom::sync::Arc::clone(&word);
                        thread::spawn(move || {
                            // SAFETY: the other thread looks after this sender is gone.
                            word.with_mut(|word| unsafe { *word = 1 });
                            drop(tx);
                        })
                    };
                    while rx.try_recv() == Err(TryRecvError::Empty) {
                        thread::yield_now();
                    }
                    // SAFETY: the writer has gone; loom checks that this is so.
                    assert_eq!(word.with(|word| unsafe { *word }), 1);
                    sender.join().unwrap();
                });
            }

            #[test]
            fn the_refusal_is_ordered_behind_what_came_before() {
                check($preemptions, || {
                    let word = loom::sync::Arc::new(loom::cell::UnsafeCell::new(0));
                    let (mut tx, rx) = $make(1);
                    let receiver = {
                        let word = loom::sync::Arc::clone(&word);
                        thread::spawn(move || {
                            // SAFETY: the other thread looks after this receiver is gone.
                            word.with_mut(|word| unsafe { *word = 1 });
                            drop(rx);
                        })
                    };
                    while !matches!(tx.try_send(0), Err(TrySendError::Closed(_))) {
                        thread::yield_now();
                    }
                    // SAFETY: the writer has gone; loom checks that this is so.
                    assert_eq!(word.with(|word| unsafe { *word }), 1);
                    receiver.join().unwrap();
                });
            }
        }
    };
}

models!(spsc, chaski_ring::spsc::channel, 3);
models!(mpsc, chaski_ring::mpsc::channel, 3);
models!(mpmc, chaski_ring::mpmc::channel, 3);
