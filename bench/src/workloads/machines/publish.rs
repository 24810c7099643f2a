//! One publisher that publishes without pause, and subscribers in another process, each a thread
//! with a socket of its own. `pub-1x1-*` and `pub-1x10-*` deliver everything to everyone, in the
//! library's setting that loses nothing, if it has one; `pub-10000-topics` has one subscriber to
//! every tenth of so many topics. In `pub-slow`, with every library's default setting, which drops,
//! one subscriber takes a message now and then, and what counts is what the other one gets.
//!
//! Where messages are dropped the publisher offers its core to the library's own threads after
//! every burst. A case begins when every subscriber has received something: until then the
//! publisher sends messages with the number 0. The limit is a bare stream to each, in writes of
//! 64 KiB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::field::{Enter, Place, contestant, everyone};
use super::{DELIVERIES_PER_S, PUBLISHES_PER_S, counted, warm_up};
use crate::rivals::machines::bare::Blocks;
use crate::rivals::machines::{
    Lacks, Library, Role, Socket, Spec, TOPIC_BYTES, TOPICS_PER_SUBSCRIPTION, Transport, is_wanted,
    topic_name, topic_of,
};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::padded::Padded;
use crate::workloads::processes::{number_of, numbered};
use crate::workloads::side::{Peer, Side};

/// Messages published before others of the same core may run, where nothing makes the publisher
/// wait: under a real-time class nobody else would for as long as a case lasts, and all that a
/// library hands to its own threads would be dropped. Every library keeps more of them.
const BURST: u64 = 256;

/// Between two messages of the publisher before the case begins.
const KNOCK: Duration = Duration::from_millis(1);

/// How long a slow subscriber needs for each message.
const SLOW: Duration = Duration::from_millis(10);

/// How long all subscribers may take until they have received something.
const BEGIN_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Publish {
    spec: Spec,
    subscribers: usize,
    /// The last of the subscribers is slow, and not counted.
    one_is_slow: bool,
}

pub(super) fn contests() -> Vec<Contest> {
    let everything = |subscribers| Publish {
        spec: Spec { lossless: true, ..Spec::new(64, Transport::Tcp) },
        subscribers,
        one_is_slow: false,
    };
    let topics = Spec { topics: true, ..everything(1).spec };
    let slow = Publish { spec: Spec::new(64, Transport::Tcp), subscribers: 2, one_is_slow: true };
    vec![
        contest("pub-1x1-64B-tcp", everything(1)),
        contest("pub-1x10-64B-tcp", everything(10)),
        contest("pub-10000-topics", Publish { spec: topics, ..everything(1) }),
        contest("pub-slow", slow),
    ]
}

fn contest(name: &'static str, case: Publish) -> Contest {
    // A bare stream waits for the slow one.
    let limit = (!case.one_is_slow).then(|| case.enter::<Blocks>("limit"));
    let contestants = limit.into_iter().chain(everyone(&case)).collect();
    Contest { name, contestants }
}

impl Enter for Publish {
    fn needs(&self) -> &[Lacks] {
        &[Lacks::Streams, Lacks::Conversations]
    }

    fn enter<L: Library>(&self, who: &'static str) -> Contestant {
        let case = *self;
        contestant(
            who,
            Place::Process,
            move |setup, peer| case.subscribe::<L>(setup, peer),
            move |side| case.publish::<L>(side),
        )
    }
}

impl Publish {
    fn publish<L: Library>(self, side: &Side) -> Result<()> {
        L::run(async {
            let spec = Spec { turn: side.link.turn(), ..self.spec };
            let (bound, endpoint) = L::bind(Role::Pub, &spec).await?;
            side.link.say(endpoint.as_bytes())?;
            let mut socket = L::accept(bound, self.subscribers).await?;
            let mut message = vec![0; spec.bytes];
            let lossless = self.is_lossless::<L>();
            while side.link.heard()?.is_none() {
                self.number(&mut message, 0);
                socket.send(&message).await?;
                socket.flush().await?;
                thread::sleep(KNOCK);
            }
            let mut number = 0;
            loop {
                number += 1;
                self.number(&mut message, number);
                socket.send(&message).await?;
                if !lossless && number.is_multiple_of(BURST) {
                    thread::yield_now();
                }
            }
        })
    }

    fn is_lossless<L: Library>(self) -> bool {
        self.spec.lossless && !L::LACKS.contains(&Lacks::Lossless)
    }

    /// Writes the number to both ends, or to one if the topic is at the other.
    fn number(self, message: &mut [u8], number: u64) {
        numbered(message, number);
        if self.spec.topics {
            message[..TOPIC_BYTES].copy_from_slice(&topic_name(topic_of(number)));
        }
    }

    /// The number of a message, which must be as it was sent and wanted.
    fn number_in(self, message: &[u8]) -> Option<u64> {
        if !self.spec.topics {
            return number_of(message);
        }
        let number = u64::from_ne_bytes(*message.last_chunk()?);
        let topic = topic_of(number);
        let right = is_wanted(topic) && message[..TOPIC_BYTES] == topic_name(topic);
        right.then_some(number)
    }

    fn subscribe<L: Library>(self, setup: Setup, peer: Peer) -> Result<Samples> {
        let endpoint = String::from_utf8(peer.link.hear()?)?;
        let desk: Arc<Vec<Padded<Desk>>> =
            Arc::new((0..self.subscribers).map(|_| Padded::default()).collect());
        let over = Arc::new(AtomicBool::new(false));
        for at in 0..self.subscribers {
            let (desk, over, endpoint) = (Arc::clone(&desk), Arc::clone(&over), endpoint.clone());
            thread::spawn(move || {
                let received = L::run(self.receive::<L>(at, &desk[at].0, &endpoint));
                if let (Err(error), false) = (received, over.load(Ordering::Relaxed)) {
                    eprintln!("a subscriber: {error:#}");
                    std::process::exit(1);
                }
            });
        }
        let measured = self.count(setup, &peer, &desk);
        over.store(true, Ordering::Relaxed);
        peer.end();
        measured
    }

    /// Receives until the process ends.
    async fn receive<L: Library>(self, at: usize, desk: &Desk, endpoint: &str) -> Result<()> {
        let mut socket = L::connect(Role::Sub, endpoint, &self.spec).await?;
        let is_slow = self.one_is_slow && at + 1 == self.subscribers;
        let lossless = self.is_lossless::<L>();
        let step = if self.spec.topics { TOPICS_PER_SUBSCRIPTION as u64 } else { 1 };
        let (mut last, mut count) = (0, 0);
        loop {
            let next = |message: &[u8]| {
                let number = self.number_in(message).context("half a message")?;
                if number > 0 {
                    let right = number == last + step || (!lossless && number > last);
                    ensure!(right, "{number} after {last}");
                    (last, count) = (number, count + 1);
                }
                Ok(())
            };
            socket.recv(next).await?;
            desk.has_begun.store(true, Ordering::Release);
            desk.last.store(last, Ordering::Relaxed);
            desk.count.store(count, Ordering::Relaxed);
            if is_slow {
                thread::sleep(SLOW);
            }
        }
    }

    fn count(self, setup: Setup, peer: &Peer, desks: &[Padded<Desk>]) -> Result<Samples> {
        let begin = Instant::now();
        while !desks.iter().all(|desk| desk.0.has_begun.load(Ordering::Acquire)) {
            ensure!(begin.elapsed() < BEGIN_MAX, "some subscribers receive nothing");
            thread::sleep(KNOCK);
        }
        peer.link.say(b"begin")?;
        thread::sleep(warm_up(setup));
        let counted_ones = self.subscribers - usize::from(self.one_is_slow);
        let desks = &desks[..counted_ones];
        let deliveries = || desks.iter().map(|d| d.0.count.load(Ordering::Relaxed)).sum::<u64>();
        let last = || desks[0].0.last.load(Ordering::Relaxed);
        let (start, before, first) = (Instant::now(), deliveries(), last());
        thread::sleep(counted(setup));
        let (count, publishes) = (deliveries() - before, last() - first);
        let took = start.elapsed().as_secs_f64();
        ensure!(count > 0, "nothing was delivered");
        let mut samples = vec![(DELIVERIES_PER_S, count as f64 / took)];
        if self.spec.topics {
            samples.push((PUBLISHES_PER_S, publishes as f64 / took));
        }
        Ok(samples)
    }
}

/// Where a subscriber writes down how far it is.
#[derive(Debug, Default)]
struct Desk {
    has_begun: AtomicBool,
    count: AtomicU64,
    /// The number of the last message.
    last: AtomicU64,
}
