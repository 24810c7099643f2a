//! Every form of use on one channel at once, at random, with closes and cancellations at random;
//! and then an account of every message: received, given back, or dropped with the channel, once.
#![cfg(not(loom))]

mod stress;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use chaski_ring::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use stress::{Chance, seed, watched};

/// Messages of one round.
const MESSAGES: u64 = if cfg!(miri) { 30 } else { 2_000 };
const ROUNDS: u64 = if cfg!(miri) { 2 } else { 1_000 };
/// Ends a test that has not come to the end of its rounds.
const PATIENCE: Duration = Duration::from_secs(3);

const DROPPED: u8 = 1;
const RECEIVED: u8 = 2;
const BACK: u8 = 4;
/// The call that sent it said so.
const SENT: u8 = 8;

/// What became of each message.
struct Ledger(Vec<AtomicU8>);

impl Ledger {
    fn mark(&self, number: u64, what: u8) {
        let was = self.0[number as usize].fetch_or(what, Ordering::AcqRel);
        assert_eq!(was & what, 0, "message {number}: twice {what}, was {was}");
    }
}

struct Message {
    number: u64,
    ledger: Arc<Ledger>,
}

impl Message {
    fn received(self) {
        self.ledger.mark(self.number, RECEIVED);
    }

    fn back(self) {
        self.ledger.mark(self.number, BACK);
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.ledger.mark(self.number, DROPPED);
    }
}

/// One round: what its threads share.
struct Round {
    ledger: Arc<Ledger>,
    next: AtomicU64,
    progress: Arc<AtomicU64>,
    /// Whether ends may close, or go before their time.
    unruly: bool,
}

impl Round {
    fn message(&self) -> Option<Message> {
        self.progress.fetch_add(1, Ordering::Relaxed);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ledger = Arc::clone(&self.ledger);
        (number < MESSAGES).then(|| Message { number, ledger })
    }

    /// Every message made was dropped once; without closes, every one sent was received.
    fn settle(&self) {
        let made = self.next.load(Ordering::Relaxed).min(MESSAGES);
        for (number, mark) in self.ledger.0.iter().enumerate().take(made as usize) {
            let mark = mark.load(Ordering::Acquire);
            assert_ne!(mark & DROPPED, 0, "message {number} leaked, {mark}");
            assert_ne!(mark & (RECEIVED | BACK), RECEIVED | BACK, "message {number} both");
            assert_ne!(mark & (SENT | BACK), SENT | BACK, "message {number} sent and back");
            if !self.unruly {
                let there = mark & (RECEIVED | BACK);
                assert_ne!(there, 0, "message {number} lost, {mark}");
            }
        }
    }
}

/// Polls a few times with a waker that does nothing, then gives up.
fn dabble<R>(future: impl Future<Output = R>, chance: &mut Chance) -> Option<R> {
    let mut future = pin!(future);
    for _ in 0..1 + chance.below(3) {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => return Some(result),
            Poll::Pending if chance.below(2) == 0 => thread::yield_now(),
            Poll::Pending => {}
        }
    }
    None
}

macro_rules! torture {
    ($channel:ident, $senders:expr, $receivers:expr) => {
        #[allow(unused_mut)]
        mod $channel {
            use super::*;
            use chaski_ring::$channel::{Receiver, Sender, channel};

            #[test]
            fn every_message_is_accounted_for() {
                watched(seed(), |seed, progress| {
                    let begun = Instant::now();
                    for round in 0..ROUNDS {
                        one_round(seed.wrapping_add(round), progress);
                        if begun.elapsed() > PATIENCE {
                            break;
                        }
                    }
                });
            }

            fn one_round(seed: u64, progress: &Arc<AtomicU64>) {
                let mut chance = Chance::new(seed);
                let ledger = Ledger((0..MESSAGES).map(|_| AtomicU8::new(0)).collect());
                let round = Round {
                    ledger: Arc::new(ledger),
                    next: AtomicU64::new(0),
                    progress: Arc::clone(progress),
                    unruly: chance.below(2) == 0,
                };
                let capacity = [1, 2, 3, 16, 33, 64][chance.below(6) as usize];
                let (tx, rx) = channel(capacity);
                let (senders, receivers) = ($senders(tx), $receivers(rx));
                thread::scope(|scope| {
                    let round = &round;
                    for (n, tx) in senders.into_iter().enumerate() {
                        scope.spawn(move || send(tx, round, Chance::new(seed ^ (n as u64 + 1))));
                    }
                    for (n, rx) in receivers.into_iter().enumerate() {
                        scope.spawn(move || receive(rx, round, Chance::new(seed ^ (n as u64 + 9))));
                    }
                });
                round.settle();
            }

            fn send(mut tx: Sender<Message>, round: &Round, mut chance: Chance) {
                while let Some(message) = round.message() {
                    let number = message.number;
                    let refused = match chance.below(6) {
                        0 | 1 => match tx.try_send(message) {
                            Ok(()) => None,
                            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => {
                                Some(back)
                            }
                        },
                        2 => tx.send(message).err().map(|error| error.into_inner()),
                        3 => match tx.send_timeout(message, patience(&mut chance)) {
                            Ok(()) => None,
                            Err(
                                SendTimeoutError::Timeout(back) | SendTimeoutError::Closed(back),
                            ) => Some(back),
                        },
                        4 => {
                            let mut slot = Some(message);
                            let _ended = dabble(tx.send_from_async(&mut slot), &mut chance);
                            slot
                        }
                        _ => {
                            send_batch(&mut tx, message, round, &mut chance);
                            continue;
                        }
                    };
                    match refused {
                        Some(back) => {
                            assert_eq!(back.number, number);
                            back.back();
                        }
                        None => round.ledger.mark(number, SENT),
                    }
                    if round.unruly && chance.below(1_000) == 0 {
                        return;
                    }
                }
            }

            fn send_batch(
                tx: &mut Sender<Message>,
                first: Message,
                round: &Round,
                chance: &mut Chance,
            ) {
                let more: Vec<_> = (0..chance.below(8)).map_while(|_| round.message()).collect();
                let mut batch = std::iter::once(first).chain(more);
                match tx.send_all(&mut batch) {
                    Ok(_) => assert!(batch.next().is_none()),
                    Err(error) => {
                        error.into_inner().back();
                        batch.for_each(Message::back);
                    }
                }
            }

            fn receive(mut rx: Receiver<Message>, round: &Round, mut chance: Chance) {
                let mut got = Vec::new();
                loop {
                    round.progress.fetch_add(1, Ordering::Relaxed);
                    let closed = match chance.below(6) {
                        0 => match rx.try_recv() {
                            Ok(message) => {
                                got.push(message);
                                false
                            }
                            Err(error) => error == TryRecvError::Closed,
                        },
                        1 => match rx.recv() {
                            Ok(message) => {
                                got.push(message);
                                false
                            }
                            Err(_) => true,
                        },
                        2 => match rx.recv_timeout(patience(&mut chance)) {
                            Ok(message) => {
                                got.push(message);
                                false
                            }
                            Err(error) => error == RecvTimeoutError::Closed,
                        },
                        3 => match dabble(rx.recv_async(), &mut chance) {
                            Some(Ok(message)) => {
                                got.push(message);
                                false
                            }
                            Some(Err(_)) => true,
                            None => false,
                        },
                        4 => rx.recv_many(&mut got, 1 + chance.below(20) as usize).is_err(),
                        _ => {
                            let most = 1 + chance.below(20) as usize;
                            rx.try_recv_many(&mut got, most) == Err(TryRecvError::Closed)
                        }
                    };
                    got.drain(..).for_each(Message::received);
                    if closed {
                        return;
                    }
                    if round.unruly && chance.below(2_000) == 0 {
                        rx.close();
                    }
                    if round.unruly && chance.below(2_000) == 0 {
                        return;
                    }
                }
            }
        }
    };
}

fn patience(chance: &mut Chance) -> Duration {
    Duration::from_micros(chance.below(200))
}

torture!(spsc, |tx| [tx], |rx| [rx]);
torture!(mpsc, |tx: Sender<_>| [tx.clone(), tx.clone(), tx], |rx| [rx]);
torture!(mpmc, |tx: Sender<_>| [tx.clone(), tx], |rx: Receiver<_>| [rx.clone(), rx.clone(), rx]);
torture!(fan_in, |tx: Sender<_>| [tx.clone(), tx.clone(), tx], |rx| [rx]);
