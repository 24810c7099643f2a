//! `consume-*`: Fetch of up to 1 MiB, one after the other, from a log that the page cache holds.

use std::rc::Rc;

use anyhow::{Result, ensure};

use super::peer::{Peer, kafka_lane};
use super::{BATCH_BYTES, BYTES_PER_S, GB, RECORDS_PER_S, SERVER_CPU, TOPIC, case};
use crate::load::{Load, Stop};
use crate::machine::Pinned;
use crate::run::{Case, Entrant, Samples};
use crate::wire::batch::{Codec, Payload, batch_up_to};
use crate::wire::{Client, Fetched, Fetcher};
use crate::workloads::Plan;

const FETCH_BYTES_MAX: i32 = 1 << 20;
const WINDOW: usize = 8;

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    [("consume-100B", 100), ("consume-1KiB", 1024)]
        .into_iter()
        .map(|(name, value_bytes)| {
            let peers = plan.brokers.iter().chain([&plan.limit]).map(Peer::cached);
            let entrants = peers.map(|peer| {
                let plan = Rc::clone(plan);
                Entrant::new(&peer.who(), move || turn(&plan, &peer, value_bytes))
            });
            case(name, entrants.collect())
        })
        .collect()
}

fn turn(plan: &Plan, peer: &Peer, value_bytes: usize) -> Result<Samples> {
    rustix::fs::sync();
    let batch = batch_up_to(BATCH_BYTES, value_bytes, Payload::Random, Codec::None)?;
    let requests = plan.size(512 << 20, 128 << 20) / batch.bytes.len() as u64;
    let passes = plan.size(8, 4);
    let server = peer.start(plan, plan.server_core(), 1, None)?;
    let _pinned = Pinned::to(plan.client_core());
    let lane = kafka_lane(server.address, 0, 1, &batch.bytes)?;
    Load::new(vec![lane], WINDOW)?.run(Stop::Requests(requests))?;

    let records = requests * u64::from(batch.records);
    let client = Client::connect(server.address)?;
    let mut fetcher = Fetcher::new(client, TOPIC, 0, FETCH_BYTES_MAX);
    read_pass(&mut fetcher, records)?;
    let cpu_before = server.cpu_seconds();
    let start = std::time::Instant::now();
    for _ in 0..passes {
        read_pass(&mut fetcher, records)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = server.cpu_seconds() - cpu_before;
    let value_bytes = (passes * records) as f64 * value_bytes as f64;
    Ok(vec![
        (RECORDS_PER_S, (passes * records) as f64 / seconds),
        (BYTES_PER_S, value_bytes / seconds),
        (SERVER_CPU, cpu_seconds / (value_bytes / GB)),
    ])
}

/// Reads from the beginning to the end, and checks that the log gives all it took.
fn read_pass(fetcher: &mut Fetcher, records: u64) -> Result<()> {
    fetcher.seek(0);
    let mut read = 0;
    while fetcher.next_offset() < records as i64 {
        let fetched: Fetched = fetcher.fetch()?;
        ensure!(fetched.records > 0, "nothing at offset {}", fetcher.next_offset());
        read += fetched.records;
    }
    ensure!(read == records, "{records} records were acknowledged, {read} came back");
    Ok(())
}
