//! One way as fast as it goes, by each library's call for one message: `pushpull-*`,
//! `dealerrouter-*` and, encrypted, `curve-*`. What counts is what arrives; each message must be
//! the one after the last. The limit is the bare stream in writes of 64 KiB; `limit singly` writes
//! each message by itself. Within a process it is the ring.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::field::{Enter, Place, contestant, everyone};
use super::{BYTES_PER_S, MSGS_PER_S, counted, warm_up};
use crate::rivals::machines::bare::{Blocks, Singly};
use crate::rivals::machines::ring::Ring;
use crate::rivals::machines::{Lacks, Library, Role, Socket, Spec, Transport};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::processes::{number_of, numbered};
use crate::workloads::side::{Peer, Side};

/// Bytes received between two looks at the clock, and most messages.
const LOOK_BYTES: usize = 16 * 1024;
const LOOK_MESSAGES_MAX: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Stream {
    spec: Spec,
    place: Place,
    sender: Role,
    receiver: Role,
}

pub(super) fn contests() -> Vec<Contest> {
    use Transport::{Inproc, Ipc, Tcp};
    let pipeline = |bytes, transport| Stream {
        spec: Spec::new(bytes, transport),
        place: Place::Process,
        sender: Role::Push,
        receiver: Role::Pull,
    };
    let routed =
        |bytes| Stream { sender: Role::Dealer, receiver: Role::Router, ..pipeline(bytes, Tcp) };
    let within = |stream: Stream| Stream { place: Place::Thread, ..stream };
    let encrypted = Spec { curve: true, ..Spec::new(1024, Tcp) };
    vec![
        contest("pushpull-16B-tcp", pipeline(16, Tcp)),
        contest("pushpull-64B-tcp", pipeline(64, Tcp)),
        contest("pushpull-1KiB-tcp", pipeline(1024, Tcp)),
        contest("pushpull-64KiB-tcp", pipeline(64 * 1024, Tcp)),
        contest("dealerrouter-64B-tcp", routed(64)),
        contest("dealerrouter-1KiB-tcp", routed(1024)),
        contest("dealerrouter-64KiB-tcp", routed(64 * 1024)),
        contest("pushpull-64B-ipc", pipeline(64, Ipc)),
        contest("pushpull-64B-tcp-threads", within(pipeline(64, Tcp))),
        contest("pushpull-64B-inproc", within(pipeline(64, Inproc))),
        contest("curve-1KiB-tcp", Stream { spec: encrypted, ..pipeline(1024, Tcp) }),
    ]
}

fn contest(name: &'static str, stream: Stream) -> Contest {
    let mut contestants = match stream.spec.transport {
        Transport::Inproc => vec![stream.enter::<Ring>("limit")],
        _ => vec![stream.enter::<Blocks>("limit"), stream.enter::<Singly>("limit singly")],
    };
    contestants.extend(everyone(&stream));
    Contest { name, contestants }
}

impl Enter for Stream {
    fn needs(&self) -> &[Lacks] {
        match self.spec.transport {
            Transport::Tcp if self.spec.curve => &[Lacks::Streams, Lacks::Curve],
            Transport::Tcp => &[Lacks::Streams],
            Transport::Ipc => &[Lacks::Streams, Lacks::Ipc],
            Transport::Inproc => &[Lacks::Streams, Lacks::Inproc],
        }
    }

    fn enter<L: Library>(&self, who: &'static str) -> Contestant {
        let stream = *self;
        contestant(
            who,
            stream.place,
            move |setup, peer| stream.receive::<L>(setup, peer),
            move |side| stream.send::<L>(side),
        )
    }
}

impl Stream {
    fn send<L: Library>(self, side: &Side) -> Result<()> {
        L::run(async {
            let endpoint = String::from_utf8(side.link.hear()?)?;
            let mut socket = L::connect(self.sender, &endpoint, &self.spec).await?;
            let (mut message, mut number) = (vec![0; self.spec.bytes], 0);
            loop {
                number += 1;
                numbered(&mut message, number);
                socket.send(&message).await?;
            }
        })
    }

    fn receive<L: Library>(self, setup: Setup, peer: Peer) -> Result<Samples> {
        L::run(async {
            let spec = Spec { turn: peer.link.turn(), ..self.spec };
            let (bound, endpoint) = L::bind(self.receiver, &spec).await?;
            peer.link.say(endpoint.as_bytes())?;
            let mut socket = L::accept(bound, 1).await?;
            let mut inbox = Inbox { socket: &mut socket, bytes: spec.bytes, number: 0 };
            let measured = inbox.rate(setup).await;
            peer.end();
            let rate = measured?;
            Ok(vec![(MSGS_PER_S, rate), (BYTES_PER_S, rate * spec.bytes as f64)])
        })
    }
}

struct Inbox<'a, S> {
    socket: &'a mut S,
    bytes: usize,
    /// Of the last message.
    number: u64,
}

impl<S: Socket> Inbox<'_, S> {
    async fn rate(&mut self, setup: Setup) -> Result<f64> {
        let per_look = (LOOK_BYTES / self.bytes).clamp(1, LOOK_MESSAGES_MAX) as u64;
        // The first waits for the connection.
        self.receive(1).await?;
        let begin = Instant::now();
        while begin.elapsed() < warm_up(setup) {
            self.receive(per_look).await?;
        }
        let (start, before) = (Instant::now(), self.number);
        while start.elapsed() < counted(setup) {
            self.receive(per_look).await?;
        }
        Ok((self.number - before) as f64 / start.elapsed().as_secs_f64())
    }

    /// At least as many messages.
    async fn receive(&mut self, count: u64) -> Result<()> {
        let enough = self.number + count;
        while self.number < enough {
            let (last, bytes) = (&mut self.number, self.bytes);
            let next = |message: &[u8]| {
                *last += 1;
                let number = number_of(message).filter(|_| message.len() == bytes);
                ensure!(number == Some(*last), "{number:?} in place of {last}");
                Ok(())
            };
            self.socket.recv(next).await?;
        }
        Ok(())
    }
}
