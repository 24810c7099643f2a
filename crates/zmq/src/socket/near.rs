//! Which peers are reached through memory of this process.

use std::sync::Arc;

use chaski_zmtp::pattern::Peer;

use super::shared::Shared;
use crate::endpoint::Address;

impl Shared {
    /// The peers by `inproc`: nothing lingers for them, as what they were sent is theirs already.
    pub(crate) fn near_peers(self: &Arc<Self>) -> Vec<Peer> {
        let rules = self.rules();
        let links = rules.seats.0.iter().map(|(_, seat)| &seat.link);
        let near = links.filter(|link| matches!(link.route.endpoint.address(), Address::Inproc(_)));
        near.map(|link| link.peer).collect()
    }
}
