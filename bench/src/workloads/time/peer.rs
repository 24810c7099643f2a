//! A server that can be loaded by the raw generator, whatever it speaks.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::TOPIC;
use crate::load::{Lane, Load, Stop, Tally};
use crate::machine::Pinned;
use crate::rivals::kafka::{AcksAll, Broker, start_with_topic};
use crate::rivals::{nats, redis};
use crate::server::{Launch, Server};
use crate::wire::batch::{Codec, Payload, Values, batch};
use crate::wire::{self, ProduceReplies};
use crate::workloads::Plan;

/// Who is asked, and for which promise.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// `acks` as on the wire, 1 or -1.
    Kafka {
        broker: Broker,
        acks_all: AcksAll,
        acks: i16,
    },
    Nats,
    Redis(redis::Fsync),
}

/// How a peer is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressure {
    pub(super) connections: usize,
    /// Requests in flight on each connection.
    pub(super) window: usize,
    pub(super) warm_up: Stop,
    pub(super) measured: Stop,
}

impl Peer {
    /// Answers from the page cache.
    pub(super) fn cached(broker: &Broker) -> Peer {
        Peer::Kafka { broker: broker.clone(), acks_all: AcksAll::PageCache, acks: 1 }
    }

    /// Answers once the disk has it.
    pub(super) fn durable(broker: &Broker) -> Peer {
        Peer::Kafka { broker: broker.clone(), acks_all: AcksAll::Fsync, acks: -1 }
    }

    pub(super) fn who(&self) -> String {
        match self {
            Peer::Kafka { broker, .. } => broker.who.clone(),
            Peer::Nats => "nats".to_owned(),
            Peer::Redis(_) => "redis".to_owned(),
        }
    }

    pub(super) fn launch(&self, core: Option<usize>) -> Result<Launch> {
        let installed = match self {
            Peer::Kafka { .. } => true,
            Peer::Nats => nats::version().is_some(),
            Peer::Redis(_) => redis::version().is_some(),
        };
        if !installed {
            bail!("not installed; `cargo xtask bench --setup` installs it");
        }
        Ok(match self {
            Peer::Kafka { broker, acks_all, .. } => broker.launch(*acks_all, core),
            Peer::Nats => nats::launch(core),
            Peer::Redis(fsync) => redis::launch(*fsync, core),
        })
    }

    /// Starts it with one topic of `partitions` partitions, where it has such a thing.
    pub(super) fn start(
        &self,
        plan: &Plan,
        core: Option<usize>,
        partitions: usize,
        segment_bytes: Option<u64>,
    ) -> Result<Server> {
        let launch = self.launch(core)?;
        match self {
            Peer::Kafka { .. } => {
                start_with_topic(launch, &plan.dir, TOPIC, partitions as i32, segment_bytes)
            }
            _ => Server::start(launch, &plan.dir),
        }
    }

    /// A connection that sends one record a request, to partition 0.
    pub(super) fn lane(&self, address: SocketAddr, value_bytes: usize) -> Result<Lane> {
        let value = Values::new(Payload::Random).next(value_bytes);
        match self {
            Peer::Kafka { acks, .. } => {
                let one = batch(1, value_bytes, Payload::Random, Codec::None)?;
                kafka_lane(address, 0, *acks, &one.bytes)
            }
            Peer::Nats => nats::lane(address, TOPIC, &value),
            Peer::Redis(_) => redis::lane(address, TOPIC, &value),
        }
    }

    /// Starts the peer, loads one partition one record a request, ends it.
    pub(super) fn measure(
        &self,
        plan: &Plan,
        value_bytes: usize,
        pressure: Pressure,
    ) -> Result<Tally> {
        // What earlier turns wrote must not be flushed during this one.
        rustix::fs::sync();
        let server = self.start(plan, plan.server_core(), 1, None)?;
        let _pinned = Pinned::to(plan.client_core());
        let lanes = (0..pressure.connections)
            .map(|_| self.lane(server.address, value_bytes))
            .collect::<Result<Vec<_>>>()?;
        let mut load = Load::new(lanes, pressure.window)?;
        load.run(pressure.warm_up)?;
        load.run(pressure.measured)
    }
}

/// A connection that sends one Kafka batch again and again.
pub(super) fn kafka_lane(
    address: SocketAddr,
    partition: usize,
    acks: i16,
    batch: &[u8],
) -> Result<Lane> {
    let frame = wire::produce(TOPIC, partition as i32, acks, batch);
    let socket = std::net::TcpStream::connect(address)?;
    Lane::new(socket, &frame, Box::new(ProduceReplies::new(TOPIC)))
}
