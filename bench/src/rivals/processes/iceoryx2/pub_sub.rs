//! Publish-subscribe of slices: a publisher in each direction for conversations, or one for all.

use ::iceoryx2::port::publisher::Publisher as Port;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::prelude::*;
use ::iceoryx2::service::port_factory::publish_subscribe::PortFactory as Service;
use anyhow::Result;

use super::{NODES_MAX, messages, name, node};
use crate::rivals::processes::link::Link;
use crate::rivals::processes::{Ends, Opens, Publishes, Read, Receives, Sends, Spec, Subscribes};

#[derive(Debug)]
pub struct PubSub;

#[derive(Debug)]
pub struct Outbox(Port<ipc::Service, [u8], ()>);

#[derive(Debug)]
pub struct Inbox {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    message: Vec<u8>,
}

impl Ends for PubSub {
    type Tx = Outbox;
    type Rx = Inbox;

    fn near(link: &Link, spec: Spec) -> Result<(Outbox, Inbox)> {
        ends(link, spec, "there", "back")
    }

    fn far(link: &Link, spec: Spec) -> Result<(Outbox, Inbox)> {
        ends(link, spec, "back", "there")
    }
}

fn ends(link: &Link, spec: Spec, out: &str, inward: &str) -> Result<(Outbox, Inbox)> {
    let node = node(link)?;
    let outbox = Outbox(publisher(&service(&node, out, spec, 1, false)?, spec)?);
    let subscriber = service(&node, inward, spec, 1, false)?.subscriber_builder().create()?;
    let inbox = Inbox { subscriber, message: vec![0; spec.bytes] };
    // Whoever publishes before the other subscribes, publishes to nobody.
    link.meet()?;
    Ok((outbox, inbox))
}

type Slices = Service<ipc::Service, [u8], ()>;

/// With `overflow` the oldest message gives way to a new one, else the publisher waits.
fn service(
    node: &Node<ipc::Service>,
    called: &str,
    spec: Spec,
    subscribers: usize,
    overflow: bool,
) -> Result<Slices> {
    let service = node
        .service_builder(&name(called)?)
        .publish_subscribe::<[u8]>()
        .max_nodes(NODES_MAX)
        .max_publishers(1)
        .max_subscribers(subscribers)
        .subscriber_max_buffer_size(messages(spec))
        .subscriber_max_borrowed_samples(1)
        .history_size(0)
        .enable_safe_overflow(overflow)
        .open_or_create()?;
    Ok(service)
}

fn publisher(service: &Slices, spec: Spec) -> Result<Port<ipc::Service, [u8], ()>> {
    let publisher = service
        .publisher_builder()
        .initial_max_slice_len(spec.bytes)
        .max_loaned_samples(1)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()?;
    Ok(publisher)
}

/// It waits for room by itself.
impl Sends for Outbox {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        self.0.loan_slice_uninit(message.len())?.write_from_slice(message).send()?;
        Ok(true)
    }
}

impl Receives for Inbox {
    fn poll(&mut self, read: impl Read) -> Result<bool> {
        take(&self.subscriber, &mut self.message, read)
    }

    fn show(&mut self, mut read: impl Read) -> Result<bool> {
        let sample = self.subscriber.receive()?;
        sample.map(|sample| read(sample.payload())).transpose().map(|read| read.is_some())
    }
}

/// Shows a private copy of the next sample.
fn take(
    subscriber: &Subscriber<ipc::Service, [u8], ()>,
    message: &mut [u8],
    mut read: impl Read,
) -> Result<bool> {
    let Some(sample) = subscriber.receive()? else { return Ok(false) };
    message.copy_from_slice(sample.payload());
    drop(sample);
    read(message)?;
    Ok(true)
}

#[derive(Debug)]
pub struct Publisher(Port<ipc::Service, [u8], ()>);

#[derive(Debug)]
pub struct Subscribers {
    subscribers: Vec<Subscriber<ipc::Service, [u8], ()>>,
    message: Vec<u8>,
}

impl Opens for Publisher {
    fn open(links: &[&Link], spec: Spec) -> Result<Publisher> {
        let service = service(&node(links[0])?, "news", spec, links.len(), true)?;
        let publisher = publisher(&service, spec)?;
        links[0].meet()?;
        Ok(Publisher(publisher))
    }
}

impl Opens for Subscribers {
    fn open(links: &[&Link], spec: Spec) -> Result<Subscribers> {
        let service = service(&node(links[0])?, "news", spec, links.len(), true)?;
        let subscriber = |_: &&Link| Ok(service.subscriber_builder().create()?);
        let subscribers = links.iter().map(subscriber).collect::<Result<_>>()?;
        links[0].meet()?;
        Ok(Subscribers { subscribers, message: vec![0; spec.bytes] })
    }
}

impl Publishes for Publisher {
    fn publish(&mut self, message: &[u8]) -> Result<()> {
        self.0.loan_slice_uninit(message.len())?.write_from_slice(message).send()?;
        Ok(())
    }
}

impl Subscribes for Subscribers {
    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool> {
        take(&self.subscribers[at], &mut self.message, read)
    }
}
