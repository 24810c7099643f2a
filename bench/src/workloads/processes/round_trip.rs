//! There and back: `rtt-*` with sides that spin, or sleep only after they have spun for longer than
//! dense traffic lets them, and `rtt-64B-blocking` with sides that sleep each time, which is
//! checked. The limit is a cache line each way, two copies each way, or a futex.

use anyhow::{Result, ensure};

use super::{LARGE_ROOM, P50_US, P99_US, P999_US, ROOM, microseconds, number_of, numbered};
use crate::machine::sleeps;
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::limits::{copies, futex, line};
use crate::rivals::processes::{
    Calls, Serves, Spec, Wait, chaski, event_fd, iceoryx2, ipc_channel, pipe, shmem_ipc, unix,
};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::Laps;

/// Round trips for each of which the client must have slept, of ten.
const SLEEPS_OF_TEN: usize = 9;

/// How much of a message comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    All,
    /// Bare contestants move a word, however long the message.
    FirstWord,
}

pub(super) fn contests() -> Vec<Contest> {
    let rtt = |name, mut contestants: Vec<Contestant>, spec| {
        contestants.extend(spinning(spec));
        Contest { name, contestants }
    };
    let small = Spec::adaptive(64, ROOM);
    let middle = Spec::adaptive(1024, ROOM);
    let large = Spec::adaptive(64 * 1024, LARGE_ROOM);
    vec![
        rtt("rtt-64B", vec![bare::<line::Asking, line::Answering>("limit", small)], small),
        rtt("rtt-1KiB", copying(middle), middle),
        rtt("rtt-64KiB", copying(large), large),
        Contest { name: "rtt-64B-blocking", contestants: sleeping(small.sleeping()) },
    ]
}

fn spinning(spec: Spec) -> Vec<Contestant> {
    vec![
        whole::<chaski::Asking, chaski::Answering>("chaski", spec),
        whole::<chaski::Asking, chaski::Answering>("chaski spin", spec.spinning()),
        whole::<Near<iceoryx2::PubSub>, Far<iceoryx2::PubSub>>("iceoryx2", spec),
        whole::<iceoryx2::Asking, iceoryx2::Answering>("iceoryx2 req-res", spec),
        whole::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc", spec),
        whole::<Near<pipe::Pipes>, Far<pipe::Pipes>>("pipe", spec),
        whole::<Near<unix::SeqPacket>, Far<unix::SeqPacket>>("unix-seqpacket", spec),
        whole::<Near<unix::Stream>, Far<unix::Stream>>("unix-stream", spec),
        whole::<Near<ipc_channel::Bytes>, Far<ipc_channel::Bytes>>("ipc-channel", spec),
    ]
}

fn copying(spec: Spec) -> Vec<Contestant> {
    vec![
        whole::<copies::Asking, copies::Answering>("limit", spec),
        whole::<copies::Asking, copies::AnsweringInPlace>("limit in-place", spec),
    ]
}

fn sleeping(spec: Spec) -> Vec<Contestant> {
    vec![
        bare::<futex::Asking, futex::Answering>("limit", spec),
        bare::<event_fd::Asking, event_fd::Answering>("eventfd", spec),
        whole::<chaski::Asking, chaski::Answering>("chaski", spec),
        whole::<Near<iceoryx2::WithEvents>, Far<iceoryx2::WithEvents>>("iceoryx2", spec),
        whole::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc", spec),
        whole::<Near<pipe::Pipes>, Far<pipe::Pipes>>("pipe", spec),
        whole::<Near<unix::SeqPacket>, Far<unix::SeqPacket>>("unix-seqpacket", spec),
        whole::<Near<unix::Stream>, Far<unix::Stream>>("unix-stream", spec),
        whole::<Near<ipc_channel::Bytes>, Far<ipc_channel::Bytes>>("ipc-channel", spec),
    ]
}

fn whole<C: Calls, S: Serves>(who: &'static str, spec: Spec) -> Contestant {
    contestant::<C, S>(who, spec, Back::All)
}

fn bare<C: Calls, S: Serves>(who: &'static str, spec: Spec) -> Contestant {
    contestant::<C, S>(who, spec, Back::FirstWord)
}

fn contestant<C: Calls, S: Serves>(who: &'static str, spec: Spec, back: Back) -> Contestant {
    Contestant::new(
        who,
        move |turn| {
            let peer = turn.start()?;
            let mut client = C::open(&[&peer.link], spec)?;
            let measured = round_trips(turn.setup, spec, back, &mut client);
            peer.end();
            measured
        },
        move |side| {
            let mut server = S::open(&[&side.link], spec)?;
            loop {
                server.serve()?;
            }
        },
    )
}

fn round_trips(setup: Setup, spec: Spec, back: Back, client: &mut impl Calls) -> Result<Samples> {
    let mut request = vec![0; spec.bytes];
    let mut laps = Laps::new(setup);
    let slept_before = sleeps()?;
    let (mut number, mut wrong) = (0, 0);
    while laps.next() {
        number += 1;
        numbered(&mut request, number);
        client.call(&request, |reply| {
            let right = match back {
                Back::All => reply.len() == spec.bytes && number_of(reply) == Some(number),
                Back::FirstWord => reply[..4] == request[..4],
            };
            wrong += u64::from(!right);
            Ok(())
        })?;
    }
    ensure!(wrong == 0, "{wrong} replies of {number} were to something else");
    let slept = sleeps()? - slept_before;
    let enough = number as usize * SLEEPS_OF_TEN / 10;
    ensure!(spec.wait != Wait::Block || slept >= enough, "slept {slept} times of {number}");
    let mut times_ns = laps.times_ns();
    times_ns.sort_unstable();
    let at = |part| microseconds(&times_ns, part);
    Ok(vec![(P50_US, at(0.5)), (P99_US, at(0.99)), (P999_US, at(0.999))])
}
