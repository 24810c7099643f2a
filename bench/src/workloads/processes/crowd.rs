//! Many client processes that share one core, with one request in flight each: `clients-32-procs`.
//! The server spins on a core of its own, so that what is measured is mostly the run queue of the
//! clients: each sleeps, or lets the next one run, until it comes round again. The limit is a cache
//! line each way and a core that is offered to the next.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::clients::SPEC;
use super::{CONNECTIONS, P99_US, ROUND_TRIPS_PER_S, microseconds, numbered};
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::limits::line;
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Calls, Serves, Spec, Wait, chaski, iceoryx2, shmem_ipc, unix};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::room_for_times;
use crate::workloads::side::{Peer, Side};

/// Round trips that one client counts at most: as many times fit into one message to the turn.
const TRIPS_MAX: usize = 4000;

pub(super) fn contest() -> Contest {
    use unix::{SeqPacket, Stream};
    let contestants = vec![
        contestant::<line::Asking, line::Answering>("limit"),
        contestant::<chaski::Asking, chaski::Answering>("chaski"),
        contestant::<iceoryx2::Asking, iceoryx2::Answering>("iceoryx2 req-res"),
        contestant::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc"),
        contestant::<Near<SeqPacket>, unix::Answering<SeqPacket>>("unix-seqpacket"),
        contestant::<Near<Stream>, unix::Answering<Stream>>("unix-stream"),
    ];
    Contest { name: "clients-32-procs", contestants }
}

fn contestant<C: Calls, S: Serves>(who: &'static str) -> Contestant {
    Contestant::new(
        who,
        |turn| {
            let server = turn.start()?;
            let mut clients = Vec::new();
            for number in 1..=CONNECTIONS {
                let client = turn.start_client(number)?;
                Link::join(&server.link, &client.link)?;
                clients.push(client);
            }
            let measured = measure(&clients);
            server.end();
            measured
        },
        |side| match side.number {
            0 => serve::<S>(side),
            _ => ask::<C>(side),
        },
    )
}

fn serve<S: Serves>(side: &Side) -> Result<()> {
    let links = (0..CONNECTIONS).map(|_| side.link.take_link()).collect::<Result<Vec<_>>>()?;
    let links: Vec<&Link> = links.iter().collect();
    let mut server = S::open(&links, Spec { peer: Wait::Block, ..SPEC })?;
    loop {
        server.serve()?;
    }
}

fn ask<C: Calls>(side: &Side) -> Result<()> {
    let server = side.link.take_link()?;
    let mut client = C::open(&[&server], Spec { wait: Wait::Block, ..SPEC })?;
    side.link.meet()?;
    // The turn lets all begin together.
    side.link.meet()?;
    let times_ns = ask_for_a_turn(side.setup, &mut client)?;
    let bytes: Vec<u8> = times_ns.iter().flat_map(|time| time.to_ne_bytes()).collect();
    side.link.say(&bytes)?;
    // The server may still be looking at this connection.
    side.link.hear()?;
    Ok(())
}

fn ask_for_a_turn(setup: Setup, client: &mut impl Calls) -> Result<Vec<u64>> {
    let mut request = vec![0; SPEC.bytes];
    let mut times_ns = room_for_times(TRIPS_MAX);
    let start = Instant::now();
    let mut last = start;
    while last - start < setup.turn() && times_ns.len() < TRIPS_MAX {
        numbered(&mut request, times_ns.len() as u64 + 1);
        client.call(&request, |reply| {
            ensure!(reply[..4] == request[..4], "a reply to something else");
            Ok(())
        })?;
        let now = Instant::now();
        times_ns.push((now - last).as_nanos() as u64);
        last = now;
    }
    Ok(times_ns)
}

fn measure(clients: &[Peer]) -> Result<Samples> {
    clients.iter().try_for_each(|client| client.link.meet())?;
    clients.iter().try_for_each(|client| client.link.meet())?;
    let (mut all_ns, mut longest_ns) = (Vec::new(), 0);
    for client in clients {
        let bytes = client.link.hear().context("a client is gone")?;
        let times_ns: Vec<u64> =
            bytes.as_chunks().0.iter().map(|time| u64::from_ne_bytes(*time)).collect();
        longest_ns = longest_ns.max(times_ns.iter().sum::<u64>());
        all_ns.extend(times_ns);
    }
    let rate = all_ns.len() as f64 * 1e9 / longest_ns as f64;
    all_ns.sort_unstable();
    Ok(vec![(ROUND_TRIPS_PER_S, rate), (P99_US, microseconds(&all_ns, 0.99))])
}
