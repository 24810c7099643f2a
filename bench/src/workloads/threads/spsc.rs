//! One thread to one, both spinning on a core of their own: `spsc-*`, `spsc-batch-*`,
//! `spsc-eager-u64`. The limit is memory that changes cores in large blocks.

use anyhow::{Result, ensure};

use super::limits::Handoff;
use super::pair::together;
use super::{Setup, case, pace};
use crate::rivals::threads::{
    BatchRecv, BatchSend, Line, Message, TryRecv, TrySend, array_queue, async_channel, chaski,
    crossbeam_channel, crossfire, disruptor, flume, gil, kanal, ringbuf, rtrb, standard, thingbuf,
    tokio,
};
use crate::run::{Case, Entrant};

/// Messages that a producer of batches makes visible at once, if there is room.
const BATCH: usize = 256;

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![
        case("spsc-u64", one_by_one::<u64>(setup)),
        case("spsc-64B", one_by_one::<Line>(setup)),
        case("spsc-batch-u64", batches::<u64>(setup)),
        case("spsc-batch-64B", batches::<Line>(setup)),
        case("spsc-eager-u64", eager(setup)),
    ]
}

fn one_by_one<T: Message>(setup: Setup) -> Vec<Entrant> {
    vec![
        handoff::<T>(setup),
        single(setup, "chaski", chaski::pair::<T>),
        single(setup, "gil", gil::pair::<T>),
        single(setup, "rtrb", rtrb::pair::<T>),
        single(setup, "ringbuf", ringbuf::pair::<T>),
        single(setup, "disruptor", disruptor::pair::<T>),
        single(setup, "crossbeam-queue", array_queue::pair::<T>),
        single(setup, "crossfire", crossfire::pair::<T>),
        single(setup, "kanal", kanal::pair::<T>),
        single(setup, "crossbeam-channel", crossbeam_channel::pair::<T>),
        single(setup, "std", standard::pair::<T>),
        single(setup, "thingbuf", thingbuf::pair::<T>),
        single(setup, "async-channel", async_channel::pair::<T>),
        single(setup, "flume", flume::pair::<T>),
        single(setup, "tokio", tokio::pair::<T>),
    ]
}

fn batches<T: Message>(setup: Setup) -> Vec<Entrant> {
    vec![
        handoff::<T>(setup),
        batched(setup, "chaski", chaski::pair::<T>),
        batched(setup, "chaski send_all", chaski::pair_with_drain::<T>),
        batched(setup, "rtrb", rtrb::pair::<T>),
        batched(setup, "gil", gil::pair::<T>),
        batched(setup, "ringbuf", ringbuf::pair::<T>),
        batched(setup, "disruptor", disruptor::pair::<T>),
    ]
}

/// The consumer takes all it sees, which keeps the ring nearly empty, and both cores at one line.
fn eager(setup: Setup) -> Vec<Entrant> {
    vec![
        handoff::<u64>(setup),
        single_to_batch(setup, "chaski", chaski::pair_with_drain::<u64>),
        single_to_batch(setup, "chaski peek", chaski::pair::<u64>),
        single_to_batch(setup, "rtrb", rtrb::pair::<u64>),
        single_to_batch(setup, "gil", gil::pair::<u64>),
        single_to_batch(setup, "ringbuf", ringbuf::pair::<u64>),
        single_to_batch(setup, "disruptor", disruptor::pair::<u64>),
        single_to_batch(setup, "crossbeam-channel", crossbeam_channel::pair::<u64>),
        single_to_batch(setup, "std", standard::pair::<u64>),
        single_to_batch(setup, "kanal", kanal::pair_with_drain::<u64>),
        single_to_batch(setup, "flume", flume::pair::<u64>),
        single_to_batch(setup, "tokio", tokio::pair_with_drain::<u64>),
    ]
}

fn handoff<T: Message>(setup: Setup) -> Entrant {
    entrant(setup, "limit", Handoff::<T>::pair, Handoff::send, Handoff::receive)
}

fn single<T: Message, S: TrySend<T>, R: TryRecv<T>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    entrant(setup, who, channel, send_singly, receive_singly)
}

fn batched<T: Message, S: BatchSend<T>, R: BatchRecv<T>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    entrant(setup, who, channel, send_batches, receive_batches)
}

fn single_to_batch<T: Message, S: TrySend<T>, R: BatchRecv<T>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    entrant(setup, who, channel, send_singly, receive_batches)
}

/// `receive` returns whether messages came in order and whole.
fn entrant<S: Send + 'static, R: Send + 'static>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
    send: impl Fn(&mut S, u64) + Send + Sync + 'static,
    receive: impl Fn(&mut R, u64) -> bool + Send + Sync + 'static,
) -> Entrant {
    let mut run = move |count| -> Result<_> {
        let ((mut tx, mut rx), mut right) = (channel(), false);
        let took =
            together(setup, &mut || send(&mut tx, count), &mut || right = receive(&mut rx, count));
        ensure!(right, "messages were lost, changed or out of order");
        Ok(took)
    };
    Entrant::new(who, move || pace::ns_per_msg(setup, &mut run))
}

fn send_singly<T: Message>(tx: &mut impl TrySend<T>, count: u64) {
    for number in 0..count {
        let mut message = T::new(number);
        while let Err(back) = tx.offer(message) {
            message = back;
            std::hint::spin_loop();
        }
    }
}

fn receive_singly<T: Message>(rx: &mut impl TryRecv<T>, count: u64) -> bool {
    let mut differences = 0;
    for number in 0..count {
        let message = loop {
            if let Some(message) = rx.poll() {
                break message;
            }
            std::hint::spin_loop();
        };
        differences |= message.value() ^ T::new(number).value();
    }
    differences == 0
}

fn send_batches<T: Message>(tx: &mut impl BatchSend<T>, count: u64) {
    let mut sent = 0;
    while sent < count {
        let batch = BATCH.min((count - sent) as usize);
        let filled = tx.fill(batch, |at| T::new(sent + at as u64));
        sent += filled as u64;
        if filled == 0 {
            std::hint::spin_loop();
        }
    }
}

fn receive_batches<T: Message>(rx: &mut impl BatchRecv<T>, count: u64) -> bool {
    let (mut number, mut differences) = (0, 0);
    while number < count {
        let drained = rx.drain(|message| {
            differences |= message.value() ^ T::new(number).value();
            number += 1;
        });
        if drained == 0 {
            std::hint::spin_loop();
        }
    }
    differences == 0
}
