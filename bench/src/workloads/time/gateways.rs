//! `gateway-push`, `gateway-sub`: from a ZeroMQ client to a Kafka client through a gateway, and the
//! other way round, beside the two paths that it joins.
//!
//! ```text
//!   zmq       PUSH ==> PULL             PUB ==> SUB              two threads of this process
//!   kafka     producer ==> broker ==> consumer                   librdkafka at both ends
//!   gateway   PUSH ==> broker ==> consumer     producer ==> broker ==> SUB
//! ```
//! A turn takes all three, one after the other on one broker, so that the machine is the same for
//! each; what is compared is of one turn. The contestants are the libraries of the ZeroMQ end.
//! Nothing is pinned: broker and clients share all cores.

use std::fs;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;

use anyhow::Result;

use super::{case, us};
use crate::rivals::kafka::{AcksAll, Broker};
use crate::rivals::librdkafka::{Consumer, Linger, Producer};
use crate::rivals::machines::chaski::{Chaski, Many};
use crate::rivals::machines::libzmq::Libzmq;
use crate::rivals::machines::{Library, Role, Socket, Spec, Transport};
use crate::run::{Case, Entrant, Metric, Samples, quantile};
use crate::server::{Server, free_port};
use crate::wire::Client;
use crate::workloads::Plan;
use crate::workloads::flow::{Arrived, Flow, Make, Pace, Sink, Source};

const VALUE_BYTES: usize = 100;

/// At this rate nothing queues.
const RATE_PER_S: u64 = 1000;

/// The topic of the path of Kafka alone.
const KAFKA_TOPIC: &str = "kafka";

/// The gateway's.
const GATEWAY_TOPIC: &str = "gateway";

/// The file in the data directory that configures the gateway.
const CONFIG: &str = "gateway.toml";

/// The gateway's rate as a share of that of the slower of the other two.
const OF_SLOWER: Metric = Metric::higher("rate_of_slower", "1");

/// The gateway's p99 by those of the other two added.
const OF_SUM: Metric = Metric::lower("p99_of_sum", "1");

/// The share of records that did not come through the gateway while they came as fast as they go.
const LOST: Metric = Metric::lower("lost", "1");

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// PUSH to a Kafka consumer.
    Push,
    /// A Kafka producer to SUB.
    Sub,
}

/// What is between the two ends.
#[derive(Debug, Clone, Copy)]
enum Path {
    Zmq,
    Kafka,
    Gateway,
}

const PATHS: [Path; 3] = [Path::Zmq, Path::Kafka, Path::Gateway];

impl Path {
    /// Rate, p50, p99.
    fn metrics(self) -> [Metric; 3] {
        let (rate, p50, p99) = match self {
            Path::Zmq => ("zmq_records_per_s", "zmq_p50_us", "zmq_p99_us"),
            Path::Kafka => ("kafka_records_per_s", "kafka_p50_us", "kafka_p99_us"),
            Path::Gateway => ("gateway_records_per_s", "gateway_p50_us", "gateway_p99_us"),
        };
        [Metric::higher(rate, "1/s"), Metric::lower(p50, "us"), Metric::lower(p99, "us")]
    }
}

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let cases = [("gateway-push", Way::Push), ("gateway-sub", Way::Sub)];
    cases.map(|(name, way)| case(name, entrants(plan, way))).into()
}

fn entrants(plan: &Rc<Plan>, way: Way) -> Vec<Entrant> {
    // Only the product has gateways.
    let Some(broker) = plan.brokers.iter().find(|broker| broker.who == "chaski") else {
        return Vec::new();
    };
    let mut entrants = vec![entrant::<Chaski>("chaski", plan, broker, way)];
    if way == Way::Sub {
        entrants.push(entrant::<Many>("chaski recv_many", plan, broker, way));
    }
    entrants.push(entrant::<Libzmq>("libzmq", plan, broker, way));
    entrants
}

fn entrant<L: Library>(who: &str, plan: &Rc<Plan>, broker: &Broker, way: Way) -> Entrant {
    let (plan, broker) = (Rc::clone(plan), broker.clone());
    Entrant::new(who, move || {
        rustix::fs::sync();
        let place = Place::start(&plan, &broker, way)?;
        let freely = Pace::Free(plan.time(1500, 500));
        let evenly = Pace::Even(RATE_PER_S, plan.time(3000, 1000));
        let rates = place.measure::<L>(freely)?;
        let latencies = place.measure::<L>(evenly)?;
        Ok(samples(&rates, &latencies))
    })
}

fn samples(rates: &[Arrived; 3], latencies: &[Arrived; 3]) -> Samples {
    let mut samples = Vec::new();
    let (mut per_s, mut p99s) = ([0.0; 3], [0.0; 3]);
    for (at, path) in PATHS.into_iter().enumerate() {
        let [rate, p50, p99] = path.metrics();
        let sorted_ns = &latencies[at].latencies_ns;
        (per_s[at], p99s[at]) = (rates[at].per_s, us(quantile(sorted_ns, 0.99)));
        samples.push((rate, per_s[at]));
        samples.push((p50, us(quantile(sorted_ns, 0.5))));
        samples.push((p99, p99s[at]));
    }
    let ([zmq, kafka, gateway], [_, _, through]) = (per_s, rates);
    samples.push((OF_SLOWER, gateway / zmq.min(kafka)));
    samples.push((LOST, through.lost));
    let [zmq, kafka, gateway] = p99s;
    samples.push((OF_SUM, gateway / (zmq + kafka)));
    samples
}

/// A broker with a gateway.
struct Place {
    server: Server,
    way: Way,
    /// Where the gateway is bound.
    gateway: String,
}

impl Place {
    fn start(plan: &Plan, broker: &Broker, way: Way) -> Result<Place> {
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.dir)?;
        let config = data.path().join(CONFIG);
        let gateway = format!("tcp://127.0.0.1:{}", free_port()?);
        let kind = match way {
            Way::Push => "pull",
            Way::Sub => "pub",
        };
        fs::write(
            &config,
            format!(
                "num.partitions = 1\n[[gateway]]\nname = \"bench\"\nkind = \"{kind}\"\n\
                 bind = \"{gateway}\"\ntopic = \"{GATEWAY_TOPIC}\"\n"
            ),
        )?;
        let mut launch = broker.launch(AcksAll::PageCache, None);
        launch.args.extend(["--config".to_owned(), config.display().to_string()]);
        let server = Server::start_in(launch, data)?;
        Client::connect(server.address)?.create_topic(KAFKA_TOPIC, 1, None)?;
        Ok(Place { server, way, gateway })
    }

    /// All paths, one after the other.
    fn measure<L: Library>(&self, pace: Pace) -> Result<[Arrived; 3]> {
        let timed = matches!(pace, Pace::Even(..));
        let run = |path: Path| {
            let flow = Flow { number: u64::from(timed), pace, bytes: VALUE_BYTES };
            let (source, sink) = self.ends::<L>(path, timed);
            flow.run(source, sink)
        };
        Ok([run(Path::Zmq)?, run(Path::Kafka)?, run(Path::Gateway)?])
    }

    fn ends<L: Library>(&self, path: Path, timed: bool) -> (Make<dyn Source>, Make<dyn Sink>) {
        let (address, gateway) = (self.server.address, self.gateway.clone());
        match (path, self.way) {
            (Path::Zmq, Way::Push) => alone_push::<L>(),
            (Path::Zmq, Way::Sub) => alone_pub::<L>(),
            (Path::Kafka, _) => {
                (producer(address, KAFKA_TOPIC, timed), consumer(address, KAFKA_TOPIC))
            }
            (Path::Gateway, Way::Push) => {
                let push: Make<dyn Source> =
                    Box::new(move || Ok(Box::new(connected::<L>(Role::Push, &gateway)?)));
                (push, consumer(address, GATEWAY_TOPIC))
            }
            (Path::Gateway, Way::Sub) => {
                let sub: Make<dyn Sink> =
                    Box::new(move || Ok(Box::new(connected::<L>(Role::Sub, &gateway)?)));
                (producer(address, GATEWAY_TOPIC, timed), sub)
            }
        }
    }
}

/// PULL is bound, PUSH connects.
fn alone_push<L: Library>() -> (Make<dyn Source>, Make<dyn Sink>) {
    let (tell, told) = mpsc::channel::<String>();
    let push = move || Ok(Box::new(connected::<L>(Role::Push, &told.recv()?)?) as Box<dyn Source>);
    let pull = move || Ok(Box::new(bound::<L>(Role::Pull, &tell)?) as Box<dyn Sink>);
    (Box::new(push), Box::new(pull))
}

/// PUB is bound, SUB connects. Nothing is lost.
fn alone_pub<L: Library>() -> (Make<dyn Source>, Make<dyn Sink>) {
    let (tell, told) = mpsc::channel::<String>();
    let publish = move || Ok(Box::new(bound::<L>(Role::Pub, &tell)?) as Box<dyn Source>);
    let sub = move || Ok(Box::new(connected::<L>(Role::Sub, &told.recv()?)?) as Box<dyn Sink>);
    (Box::new(publish), Box::new(sub))
}

fn spec() -> Spec {
    Spec { lossless: true, ..Spec::new(VALUE_BYTES, Transport::Tcp) }
}

fn connected<L: Library>(role: Role, endpoint: &str) -> Result<Zeromq<L>> {
    Ok(Zeromq(L::run(L::connect(role, endpoint, &spec()))?))
}

fn bound<L: Library>(role: Role, tell: &mpsc::Sender<String>) -> Result<Zeromq<L>> {
    L::run(async {
        let (bound, endpoint) = L::bind(role, &spec()).await?;
        tell.send(endpoint)?;
        Ok(Zeromq(L::accept(bound, 1).await?))
    })
}

/// A ZeroMQ socket whose calls block.
struct Zeromq<L: Library>(L::Socket);

impl<L: Library> Source for Zeromq<L> {
    fn send(&mut self, messages: &[Vec<u8>]) -> Result<()> {
        L::run(async {
            for message in messages {
                self.0.send(message).await?;
            }
            Ok(())
        })
    }
}

impl<L: Library> Sink for Zeromq<L> {
    fn take(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        L::run(self.0.recv(|message: &[u8]| {
            each(message);
            Ok(())
        }))
    }
}

/// Sends at once where times are taken.
fn producer(address: SocketAddr, topic: &'static str, timed: bool) -> Make<dyn Source> {
    let linger = if timed { Linger::None } else { Linger::ForBatches };
    Box::new(move || Ok(Box::new(Producer::at(&address.to_string(), topic, linger)?)))
}

fn consumer(address: SocketAddr, topic: &'static str) -> Make<dyn Sink> {
    Box::new(move || Ok(Box::new(Consumer::at_end(&address.to_string(), topic)?)))
}

impl Source for Producer {
    fn send(&mut self, messages: &[Vec<u8>]) -> Result<()> {
        self.queue(messages)
    }
}

impl Sink for Consumer {
    fn take(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.take_some(each)
    }
}
