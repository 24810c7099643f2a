//! `chaski-ring` carrying the same messages between two threads: the limit of what goes on within a
//! process. A channel in each direction; a message is 64 bytes in its slot.

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use chaski_ring::spsc::{Receiver, Sender, channel};

use super::{Lacks, Library, Read, Role, Socket, Spec, run_at_once};

/// As many messages as sockets hold by default.
const CAPACITY: usize = 1024;

const MESSAGE_BYTES: usize = 64;

type Message = [u8; MESSAGE_BYTES];

/// The end of the one who has not connected yet.
static OFFERED: Mutex<Option<Channels>> = Mutex::new(None);

#[derive(Debug)]
pub struct Ring;

#[derive(Debug)]
pub struct Channels {
    tx: Sender<Message>,
    rx: Receiver<Message>,
}

impl Library for Ring {
    type Bound = Channels;
    type Socket = Channels;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(_: Role, spec: &Spec) -> Result<(Channels, String)> {
        ensure!(spec.bytes == MESSAGE_BYTES, "slots are of {MESSAGE_BYTES} bytes");
        let ((there, inbox), (back, answers)) = (channel(CAPACITY), channel(CAPACITY));
        let offered = Channels { tx: there, rx: answers };
        *OFFERED.lock().expect("nobody panics here") = Some(offered);
        Ok((Channels { tx: back, rx: inbox }, spec.endpoint()))
    }

    async fn accept(bound: Channels, _: usize) -> Result<Channels> {
        Ok(bound)
    }

    async fn connect(_: Role, _: &str, _: &Spec) -> Result<Channels> {
        OFFERED.lock().expect("nobody panics here").take().context("nothing is bound")
    }
}

impl Socket for Channels {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        let message = *message.first_chunk().context("another length")?;
        self.tx.send(message).ok().context("the other side is gone")
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        read(&self.rx.recv().ok().context("the other side is gone")?)
    }

    async fn echo(&mut self) -> Result<()> {
        let request = self.rx.recv().ok().context("the other side is gone")?;
        self.tx.send(request).ok().context("the other side is gone")
    }
}
