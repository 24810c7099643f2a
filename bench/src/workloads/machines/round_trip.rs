//! REQ and REP: `reqrep-*` times each round trip, `reqrep-10000` so many in a row. The limit is the
//! bare stream with calls that block; `limit spin` never sleeps. Within a process it is the ring.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::field::{Enter, Place, contestant, everyone};
use super::{MS_PER_10000, P50_US, P99_US};
use crate::rivals::machines::bare::{Singly, Spinning};
use crate::rivals::machines::ring::Ring;
use crate::rivals::machines::{Lacks, Library, Role, Socket, Spec, Transport};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::Laps;
use crate::workloads::processes::{microseconds, number_of, numbered};
use crate::workloads::side::{Peer, Side};

/// Round trips of the case that counts them.
const IN_SEQUENCE: u64 = 10_000;

#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    spec: Spec,
    place: Place,
    measure: Measure,
}

#[derive(Debug, Clone, Copy)]
enum Measure {
    Each,
    InSequence,
}

pub(super) fn contests() -> Vec<Contest> {
    use Transport::{Inproc, Ipc, Tcp};
    let between = |bytes, transport| RoundTrip {
        spec: Spec::new(bytes, transport),
        place: Place::Process,
        measure: Measure::Each,
    };
    let within = |case: RoundTrip| RoundTrip { place: Place::Thread, ..case };
    let small = between(64, Tcp);
    vec![
        contest("reqrep-64B-tcp", small),
        contest("reqrep-1KiB-tcp", between(1024, Tcp)),
        contest("reqrep-64KiB-tcp", between(64 * 1024, Tcp)),
        contest("reqrep-64B-ipc", between(64, Ipc)),
        contest("reqrep-64B-tcp-threads", within(small)),
        contest("reqrep-64B-inproc", within(between(64, Inproc))),
        contest("reqrep-10000", RoundTrip { measure: Measure::InSequence, ..small }),
    ]
}

fn contest(name: &'static str, case: RoundTrip) -> Contest {
    let mut contestants = match case.spec.transport {
        Transport::Inproc => vec![case.enter::<Ring>("limit")],
        _ => vec![case.enter::<Singly>("limit"), case.enter::<Spinning>("limit spin")],
    };
    contestants.extend(everyone(&case));
    Contest { name, contestants }
}

impl Enter for RoundTrip {
    fn needs(&self) -> &[Lacks] {
        match self.spec.transport {
            Transport::Tcp => &[Lacks::Conversations],
            Transport::Ipc => &[Lacks::Conversations, Lacks::Ipc],
            Transport::Inproc => &[Lacks::Conversations, Lacks::Inproc],
        }
    }

    fn enter<L: Library>(&self, who: &'static str) -> Contestant {
        let case = *self;
        contestant(
            who,
            case.place,
            move |setup, peer| case.ask::<L>(setup, peer),
            move |side| case.answer::<L>(side),
        )
    }
}

impl RoundTrip {
    fn ask<L: Library>(self, setup: Setup, peer: Peer) -> Result<Samples> {
        L::run(async {
            let endpoint = String::from_utf8(peer.link.hear()?)?;
            let mut socket = L::connect(Role::Req, &endpoint, &self.spec).await?;
            let mut asking = Asking { socket: &mut socket, request: vec![0; self.spec.bytes] };
            // The first waits for the connection.
            asking.trip(0).await?;
            let measured = match self.measure {
                Measure::Each => asking.laps(setup).await,
                Measure::InSequence => asking.in_sequence().await,
            };
            peer.end();
            measured
        })
    }

    fn answer<L: Library>(self, side: &Side) -> Result<()> {
        L::run(async {
            let spec = Spec { turn: side.link.turn(), ..self.spec };
            let (bound, endpoint) = L::bind(Role::Rep, &spec).await?;
            side.link.say(endpoint.as_bytes())?;
            let mut socket = L::accept(bound, 1).await?;
            loop {
                socket.echo().await?;
            }
        })
    }
}

struct Asking<'a, S> {
    socket: &'a mut S,
    request: Vec<u8>,
}

impl<S: Socket> Asking<'_, S> {
    async fn trip(&mut self, number: u64) -> Result<()> {
        numbered(&mut self.request, number);
        self.socket.send(&self.request).await?;
        let bytes = self.request.len();
        let right = |reply: &[u8]| {
            let right = reply.len() == bytes && number_of(reply) == Some(number);
            ensure!(right, "a reply of {} bytes to something else", reply.len());
            Ok(())
        };
        self.socket.recv(right).await
    }

    async fn laps(&mut self, setup: Setup) -> Result<Samples> {
        let mut laps = Laps::new(setup);
        let mut number = 0;
        while laps.next() {
            number += 1;
            self.trip(number).await?;
        }
        let mut times_ns = laps.times_ns();
        times_ns.sort_unstable();
        let at = |part| microseconds(&times_ns, part);
        Ok(vec![(P50_US, at(0.5)), (P99_US, at(0.99))])
    }

    async fn in_sequence(&mut self) -> Result<Samples> {
        let start = Instant::now();
        for number in 1..=IN_SEQUENCE {
            self.trip(number).await?;
        }
        Ok(vec![(MS_PER_10000, start.elapsed().as_secs_f64() * 1000.0)])
    }
}
