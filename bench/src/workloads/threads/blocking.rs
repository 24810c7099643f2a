//! One thread to one with the calls that may sleep: `spsc-blocking-*`.

use anyhow::{Result, ensure};

use super::pair::together;
use super::{Setup, case, pace};
use crate::rivals::threads::{
    BlockingRecv, BlockingSend, Line, Message, async_channel, chaski, crossbeam_channel, crossfire,
    flume, gil, kanal, standard, thingbuf, tokio,
};
use crate::run::{Case, Entrant};

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![
        case("spsc-blocking-u64", entrants::<u64>(setup)),
        case("spsc-blocking-64B", entrants::<Line>(setup)),
    ]
}

fn entrants<T: Message>(setup: Setup) -> Vec<Entrant> {
    vec![
        entrant(setup, "chaski", chaski::pair::<T>),
        entrant(setup, "gil", gil::pair_that_parks::<T>),
        entrant(setup, "crossfire", crossfire::pair::<T>),
        entrant(setup, "crossfire mpsc", crossfire::pair_of_mpsc::<T>),
        entrant(setup, "kanal", kanal::pair::<T>),
        entrant(setup, "std", standard::pair::<T>),
        entrant(setup, "thingbuf", thingbuf::pair::<T>),
        entrant(setup, "crossbeam-channel", crossbeam_channel::pair::<T>),
        entrant(setup, "flume", flume::pair::<T>),
        entrant(setup, "async-channel", async_channel::pair::<T>),
        entrant(setup, "tokio", tokio::pair::<T>),
    ]
}

fn entrant<T: Message, S: BlockingSend<T>, R: BlockingRecv<T>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    let mut run = move |count| -> Result<_> {
        let ((mut tx, mut rx), mut differences) = (channel(), 0);
        let mut produce = || (0..count).for_each(|number| tx.put(T::new(number)));
        let mut consume = || {
            for number in 0..count {
                differences |= rx.take().value() ^ T::new(number).value();
            }
        };
        let took = together(setup, &mut produce, &mut consume);
        ensure!(differences == 0, "messages were lost, changed or out of order");
        Ok(took)
    };
    Entrant::new(who, move || pace::ns_per_msg(setup, &mut run))
}
