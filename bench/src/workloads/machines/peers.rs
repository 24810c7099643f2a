//! One ROUTER with a thousand peers: `peers-1000`. The peers are bare streams that speak ZMTP and
//! cost nothing (`dealers.rs`), in one process; each in turn sends a burst. First one peer sends
//! alone; then the others connect, which tells what a peer that is idle keeps in the ROUTER's
//! memory; then all of them send. Messages of a peer must come in their order, none missing. The
//! limit is a loop of epoll and read.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::field::{Enter, Place, contestant, everyone};
use super::{MSGS_PER_S, MSGS_PER_S_1PEER, RSS_BYTES_PER_PEER, counted, warm_up};
use crate::rivals::machines::dealers::Dealer;
use crate::rivals::machines::router::Bare;
use crate::rivals::machines::{Lacks, Library, Role, Socket, Spec, Transport};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::processes::{number_of, numbered};
use crate::workloads::side::{Peer, Side};

const PEERS: usize = 1000;

const MESSAGE_BYTES: usize = 64;

/// Messages that a peer sends with one write.
const BURST: usize = 64;

/// How long it may take until all peers have been heard.
const ROUND_MAX: Duration = Duration::from_secs(8);

/// It is counted for so much longer than elsewhere: all peers are to come round.
const ROUNDS: u32 = 3;

/// The number of a message with which the one peer says that it has stopped.
const STOPPED: u64 = u64::MAX;

/// Messages between two looks at the clock.
const LOOK: u64 = 256;

#[derive(Debug, Clone, Copy)]
struct Peers;

pub(super) fn contest() -> Contest {
    let limit = Peers.enter::<Bare>("limit");
    Contest {
        name: "peers-1000",
        contestants: [limit].into_iter().chain(everyone(&Peers)).collect(),
    }
}

impl Enter for Peers {
    fn needs(&self) -> &[Lacks] {
        &[Lacks::ManyPeers, Lacks::Streams, Lacks::Conversations]
    }

    fn enter<L: Library>(&self, who: &'static str) -> Contestant {
        contestant(who, Place::Process, route::<L>, send)
    }
}

fn route<L: Library>(setup: Setup, peer: Peer) -> Result<Samples> {
    allow_descriptors()?;
    let spec = Spec::new(MESSAGE_BYTES, Transport::Tcp);
    L::run(async {
        let (bound, endpoint) = L::bind(Role::Router, &spec).await?;
        peer.link.say(endpoint.as_bytes())?;
        let mut socket = L::accept(bound, 1).await?;
        let mut inbox = Inbox { socket: &mut socket, last: vec![0; PEERS], count: 0, ended: false };
        let measured = inbox.measure(setup, &peer).await;
        peer.end();
        measured
    })
}

struct Inbox<'a, S> {
    socket: &'a mut S,
    /// Of each peer, the number of its last message.
    last: Vec<u64>,
    count: u64,
    ended: bool,
}

impl<S: Socket> Inbox<'_, S> {
    async fn measure(&mut self, setup: Setup, peer: &Peer) -> Result<Samples> {
        let alone = self.rate(setup, 1).await?;
        peer.link.say(b"stop")?;
        while !self.ended {
            self.receive().await?;
        }
        let before = resident_bytes()?;
        peer.link.say(b"connect")?;
        peer.link.hear()?;
        let of_others = resident_bytes()?.saturating_sub(before);
        peer.link.say(b"send")?;
        let together = self.rate(setup, PEERS).await?;
        Ok(vec![
            (MSGS_PER_S, together),
            (MSGS_PER_S_1PEER, alone),
            (RSS_BYTES_PER_PEER, of_others as f64 / (PEERS - 1) as f64),
        ])
    }

    /// Messages a second, once there is something from each of so many peers.
    async fn rate(&mut self, setup: Setup, peers: usize) -> Result<f64> {
        let begin = Instant::now();
        while begin.elapsed() < warm_up(setup) || self.peers_heard() < peers {
            ensure!(begin.elapsed() < ROUND_MAX, "{} peers of {peers}", self.peers_heard());
            self.receive_some().await?;
        }
        let (start, before) = (Instant::now(), self.count);
        while start.elapsed() < ROUNDS * counted(setup) {
            self.receive_some().await?;
        }
        Ok((self.count - before) as f64 / start.elapsed().as_secs_f64())
    }

    fn peers_heard(&self) -> usize {
        self.last.iter().filter(|last| **last > 0).count()
    }

    async fn receive_some(&mut self) -> Result<()> {
        let enough = self.count + LOOK;
        while self.count < enough {
            self.receive().await?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<()> {
        let Inbox { socket, last, count, ended } = self;
        let next = |message: &[u8]| {
            let number = number_of(message).context("half a message")?;
            if number == STOPPED {
                *ended = true;
                return Ok(());
            }
            let (peer, number) = ((number >> 32) as usize, number & u64::from(u32::MAX));
            let last = last.get_mut(peer).context("a peer too many")?;
            ensure!(number == *last + 1, "{number} after {last} of peer {peer}");
            (*last, *count) = (number, *count + 1);
            Ok(())
        };
        socket.recv(next).await
    }
}

fn send(side: &Side) -> Result<()> {
    allow_descriptors()?;
    let endpoint = String::from_utf8(side.link.hear()?)?;
    let mut first = Burst::new(0);
    let mut dealer = Dealer::connect(&endpoint)?;
    while side.link.heard()?.is_none() {
        dealer.send(first.next())?;
    }
    let mut stopped = frame();
    numbered(&mut stopped[2..], STOPPED);
    dealer.send(&stopped)?;
    side.link.hear()?;
    let mut peers = vec![(first, dealer)];
    for peer in 1..PEERS {
        peers.push((Burst::new(peer), Dealer::connect(&endpoint)?));
    }
    side.link.say(b"connected")?;
    side.link.hear()?;
    loop {
        for (burst, dealer) in &mut peers {
            dealer.send(burst.next())?;
        }
    }
}

/// What a peer sends next, as frames.
#[derive(Debug)]
struct Burst {
    peer: u64,
    number: u64,
    frames: Vec<u8>,
}

impl Burst {
    fn new(peer: usize) -> Burst {
        Burst { peer: peer as u64, number: 0, frames: frame().repeat(BURST) }
    }

    fn next(&mut self) -> &[u8] {
        for frame in self.frames.chunks_exact_mut(2 + MESSAGE_BYTES) {
            self.number += 1;
            numbered(&mut frame[2..], self.peer << 32 | self.number);
        }
        &self.frames
    }
}

/// An empty message in its frame, which is the last of its message.
fn frame() -> Vec<u8> {
    let mut frame = vec![0; 2 + MESSAGE_BYTES];
    frame[1] = MESSAGE_BYTES as u8;
    frame
}

/// As many as the system lets this process have.
fn allow_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// What this process has in memory.
fn resident_bytes() -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("no resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
