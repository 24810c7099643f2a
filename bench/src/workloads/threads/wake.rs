//! A message to a thread that sleeps, one way: `wake`. Between messages the sender spins for much
//! longer than any receiver does before it sleeps, and that it slept is checked. The limit is a
//! futex.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::limits::Doorbell;
use super::pair::together;
use super::round_trip::{STOP, quantiles};
use super::{Setup, case};
use crate::machine::sleeps;
use crate::rivals::threads::{
    BlockingRecv, BlockingSend, async_channel, chaski, crossbeam_channel, crossfire, flume, gil,
    kanal, standard, thingbuf, tokio,
};
use crate::run::{Case, Entrant, Samples};

/// Time between messages.
const QUIET: Duration = Duration::from_micros(500);

/// Messages for each of which the receiver must have slept, of ten.
const SLEEPS_OF_TEN: usize = 9;

/// A turn of this kind lasts this many times as long as others.
const TURNS: u32 = 2;

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    let entrants = vec![
        bell(setup),
        entrant(setup, "chaski", chaski::pair),
        entrant(setup, "gil", gil::pair_that_parks),
        entrant(setup, "crossfire", crossfire::pair),
        entrant(setup, "crossfire mpsc", crossfire::pair_of_mpsc),
        entrant(setup, "crossbeam-channel", crossbeam_channel::pair),
        entrant(setup, "std", standard::pair),
        entrant(setup, "thingbuf", thingbuf::pair),
        entrant(setup, "kanal", kanal::pair),
        entrant(setup, "async-channel", async_channel::pair),
        entrant(setup, "tokio", tokio::pair),
        entrant(setup, "flume", flume::pair),
    ];
    vec![case("wake", entrants)]
}

fn bell(setup: Setup) -> Entrant {
    Entrant::new("limit", move || {
        let bell = Doorbell::default();
        let mut heard = 0;
        wakes(setup, |number| bell.ring(number), || bell.wait(&mut heard))
    })
}

fn entrant<S: BlockingSend<u64>, R: BlockingRecv<u64>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    Entrant::new(who, move || {
        let (mut tx, mut rx) = channel();
        wakes(setup, |number| tx.put(number), || rx.take())
    })
}

/// Sends the time of sending, and notes when it comes out.
fn wakes(
    setup: Setup,
    mut send: impl FnMut(u64) + Send,
    mut receive: impl FnMut() -> u64 + Send,
) -> Result<Samples> {
    let epoch = Instant::now();
    let mut delays_ns = Vec::new();
    let mut slept = Ok(0);
    let mut receive_all = || {
        let before = sleeps();
        loop {
            let sent_ns = receive();
            if sent_ns == STOP {
                break;
            }
            delays_ns.push((epoch.elapsed().as_nanos() as u64).saturating_sub(sent_ns));
        }
        slept = before.and_then(|before| Ok(sleeps()? - before));
    };
    let mut send_all = || send_now_and_then(setup, epoch, &mut send);
    together(setup, &mut send_all, &mut receive_all);
    let (slept, enough) = (slept?, delays_ns.len() * SLEEPS_OF_TEN / 10);
    ensure!(slept >= enough, "slept {slept} times for {} messages", delays_ns.len());
    quantiles(delays_ns)
}

/// Sends the nanoseconds since `epoch` after each quiet time, and [`STOP`] at the end.
pub(super) fn send_now_and_then(setup: Setup, epoch: Instant, send: &mut dyn FnMut(u64)) {
    let start = Instant::now();
    let mut next = start + QUIET;
    while start.elapsed() < TURNS * setup.turn() {
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        send(epoch.elapsed().as_nanos() as u64);
        next = Instant::now() + QUIET;
    }
    send(STOP);
}
