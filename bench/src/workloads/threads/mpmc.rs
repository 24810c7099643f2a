//! Several threads to several, as in `mpsc.rs`: `mpmc-*`. Each receiver takes an equal share.

use super::mpsc::{Threads, counter, entrant};
use super::{Setup, case};
use crate::rivals::threads::{
    Line, Message, array_queue, async_channel, chaski, crossbeam_channel, crossfire, flume, gil,
    kanal,
};
use crate::run::{Case, Entrant};

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![
        case("mpmc-2x2", entrants::<u64>(setup, 2)),
        case("mpmc-4x4", entrants::<u64>(setup, 4)),
        case("mpmc-2x2-64B", entrants::<Line>(setup, 2)),
    ]
}

fn entrants<T: Message>(setup: Setup, each: usize) -> Vec<Entrant> {
    let threads = Threads { senders: each, receivers: each };
    vec![
        counter(setup),
        entrant(setup, threads, "chaski", chaski::many::<T>),
        entrant(setup, threads, "gil", gil::many::<T>),
        entrant(setup, threads, "gil sharded", gil::sharded_to_many::<T>),
        entrant(setup, threads, "crossbeam-queue", array_queue::many::<T>),
        entrant(setup, threads, "crossfire", crossfire::many::<T>),
        entrant(setup, threads, "crossbeam-channel", crossbeam_channel::many::<T>),
        entrant(setup, threads, "flume", flume::many::<T>),
        entrant(setup, threads, "async-channel", async_channel::many::<T>),
        entrant(setup, threads, "kanal", kanal::many::<T>),
    ]
}
