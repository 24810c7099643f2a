//! One publisher and many subscribers, driven by one other process: `publish-*`. The publisher
//! waits for nobody; who falls behind loses messages, and is told the next in their order. Beside
//! the cost of a call stands how many deliveries it was good for. The limit is a ring that knows
//! nothing of its readers.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{DELIVERIES_PER_S, NS_PER_PUBLISH, SMALL_ROOM, number_of, numbered};
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::limits::seqlock;
use crate::rivals::processes::{Publishes, Spec, Subscribes, chaski, iceoryx2, shmem_ipc, unix};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::warm_up;
use crate::workloads::side::Side;

const SPEC: Spec = Spec::adaptive(64, SMALL_ROOM);

/// Most messages that one subscriber takes before it is the next one's turn.
const TAKEN_MAX: usize = 32;

/// Subscribers visited between two looks whether the turn wants to know.
const VISITS: usize = 64;

/// Calls between two looks at the clock.
const CALLS: u64 = 64;

pub(super) fn contests() -> Vec<Contest> {
    let contest = |name, subscribers| Contest { name, contestants: contestants(subscribers) };
    vec![contest("publish-1", 1), contest("publish-10", 10), contest("publish-100", 100)]
}

fn contestants(subscribers: usize) -> Vec<Contestant> {
    use iceoryx2::{Publisher, Subscribers};
    use shmem_ipc::Rings;
    use unix::SeqPacket;
    vec![
        contestant::<seqlock::Publisher, seqlock::Subscribers>("limit", subscribers),
        contestant::<chaski::Publishing, chaski::Subscribing>("chaski", subscribers),
        contestant::<Publisher, Subscribers>("iceoryx2", subscribers),
        contestant::<Near<Rings>, Far<Rings>>("shmem-ipc", subscribers),
        contestant::<Near<SeqPacket>, Far<SeqPacket>>("unix-seqpacket", subscribers),
    ]
}

fn contestant<P: Publishes, S: Subscribes>(who: &'static str, subscribers: usize) -> Contestant {
    Contestant::new(
        who,
        move |turn| {
            let peer = turn.start()?;
            let mut publisher = P::open(&vec![&peer.link; subscribers], SPEC)?;
            let measured = publish(turn.setup, &mut publisher, || {
                peer.link.say(b"how many?")?;
                let count = peer.link.hear()?;
                Ok(u64::from_ne_bytes(count.try_into().ok().context("no count")?))
            });
            peer.end();
            measured
        },
        move |side| subscribe::<S>(side, subscribers),
    )
}

/// `delivered` asks how many messages all subscribers together have received since the last time.
fn publish(
    setup: Setup,
    publisher: &mut impl Publishes,
    delivered: impl Fn() -> Result<u64>,
) -> Result<Samples> {
    let (mut message, mut number) = (vec![0; SPEC.bytes], 0);
    let mut publish_until = |end: Instant| -> Result<u64> {
        let before = number;
        while Instant::now() < end {
            for _ in 0..CALLS {
                number += 1;
                numbered(&mut message, number);
                publisher.publish(&message)?;
            }
        }
        Ok(number - before)
    };
    publish_until(Instant::now() + warm_up(setup))?;
    delivered()?;
    let start = Instant::now();
    let count = publish_until(start + setup.turn())?;
    let took = start.elapsed().as_secs_f64();
    let deliveries = delivered()?;
    ensure!(deliveries > 0, "nothing was delivered");
    Ok(vec![
        (NS_PER_PUBLISH, took * 1e9 / count as f64),
        (DELIVERIES_PER_S, deliveries as f64 / took),
    ])
}

fn subscribe<S: Subscribes>(side: &Side, subscribers: usize) -> Result<()> {
    let links = vec![&side.link; subscribers];
    let mut inbox =
        Inbox { subscribers: S::open(&links, SPEC)?, last: vec![0; subscribers], count: 0 };
    loop {
        for _ in 0..VISITS.div_ceil(subscribers) {
            (0..subscribers).try_for_each(|at| inbox.take(at))?;
        }
        if side.link.heard()?.is_some() {
            let count = std::mem::take(&mut inbox.count);
            side.link.say(&count.to_ne_bytes())?;
        }
    }
}

struct Inbox<S> {
    subscribers: S,
    /// Of each subscriber, the number of the last message.
    last: Vec<u64>,
    count: u64,
}

impl<S: Subscribes> Inbox<S> {
    fn take(&mut self, at: usize) -> Result<()> {
        for _ in 0..TAKEN_MAX {
            let last = &mut self.last[at];
            let taken = self.subscribers.poll(at, |message| {
                let number = number_of(message).context("half a message")?;
                let last = std::mem::replace(last, number);
                ensure!(number > last, "{number} after {last}");
                Ok(())
            })?;
            if !taken {
                break;
            }
            self.count += 1;
        }
        Ok(())
    }
}
