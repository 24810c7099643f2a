//! `out-of-the-log-100B`: records of a broker on this machine, read by one core: from its pages,
//! and by librdkafka over TCP. Each turn has a broker of its own, with the same records in it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chaski_local::{LocalConsumer, Position};

use super::peer::{Peer, kafka_lane};
use super::{BATCH_BYTES, BYTES_PER_S, GB, RECORDS_PER_S, SERVER_CPU, TOPIC, case};
use crate::load::{Load, Stop};
use crate::machine::Pinned;
use crate::rivals::librdkafka;
use crate::run::{Case, Entrant, Samples};
use crate::server::{Launch, Server};
use crate::wire::batch::{Codec, Payload, batch_up_to};
use crate::workloads::Plan;

const VALUE_BYTES: usize = 100;

/// The name that the broker has for processes of this machine.
const NAME: &str = "bench";

/// A consumer that gets nothing for this long gives up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Way {
    Pages,
    /// The same without a look at checksums, as librdkafka does by default.
    PagesUnchecked,
    Librdkafka,
}

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let Some(broker) = plan.brokers.first() else { return Vec::new() };
    let ways = [
        ("chaski-local", Way::Pages),
        ("chaski-local, unchecked", Way::PagesUnchecked),
        ("librdkafka", Way::Librdkafka),
    ];
    let entrants = ways.map(|(who, way)| {
        let (plan, peer) = (Rc::clone(plan), Peer::cached(broker));
        Entrant::new(who, move || turn(&plan, &peer, way))
    });
    vec![case("out-of-the-log-100B", Vec::from(entrants))]
}

fn turn(plan: &Plan, peer: &Peer, way: Way) -> Result<Samples> {
    rustix::fs::sync();
    let sockets = tempfile::tempdir()?;
    let directory = sockets.path().to_str().context("a path that is not UTF-8")?;
    let mut launch: Launch = peer.launch(plan.server_core())?;
    for setting in [format!("shm.listen={NAME}"), format!("shm.directory={directory}/shm")] {
        launch.args.extend(["--set".to_owned(), setting]);
    }
    let server = Server::start(launch, &plan.dir)?;
    crate::wire::Client::connect(server.address)?.create_topic(TOPIC, 1, None)?;
    let _pinned = Pinned::to(plan.client_core());
    let batch = batch_up_to(BATCH_BYTES, VALUE_BYTES, Payload::Random, Codec::None)?;
    let requests = plan.size(512 << 20, 128 << 20) / batch.bytes.len() as u64;
    let lane = kafka_lane(server.address, 0, 1, &batch.bytes)?;
    Load::new(vec![lane], 8)?.run(Stop::Requests(requests))?;
    let records = requests * u64::from(batch.records);

    let builder = || LocalConsumer::builder().directory(format!("{directory}/shm"));
    let cpu_before = server.cpu_seconds();
    let (rate, passes) = match way {
        Way::Pages => (read(builder().connect(NAME)?, records, plan)?, passes(plan)),
        Way::PagesUnchecked => {
            (read(builder().check_crcs(false).connect(NAME)?, records, plan)?, passes(plan))
        }
        Way::Librdkafka => (librdkafka::consume(&server.address.to_string(), TOPIC, records)?, 1),
    };
    let bytes = (records * passes * VALUE_BYTES as u64) as f64;
    Ok(vec![
        (RECORDS_PER_S, rate),
        (BYTES_PER_S, rate * VALUE_BYTES as f64),
        (SERVER_CPU, (server.cpu_seconds() - cpu_before) / (bytes / GB)),
    ])
}

fn passes(plan: &Plan) -> u64 {
    plan.size(8, 4)
}

/// Reads the log from its beginning to its end, some times, every record and its value; records per
/// second.
fn read(mut consumer: LocalConsumer, records: u64, plan: &Plan) -> Result<f64> {
    consumer.assign(TOPIC, 0, Position::Earliest)?;
    pass(&mut consumer, records)?;
    let start = Instant::now();
    for _ in 0..passes(plan) {
        consumer.seek(TOPIC, 0, Position::Offset(0))?;
        pass(&mut consumer, records)?;
    }
    Ok((records * passes(plan)) as f64 / start.elapsed().as_secs_f64())
}

fn pass(consumer: &mut LocalConsumer, records: u64) -> Result<()> {
    let (mut count, mut bytes) = (0, 0);
    while count < records {
        let found = consumer.next(SILENCE_MAX)?.context("nothing came")?;
        found.for_each(|record| {
            count += 1;
            bytes += record.value.map_or(0, <[u8]>::len) as u64;
        })?;
    }
    ensure!((count, bytes) == (records, records * VALUE_BYTES as u64), "{count} of {records}");
    Ok(())
}
