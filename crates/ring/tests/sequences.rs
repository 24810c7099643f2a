//! Random sequences of operations on one thread, against a plain queue.
#![cfg(not(loom))]

use std::collections::VecDeque;

use chaski_ring::{TryRecvError, TrySendError};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    TrySend,
    Send,
    /// So many, or as many as surely fit.
    SendAll(usize),
    TryRecv,
    Recv,
    TryRecvMany(usize),
    RecvMany(usize),
    Drain,
    Close,
    DropSender,
    DropReceiver,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{
        Close, Drain, DropReceiver, DropSender, Recv, RecvMany, Send, SendAll, TryRecv,
        TryRecvMany, TrySend,
    };
    prop_oneof![
        40 => Just(TrySend),
        20 => Just(Send),
        10 => (0..20usize).prop_map(SendAll),
        30 => Just(TryRecv),
        15 => Just(Recv),
        10 => (0..20usize).prop_map(TryRecvMany),
        10 => (0..20usize).prop_map(RecvMany),
        2 => Just(Drain),
        1 => Just(Close),
        1 => Just(DropSender),
        1 => Just(DropReceiver),
    ]
}

const CASES: u32 = if cfg!(miri) { 4 } else { 256 };

macro_rules! sequences {
    ($channel:ident, $spare:expr) => {
        mod $channel {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig {
                    cases: CASES, failure_persistence: None, ..ProptestConfig::default()
                })]

                #[test]
                fn behaves_as_a_queue(
                    capacity in 1..40usize,
                    steps in prop::collection::vec(step(), 0..300),
                ) {
                    run(capacity, &steps);
                }
            }

            #[allow(unused_mut)]
            fn run(capacity: usize, steps: &[Step]) {
                let (tx, rx) = chaski_ring::$channel::channel(capacity);
                let (mut tx, mut rx) = (Some(tx), Some(rx));
                let mut model = VecDeque::new();
                // Closed: nothing more goes in.
                let mut closed = false;
                let mut fresh = 0u64;
                for step in steps {
                    match step {
                        Step::TrySend => {
                            let Some(tx) = &mut tx else { continue };
                            fresh += 1;
                            match tx.try_send(fresh) {
                                Ok(()) => {
                                    assert!(!closed, "sent into a closed channel");
                                    model.push_back(fresh);
                                    assert!(model.len() <= capacity + $spare(capacity));
                                }
                                Err(TrySendError::Full(back)) => {
                                    assert!(!closed);
                                    assert!(model.len() >= capacity, "full with {}", model.len());
                                    assert_eq!(back, fresh);
                                }
                                Err(TrySendError::Closed(back)) => {
                                    assert!(closed);
                                    assert_eq!(back, fresh);
                                }
                            }
                        }
                        Step::Send if closed || model.len() < capacity => {
                            let Some(tx) = &mut tx else { continue };
                            fresh += 1;
                            assert_eq!(tx.send(fresh).is_err(), closed);
                            model.extend((!closed).then_some(fresh));
                        }
                        Step::SendAll(count) => {
                            let Some(tx) = &mut tx else { continue };
                            let count = (*count).min(capacity.saturating_sub(model.len()));
                            let batch = fresh + 1..fresh + 1 + count as u64;
                            fresh += count as u64;
                            let sent = tx.send_all(batch.clone());
                            assert_eq!(sent.is_err(), closed && count > 0);
                            if !closed {
                                assert_eq!(sent, Ok(count));
                                model.extend(batch);
                            }
                        }
                        Step::TryRecv => {
                            let Some(rx) = &mut rx else { continue };
                            let expected = model.pop_front().ok_or(if closed {
                                TryRecvError::Closed
                            } else {
                                TryRecvError::Empty
                            });
                            assert_eq!(rx.try_recv(), expected);
                        }
                        Step::Recv if closed || !model.is_empty() => {
                            let Some(rx) = &mut rx else { continue };
                            assert_eq!(rx.recv().ok(), model.pop_front());
                        }
                        Step::TryRecvMany(max) => {
                            let Some(rx) = &mut rx else { continue };
                            let mut got = Vec::new();
                            match rx.try_recv_many(&mut got, *max) {
                                Ok(count) => {
                                    assert_eq!(count, got.len());
                                    assert_eq!(count == 0, *max == 0);
                                }
                                Err(error) => {
                                    assert!(model.is_empty());
                                    assert_eq!(error == TryRecvError::Closed, closed);
                                }
                            }
                            assert!(got.len() <= *max);
                            assert!(model.drain(..got.len()).eq(got));
                        }
                        Step::RecvMany(max) if closed || !model.is_empty() => {
                            let Some(rx) = &mut rx else { continue };
                            let mut got = Vec::new();
                            let _closed = rx.recv_many(&mut got, *max);
                            assert_eq!(got.is_empty(), *max == 0 || model.is_empty());
                            assert!(got.len() <= *max);
                            assert!(model.drain(..got.len()).eq(got));
                        }
                        Step::Drain => {
                            let Some(rx) = &mut rx else { continue };
                            assert!(rx.try_iter().eq(model.drain(..)));
                        }
                        Step::Close => {
                            let Some(rx) = &mut rx else { continue };
                            rx.close();
                            closed = true;
                        }
                        Step::DropSender => {
                            closed |= tx.take().is_some();
                        }
                        Step::DropReceiver => {
                            if rx.take().is_some() {
                                closed = true;
                                model.clear();
                            }
                        }
                        Step::Send | Step::Recv | Step::RecvMany(_) => {} // would block
                    }
                    if let Some(tx) = &tx {
                        assert_eq!(tx.len(), model.len());
                        assert_eq!(tx.is_closed(), closed);
                    }
                    if let Some(rx) = &rx {
                        assert_eq!(rx.len(), model.len());
                        let stats = rx.stats();
                        assert_eq!(stats.sent - stats.received, model.len() as u64);
                    }
                }
            }
        }
    };
}

sequences!(spsc, |capacity| capacity / 8);
sequences!(mpsc, |capacity| capacity / 8);
sequences!(mpmc, |capacity| capacity / 8);
