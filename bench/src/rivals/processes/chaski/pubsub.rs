//! Publish and subscribe: one ring for all subscribers, who lose the oldest when they fall behind.

use ::chaski_shm::{Error, Publisher, Subscriber};
use anyhow::Result;

use super::wait;
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Opens, Publishes, Read, Spec, Subscribes};
use crate::workloads::side::turn_dir;

const NAME: &str = "news";

const HEADER_BYTES: usize = 16;

#[derive(Debug)]
pub struct Publishing(Publisher);

#[derive(Debug)]
pub struct Subscribing(Vec<Subscriber>);

impl Opens for Publishing {
    fn open(links: &[&Link], spec: Spec) -> Result<Publishing> {
        let publisher = Publisher::builder().directory(turn_dir(links[0].turn())).wait(wait(spec));
        // As many messages as others hold, each with a header.
        let ring = spec.messages() * (spec.bytes + HEADER_BYTES);
        let publisher = publisher.ring_bytes(ring.next_power_of_two()).bind(NAME)?;
        links[0].meet()?;
        // Until all have subscribed.
        links[0].meet()?;
        Ok(Publishing(publisher))
    }
}

impl Opens for Subscribing {
    fn open(links: &[&Link], spec: Spec) -> Result<Subscribing> {
        links[0].meet()?;
        let directory = turn_dir(links[0].turn());
        let subscriber = || Subscriber::builder().directory(&directory).wait(wait(spec));
        let subscribers =
            links.iter().map(|_| Ok(subscriber().connect(NAME)?)).collect::<Result<_>>()?;
        links[0].meet()?;
        Ok(Subscribing(subscribers))
    }
}

impl Publishes for Publishing {
    fn publish(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.0.publish(message)?)
    }
}

impl Subscribes for Subscribing {
    fn poll(&mut self, at: usize, mut read: impl Read) -> Result<bool> {
        let subscriber = &mut self.0[at];
        let news = match subscriber.try_recv() {
            // What was lost is told before what comes next.
            Err(Error::Lagged { .. }) => subscriber.try_recv(),
            news => news,
        };
        match news {
            Ok(Some(news)) => read(&news).map(|()| true),
            Ok(None) | Err(Error::Lagged { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
