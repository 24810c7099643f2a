//! How long one record takes to be acknowledged, and how many acknowledgements a second there are:
//! from the page cache (`produce-1rec-*`) and from the disk (`*-fsync`, `produce-acks-all-*`).

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use super::peer::{Peer, Pressure};
use super::{P50_US, P99_US, RECORDS_PER_S, case, us};
use crate::load::Stop;
use crate::rivals::disk::{Blocks, sync_loop};
use crate::rivals::redis::Fsync;
use crate::run::{Case, Entrant, Metric, Samples, quantile};
use crate::wire::batch::HEADER_BYTES;
use crate::workloads::Plan;

const VALUE_BYTES: usize = 100;

/// What a log writes for one record: the batch header, the record's own fields, the value.
const ENTRY_BYTES: usize = HEADER_BYTES + 8 + VALUE_BYTES;

const REQUESTS_PER_S: Metric = Metric::higher("requests_per_s", "1/s");
const GROWING_P50_US: Metric = Metric::lower("growing_p50_us", "us");
const GROWING_P99_US: Metric = Metric::lower("growing_p99_us", "us");

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let mut cached: Vec<Peer> = plan.brokers.iter().map(Peer::cached).collect();
    cached.extend([Peer::cached(&plan.limit), Peer::Nats, Peer::Redis(Fsync::EverySecond)]);
    let durable = plan.brokers.iter().filter(|broker| broker.can_fsync).map(Peer::durable);
    let mut durable: Vec<Peer> = durable.collect();
    durable.push(Peer::Redis(Fsync::Always));

    let mut in_turn_synced = entrants(plan, &durable, 1, 1, latency);
    in_turn_synced.push(limit(plan, in_turn_limit));
    let mut cases = vec![
        case("produce-1rec-sync", entrants(plan, &cached, 1, 1, latency)),
        case("produce-1rec-pipelined", entrants(plan, &cached, 1, 64, rate)),
        case("produce-1rec-sync-fsync", in_turn_synced),
    ];
    for (name, connections, window) in [
        ("produce-acks-all-1", 1, 1),
        ("produce-acks-all-16", 4, 4),
        ("produce-acks-all-256", 16, 16),
    ] {
        let mut entrants = entrants(plan, &durable, connections, window, rate_and_latency);
        entrants.push(limit(plan, move |plan| group_limit(plan, connections * window)));
        cases.push(case(name, entrants));
    }
    cases
}

/// What is reported of sorted latencies and a rate.
type Show = fn(&[u64], f64) -> Samples;

fn entrants(
    plan: &Rc<Plan>,
    peers: &[Peer],
    connections: usize,
    window: usize,
    show: Show,
) -> Vec<Entrant> {
    let entrant = |peer: &Peer| {
        let (plan, peer) = (Rc::clone(plan), peer.clone());
        Entrant::new(&peer.who(), move || {
            let measured = duration(&plan);
            let pressure = Pressure {
                connections,
                window,
                warm_up: Stop::After(measured / 5),
                measured: Stop::After(measured),
            };
            let tally = peer.measure(&plan, VALUE_BYTES, pressure)?;
            Ok(show(&tally.latencies_ns, tally.requests_per_s()))
        })
    };
    peers.iter().map(entrant).collect()
}

fn latency(sorted_ns: &[u64], _rate: f64) -> Samples {
    vec![(P50_US, us(quantile(sorted_ns, 0.5))), (P99_US, us(quantile(sorted_ns, 0.99)))]
}

fn rate(_sorted_ns: &[u64], per_s: f64) -> Samples {
    vec![(REQUESTS_PER_S, per_s)]
}

fn rate_and_latency(sorted_ns: &[u64], per_s: f64) -> Samples {
    vec![(RECORDS_PER_S, per_s), (P99_US, us(quantile(sorted_ns, 0.99)))]
}

fn limit(plan: &Rc<Plan>, turn: impl Fn(&Plan) -> Result<Samples> + 'static) -> Entrant {
    let plan = Rc::clone(plan);
    Entrant::new("limit", move || {
        rustix::fs::sync();
        turn(&plan)
    })
}

fn in_turn_limit(plan: &Plan) -> Result<Samples> {
    let time = duration(plan);
    let recycled = sync_loop(&plan.dir, Blocks::Recycled, ENTRY_BYTES, 1, time)?;
    let growing = sync_loop(&plan.dir, Blocks::Growing, ENTRY_BYTES, 1, time)?;
    let mut samples = latency(&recycled, 0.0);
    samples.push((GROWING_P50_US, us(quantile(&growing, 0.5))));
    samples.push((GROWING_P99_US, us(quantile(&growing, 0.99))));
    Ok(samples)
}

/// The best a group commit can do: `group` writes, then one sync for all of them.
fn group_limit(plan: &Plan, group: usize) -> Result<Samples> {
    let groups_ns = sync_loop(&plan.dir, Blocks::Recycled, ENTRY_BYTES, group, duration(plan))?;
    let seconds = groups_ns.iter().sum::<u64>() as f64 / 1e9;
    Ok(rate_and_latency(&groups_ns, (groups_ns.len() * group) as f64 / seconds))
}

fn duration(plan: &Plan) -> Duration {
    plan.time(2000, 300)
}
