//! The patterns over any pair of one-way channels: a pair for each connection, looked at in turn.

use anyhow::Result;

use super::{
    Calls, Ends, Mux, Opens, Publishes, Pulls, Pushes, Read, Receives, Sends, Serves, Spec,
    Subscribes,
};
use crate::rivals::processes::link::Link;

/// The turn's ends.
pub struct Near<E: Ends>(Vec<(E::Tx, E::Rx)>);

/// The other side's ends.
pub struct Far<E: Ends>(Vec<(E::Tx, E::Rx)>);

impl<E: Ends> Opens for Near<E> {
    fn open(links: &[&Link], spec: Spec) -> Result<Near<E>> {
        links.iter().map(|link| E::near(link, spec)).collect::<Result<_>>().map(Near)
    }
}

impl<E: Ends> Opens for Far<E> {
    fn open(links: &[&Link], spec: Spec) -> Result<Far<E>> {
        links.iter().map(|link| E::far(link, spec)).collect::<Result<_>>().map(Far)
    }
}

impl<E: Ends> Calls for Near<E> {
    fn call(&mut self, request: &[u8], read: impl Read) -> Result<()> {
        let (tx, rx) = &mut self.0[0];
        tx.send(request)?;
        rx.receive(read)
    }
}

impl<E: Ends> Near<E> {
    /// What replies are received from.
    pub fn inboxes(&self) -> impl ExactSizeIterator<Item = &E::Rx> {
        self.0.iter().map(|(_, rx)| rx)
    }
}

impl<E: Ends> Far<E> {
    /// What requests are received from.
    pub fn inboxes(&self) -> impl ExactSizeIterator<Item = &E::Rx> {
        self.0.iter().map(|(_, rx)| rx)
    }

    /// Answers a request of this connection, if there is one.
    pub fn serve_one(&mut self, at: usize) -> Result<()> {
        let (tx, rx) = &mut self.0[at];
        rx.show(|request| tx.send(request)).map(drop)
    }
}

impl<E: Ends> Serves for Far<E> {
    fn serve(&mut self) -> Result<()> {
        (0..self.0.len()).try_for_each(|at| self.serve_one(at))
    }
}

impl<E: Ends> Mux for Near<E> {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        self.0[at].0.send(request)
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(0..self.0.len());
        Ok(())
    }

    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool> {
        self.0[at].1.poll(read)
    }
}

impl<E: Ends> Pushes for Far<E> {
    fn push(&mut self, message: &[u8]) -> Result<()> {
        self.0[0].0.send(message)
    }
}

impl<E: Ends> Pulls for Near<E> {
    fn pull(&mut self, read: impl Read) -> Result<()> {
        self.0[0].1.receive(read)
    }
}

/// Sends to one after the other. Who has no room goes without.
impl<E: Ends> Publishes for Near<E> {
    fn publish(&mut self, message: &[u8]) -> Result<()> {
        self.0.iter_mut().try_for_each(|(tx, _)| tx.offer(message).map(drop))
    }
}

impl<E: Ends> Subscribes for Far<E> {
    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool> {
        self.0[at].1.poll(read)
    }
}
