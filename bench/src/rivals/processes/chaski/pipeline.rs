//! Pipeline: one sender and one worker, which takes all that is there, or one message at a time.

use ::chaski_shm::{Batch, Pull, Push};
use anyhow::Result;

use super::wait;
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Opens, Pulls, Pushes, Read, Spec};
use crate::workloads::side::turn_dir;

const NAME: &str = "work";

/// Most messages that are taken at once.
const TAKEN_MAX: usize = 1024;

/// Messages that become visible at once where they are sent so.
const BATCH: usize = 64;

/// Sends each message by itself.
#[derive(Debug)]
pub struct Pushing(Push);

/// Shows messages to the receiver when there is a batch of them.
#[derive(Debug)]
pub struct PushingBatches {
    push: Push,
    staged: usize,
}

#[derive(Debug)]
pub struct Pulling {
    pull: Pull,
    batch: Batch,
}

#[derive(Debug)]
pub struct PullingSingly(Pull);

fn push(link: &Link, spec: Spec) -> Result<Push> {
    let push = Push::builder().directory(turn_dir(link.turn())).wait(wait(spec)).bind(NAME)?;
    link.meet()?;
    // Until the worker has connected.
    link.meet()?;
    Ok(push)
}

fn pull(link: &Link, spec: Spec) -> Result<Pull> {
    link.meet()?;
    let pull = Pull::builder().directory(turn_dir(link.turn())).wait(wait(spec));
    let pull = pull.ring_bytes(spec.room).connect(NAME)?;
    link.meet()?;
    Ok(pull)
}

impl Opens for Pushing {
    fn open(links: &[&Link], spec: Spec) -> Result<Pushing> {
        push(links[0], spec).map(Pushing)
    }
}

impl Opens for PushingBatches {
    fn open(links: &[&Link], spec: Spec) -> Result<PushingBatches> {
        Ok(PushingBatches { push: push(links[0], spec)?, staged: 0 })
    }
}

impl Opens for Pulling {
    fn open(links: &[&Link], spec: Spec) -> Result<Pulling> {
        Ok(Pulling { pull: pull(links[0], spec)?, batch: Batch::new() })
    }
}

impl Opens for PullingSingly {
    fn open(links: &[&Link], spec: Spec) -> Result<PullingSingly> {
        pull(links[0], spec).map(PullingSingly)
    }
}

impl Pushes for Pushing {
    fn push(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.0.send(message)?)
    }
}

impl Pushes for PushingBatches {
    fn push(&mut self, message: &[u8]) -> Result<()> {
        self.push.stage(message)?;
        self.staged += 1;
        if self.staged == BATCH {
            self.push.publish();
            self.staged = 0;
        }
        Ok(())
    }
}

impl Pulls for Pulling {
    fn pull(&mut self, read: impl Read) -> Result<()> {
        self.pull.recv_many(&mut self.batch, TAKEN_MAX)?;
        self.batch.iter().try_for_each(read)
    }
}

impl Pulls for PullingSingly {
    fn pull(&mut self, mut read: impl Read) -> Result<()> {
        read(&self.0.recv()?)
    }
}
