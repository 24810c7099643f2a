//! One process that drives many connections to one server, with one request in flight on each.
//! `clients-32` sends the next request as soon as there is a reply. `clients-32-*` send at a rate
//! of their own and count from the moment at which a request was due, so that a server which falls
//! behind is not spared (coordinated omission). The limit is a cache line each way for each
//! connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::{CONNECTIONS, P50_US, P99_US, ROUND_TRIPS_PER_S, SMALL_ROOM, microseconds, numbered};
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::limits::line;
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Mux, Serves, Spec, chaski, iceoryx2, ipc_channel, shmem_ipc, unix};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::{room_for_times, warm_up};

/// Of so many round trips on a connection one is timed: at saturation each look at the clock takes
/// a share of what is measured.
const TIMED_OF: u64 = 8;

/// More times than a turn takes.
const TIMES_MAX: usize = 1 << 20;

/// Looks at all connections between two looks at the clock.
const SWEEPS: u64 = 16;

/// How often a turn is tried.
const TRIES: usize = 3;

/// How late the last request may be sent by one who keeps up.
const LATE_MAX: Duration = Duration::from_millis(5);

pub(super) const SPEC: Spec = Spec::adaptive(64, SMALL_ROOM);

#[derive(Debug, Clone, Copy)]
enum Load {
    Saturation,
    PerSecond(u32),
}

pub(super) fn contests() -> Vec<Contest> {
    let contest = |name, load| Contest { name, contestants: contestants(load) };
    vec![
        contest("clients-32", Load::Saturation),
        contest("clients-32-1M", Load::PerSecond(1_000_000)),
        contest("clients-32-100k", Load::PerSecond(100_000)),
    ]
}

fn contestants(load: Load) -> Vec<Contestant> {
    use unix::{SeqPacket, Stream};
    vec![
        contestant::<line::Asking, line::Answering>("limit", load),
        contestant::<chaski::Asking, chaski::Answering>("chaski", load),
        waiting::<chaski::Asking, chaski::Answering>("chaski spin", load, SPEC.spinning()),
        contestant::<iceoryx2::Asking, iceoryx2::Answering>("iceoryx2 req-res", load),
        contestant::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc", load),
        contestant::<unix::Asking<SeqPacket>, unix::Answering<SeqPacket>>("unix-seqpacket", load),
        contestant::<unix::Asking<Stream>, unix::Answering<Stream>>("unix-stream", load),
        contestant::<ipc_channel::Asking, ipc_channel::Answering>("ipc-channel", load),
    ]
}

fn contestant<M: Mux, S: Serves>(who: &'static str, load: Load) -> Contestant {
    waiting::<M, S>(who, load, SPEC)
}

fn waiting<M: Mux, S: Serves>(who: &'static str, load: Load, spec: Spec) -> Contestant {
    Contestant::new(
        who,
        move |turn| {
            let peer = turn.start()?;
            let mut client = Client::<M>::open(&peer.link, spec)?;
            let measured = match load {
                Load::Saturation => saturate(turn.setup, &mut client),
                Load::PerSecond(rate) => offer(turn.setup, &mut client, rate),
            };
            peer.end();
            measured
        },
        move |side| serve::<S>(&side.link, spec),
    )
}

/// Serves all connections over one link.
pub(super) fn serve<S: Serves>(link: &Link, spec: Spec) -> Result<()> {
    let mut server = S::open(&[link; CONNECTIONS], spec)?;
    loop {
        server.serve()?;
    }
}

/// All connections, and the number of the last request on each.
pub(super) struct Client<M> {
    mux: M,
    numbers: [u64; CONNECTIONS],
    request: Vec<u8>,
    ready: Vec<usize>,
}

impl<M: Mux> Client<M> {
    pub(super) fn open(link: &Link, spec: Spec) -> Result<Client<M>> {
        Ok(Client {
            mux: M::open(&[link; CONNECTIONS], spec)?,
            numbers: [0; CONNECTIONS],
            request: vec![0; spec.bytes],
            ready: Vec::with_capacity(CONNECTIONS),
        })
    }

    fn request(&mut self, at: usize) -> Result<()> {
        self.numbers[at] += 1;
        numbered(&mut self.request, self.numbers[at]);
        self.mux.request(at, &self.request)
    }

    /// Takes the replies that are there, and tells on which connections.
    fn replies(&mut self, mut replied: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.mux.ready(&mut ready)?;
        for at in &ready {
            let expected = self.numbers[*at].to_ne_bytes();
            let right = |reply: &[u8]| {
                ensure!(reply[..4] == expected[..4], "a reply to something else");
                Ok(())
            };
            if self.mux.poll(*at, right)? {
                replied(self, *at)?;
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Keeps a request in flight on each connection for this long.
    pub(super) fn converse(&mut self, time: Duration) -> Result<()> {
        (0..CONNECTIONS).try_for_each(|at| self.request(at))?;
        let start = Instant::now();
        while start.elapsed() < time {
            self.replies(Client::request)?;
        }
        Ok(())
    }
}

fn saturate(setup: Setup, client: &mut Client<impl Mux>) -> Result<Samples> {
    let begin = Instant::now();
    let mut sent = [begin; CONNECTIONS];
    let mut times_ns = room_for_times(TIMES_MAX);
    (0..CONNECTIONS).try_for_each(|at| client.request(at))?;
    let (mut start, mut warm) = (begin, false);
    let (mut trips, mut sweeps) = (0, 0_u64);
    loop {
        client.replies(|client, at| {
            trips += 1;
            let number = client.numbers[at];
            if number.is_multiple_of(TIMED_OF) {
                times_ns.push(sent[at].elapsed().as_nanos() as u64);
            } else if (number + 1).is_multiple_of(TIMED_OF) {
                sent[at] = Instant::now();
            }
            client.request(at)
        })?;
        sweeps += 1;
        if sweeps % SWEEPS != 0 {
            continue;
        }
        let now = Instant::now();
        if !warm && now - begin >= warm_up(setup) {
            (start, trips, warm) = (now, 0, true);
            times_ns.clear();
        } else if warm && now - start >= setup.turn() {
            break;
        }
    }
    let rate = trips as f64 / start.elapsed().as_secs_f64();
    times_ns.sort_unstable();
    Ok(vec![(ROUND_TRIPS_PER_S, rate), (P99_US, microseconds(&times_ns, 0.99))])
}

/// Gives those who were late another try: it may have been the machine.
fn offer(setup: Setup, client: &mut Client<impl Mux>, rate: u32) -> Result<Samples> {
    let mut done = 0.0;
    for _ in 0..TRIES {
        match offer_once(setup, client, rate)? {
            Offered::InTime(mut times_ns) => {
                times_ns.sort_unstable();
                let at = |part| microseconds(&times_ns, part);
                return Ok(vec![(P50_US, at(0.5)), (P99_US, at(0.99))]);
            }
            Offered::Late { per_second } => done = per_second,
        }
    }
    bail!("does {done:.0} of the {rate} a second that are offered")
}

/// What became of the requests of a turn.
enum Offered {
    /// The time of each from when it was due to its reply, in nanoseconds.
    InTime(Vec<u64>),
    Late {
        per_second: f64,
    },
}

fn offer_once(setup: Setup, client: &mut Client<impl Mux>, rate: u32) -> Result<Offered> {
    let period = Duration::from_secs(1) / rate;
    let mut times_ns = room_for_times(TIMES_MAX);
    let mut idle: VecDeque<usize> = (0..CONNECTIONS).collect();
    let start = Instant::now();
    let (counted_from, until) = (start + warm_up(setup), start + warm_up(setup) + setup.turn());
    let (mut due, mut due_at) = (start, [start; CONNECTIONS]);
    let mut now = start;
    while now < until || idle.len() < CONNECTIONS {
        while due <= now
            && now < until
            && let Some(at) = idle.pop_front()
        {
            client.request(at)?;
            due_at[at] = due;
            due += period;
        }
        client.replies(|_, at| {
            if due_at[at] >= counted_from {
                times_ns.push(due_at[at].elapsed().as_nanos() as u64);
            }
            idle.push_back(at);
            Ok(())
        })?;
        now = Instant::now();
    }
    let late = until.saturating_duration_since(due);
    let sent = (due - start).as_secs_f64() * f64::from(rate);
    Ok(match late <= LATE_MAX {
        true => Offered::InTime(times_ns),
        false => Offered::Late { per_second: sent / (now - start).as_secs_f64() },
    })
}
