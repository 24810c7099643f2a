//! One way as fast as it goes: `stream-*`. What counts is what arrives; each message must be the
//! one after the last. The limit is memory that changes processes in large blocks.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{BYTES_PER_S, LARGE_ROOM, MSGS_PER_S, ROOM, number_of, numbered};
use crate::rivals::processes::lanes::{Far, Near};
use crate::rivals::processes::limits::blocks;
use crate::rivals::processes::{
    Pulls, Pushes, Spec, chaski, iceoryx2, ipc_channel, pipe, shmem_ipc, unix,
};
use crate::run::Samples;
use crate::workloads::apart::Setup;
use crate::workloads::contest::{Contest, Contestant};
use crate::workloads::laps::warm_up;

/// Messages between two looks at the clock, as bytes.
const BYTES_PER_LOOK: usize = 128 * 1024;

pub(super) fn contests() -> Vec<Contest> {
    let contest = |name, bytes, room| {
        let spec = Spec::adaptive(bytes, room);
        Contest { name, contestants: contestants(spec) }
    };
    vec![
        contest("stream-64B", 64, ROOM),
        contest("stream-1KiB", 1024, ROOM),
        contest("stream-64KiB", 64 * 1024, LARGE_ROOM),
    ]
}

fn contestants(spec: Spec) -> Vec<Contestant> {
    vec![
        contestant::<blocks::Emptying, blocks::Filling>("limit", spec),
        contestant::<chaski::Pulling, chaski::Pushing>("chaski", spec),
        contestant::<chaski::PullingSingly, chaski::Pushing>("chaski recv", spec),
        contestant::<chaski::Pulling, chaski::PushingBatches>("chaski batches", spec),
        contestant::<Near<iceoryx2::PubSub>, Far<iceoryx2::PubSub>>("iceoryx2", spec),
        contestant::<Near<shmem_ipc::Rings>, Far<shmem_ipc::Rings>>("shmem-ipc", spec),
        contestant::<Near<pipe::Pipes>, Far<pipe::Pipes>>("pipe", spec),
        contestant::<Near<unix::SeqPacket>, Far<unix::SeqPacket>>("unix-seqpacket", spec),
        contestant::<Near<unix::Stream>, Far<unix::Stream>>("unix-stream", spec),
        contestant::<Near<ipc_channel::Bytes>, Far<ipc_channel::Bytes>>("ipc-channel", spec),
    ]
}

fn contestant<R: Pulls, S: Pushes>(who: &'static str, spec: Spec) -> Contestant {
    Contestant::new(
        who,
        move |turn| {
            let peer = turn.start()?;
            let mut receiver = R::open(&[&peer.link], spec)?;
            let measured = receive(turn.setup, spec, &mut receiver);
            peer.end();
            measured
        },
        move |side| {
            let mut sender = S::open(&[&side.link], spec)?;
            let (mut message, mut number) = (vec![0; spec.bytes], 0);
            loop {
                number += 1;
                numbered(&mut message, number);
                sender.push(&message)?;
            }
        },
    )
}

fn receive(setup: Setup, spec: Spec, receiver: &mut impl Pulls) -> Result<Samples> {
    let per_look = (BYTES_PER_LOOK / spec.bytes) as u64;
    let mut inbox = Inbox { receiver, bytes: spec.bytes, number: 0 };
    let begin = Instant::now();
    while begin.elapsed() < warm_up(setup) {
        inbox.receive(per_look)?;
    }
    let (start, before) = (Instant::now(), inbox.number);
    while start.elapsed() < setup.turn() {
        inbox.receive(per_look)?;
    }
    let (took, count) = (start.elapsed().as_secs_f64(), inbox.number - before);
    let rate = count as f64 / took;
    Ok(vec![(MSGS_PER_S, rate), (BYTES_PER_S, rate * spec.bytes as f64)])
}

struct Inbox<'a, R> {
    receiver: &'a mut R,
    bytes: usize,
    /// Of the last message.
    number: u64,
}

impl<R: Pulls> Inbox<'_, R> {
    /// At least as many messages.
    fn receive(&mut self, count: u64) -> Result<()> {
        let enough = self.number + count;
        while self.number < enough {
            self.receiver.pull(|message| {
                self.number += 1;
                let number = number_of(message).filter(|_| message.len() == self.bytes);
                ensure!(number == Some(self.number), "{number:?} in place of {}", self.number);
                Ok(())
            })?;
        }
        Ok(())
    }
}
