//! What a socket can tell about its peers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Socket;
use super::shared::Shared;
use crate::link::Link;
use crate::stats::PeerStats;

impl Socket {
    /// What is known and counted of each peer, those included that are being connected to. In a
    /// forked child there are none.
    pub fn peers(&self) -> Vec<PeerStats> {
        self.shared.check_origin().map_or_else(|_| Vec::new(), |()| self.shared.peers())
    }

    /// How many topics anybody is subscribed to (PUB, XPUB), or this socket is (SUB, XSUB); 0 for
    /// every other kind, and in a forked child (libzmq: `ZMQ_TOPICS_COUNT`).
    pub fn topics_count(&self) -> usize {
        self.shared.check_origin().map_or(0, |()| self.shared.rules().pattern.topics_count())
    }
}

impl Shared {
    fn peers(self: &Arc<Self>) -> Vec<PeerStats> {
        let mut dropped = Vec::new();
        let links: Vec<(Arc<Link>, Option<usize>)> = {
            let mut rules = self.rules();
            rules.pattern.take_dropped(&mut dropped);
            for (peer, count) in dropped {
                if let Some(seat) = rules.seats.get(peer) {
                    seat.link.dropped.fetch_add(count, Ordering::Relaxed);
                }
            }
            let seats = rules.seats.0.iter().map(|(_, seat)| seat);
            seats
                .map(|seat| (Arc::clone(&seat.link), seat.near.as_ref().map(|near| near.queued())))
                .collect()
        };
        links.iter().map(|(link, near)| self.peer_stats(link, *near)).collect()
    }

    fn peer_stats(&self, link: &Link, near: Option<usize>) -> PeerStats {
        let mut stats = PeerStats::new(link.route.endpoint.clone());
        if let Some(about) = link.about() {
            stats.connected = true;
            stats.kind = Some(about.info.kind.name());
            stats.identity = about.info.identity.to_vec();
            stats.mechanism = about.mechanism;
            stats.user_id = about.words.user_id.clone();
            stats.metadata = about.words.metadata();
            stats.address = about.stream.and_then(|stream| stream.peer_address());
        }
        let (sent, sent_bytes) = link.outbox.sent();
        let (received, received_bytes) = self.receiving().counts(link.peer);
        stats.routing_id = self.rules().pattern.routing_id(link.peer);
        stats.queued = near.unwrap_or_else(|| link.outbox.queued()) as u64;
        stats.dropped = link.dropped.load(Ordering::Relaxed);
        (stats.sent, stats.sent_bytes) = (sent, sent_bytes);
        (stats.received, stats.received_bytes) = (received, received_bytes);
        stats.connections = link.connections.load(Ordering::Relaxed);
        stats
    }
}
