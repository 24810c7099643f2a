//! `e2e-1000-per-s`: from before the send in one librdkafka client to after the receipt in another,
//! at a rate where nothing queues. Nothing is pinned: clients and server share all cores. The limit
//! is the bare server, which wakes a waiting Fetch; the client's mock broker does not, so it is no
//! measure here.

use std::rc::Rc;

use anyhow::Result;

use super::peer::Peer;
use super::{P50_US, P99_US, TOPIC, case, us};
use crate::rivals::librdkafka::end_to_end;
use crate::run::{Case, Entrant, Samples, quantile};
use crate::workloads::Plan;

const RATE_PER_S: u64 = 1000;

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let peers = plan.brokers.iter().chain([&plan.limit]).map(Peer::cached);
    let entrants = peers
        .map(|peer| {
            let plan = Rc::clone(plan);
            Entrant::new(&peer.who(), move || {
                let server = peer.start(&plan, None, 1, None)?;
                turn(&plan, &server.address.to_string())
            })
        })
        .collect();
    vec![case("e2e-1000-per-s", entrants)]
}

fn turn(plan: &Plan, bootstrap: &str) -> Result<Samples> {
    let sorted_ns = end_to_end(bootstrap, TOPIC, RATE_PER_S, plan.time(5000, 1000))?;
    Ok(vec![(P50_US, us(quantile(&sorted_ns, 0.5))), (P99_US, us(quantile(&sorted_ns, 0.99)))])
}
