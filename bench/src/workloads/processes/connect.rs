//! A client that connects, calls once and is gone, again and again: `connect`. The one call proves
//! that the connection was good for something. The limit is a socket over which one page of memory
//! is handed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::US_PER_CONNECT;
use super::clients::SPEC;
use crate::rivals::processes::limits::page;
use crate::rivals::processes::{Hosts, Visits, chaski, iceoryx2, ipc_channel, unix};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::warm_up;

pub(super) fn contest() -> Contest {
    let contestants = vec![
        contestant::<page::Visitor, page::Host>("limit"),
        contestant::<chaski::Visitor, chaski::Answering>("chaski"),
        contestant::<iceoryx2::Visitor, iceoryx2::Host>("iceoryx2 req-res"),
        contestant::<unix::Visitor<unix::Stream>, unix::Host>("unix-stream"),
        contestant::<ipc_channel::Visitor, ipc_channel::Host>("ipc-channel"),
    ];
    Contest { name: "connect", contestants }
}

fn contestant<V: Visits, H: Hosts>(who: &'static str) -> Contestant {
    let spec = SPEC.sleeping();
    Contestant::new(
        who,
        move |turn| {
            let peer = turn.start()?;
            let mut visitor = V::open(&[&peer.link], spec)?;
            let measured = visits(turn.setup, &mut visitor);
            peer.end();
            measured
        },
        move |side| {
            let mut host = H::open(&[&side.link], spec)?;
            loop {
                host.host()?;
            }
        },
    )
}

fn visits(setup: Setup, visitor: &mut impl Visits) -> Result<Samples> {
    let request = [1; SPEC.bytes];
    let mut visits_for = |time: Duration| -> Result<f64> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            visitor.visit(&request, |reply| {
                ensure!(reply[..4] == request[..4], "a reply to something else");
                Ok(())
            })?;
            count += 1;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(count))
    };
    visits_for(warm_up(setup))?;
    Ok(vec![(US_PER_CONNECT, visits_for(setup.turn())?)])
}
