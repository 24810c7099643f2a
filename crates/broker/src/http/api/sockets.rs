//! ZeroMQ sockets of the broker. Its gateways open them, one each, and nothing else here does.

use serde::Serialize;

use crate::gateway::{Direction, GatewayStatus, PeerStatus};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::extract::{Live, Told};

const SOCKETS: Endpoint = Endpoint::get(
    "/api/sockets",
    "ZeroMQ sockets of the broker, one a gateway, and who is connected.",
)
.answer(
    "{sockets:[{name, kind, gateway, endpoints:[..], messages_in, messages_out, drops, \
         peers:[{address, connected, mechanism, user, sent, received, queued, hwm, dropped}]}]}",
);

pub(super) fn add(all: &mut Endpoints) {
    all.add(SOCKETS, sockets);
}

#[derive(Serialize)]
struct Sockets {
    sockets: Vec<Socket>,
}

#[derive(Serialize)]
struct Socket {
    name: String,
    kind: String,
    gateway: String,
    endpoints: Vec<String>,
    messages_in: Option<u64>,
    messages_out: Option<u64>,
    drops: u64,
    peers: Vec<PeerStatus>,
}

impl From<GatewayStatus> for Socket {
    fn from(gateway: GatewayStatus) -> Socket {
        let is_in = gateway.direction == Direction::In;
        // What came in was stored, dropped, or is on its way.
        let held = gateway.lag.and_then(|lag| u64::try_from(lag).ok()).unwrap_or(0);
        Socket {
            name: gateway.name.clone(),
            kind: gateway.kind.as_str().to_ascii_uppercase(),
            gateway: gateway.name,
            endpoints: gateway.endpoints,
            messages_in: is_in.then_some(gateway.messages + gateway.drops + held),
            messages_out: (!is_in).then_some(gateway.messages),
            drops: gateway.drops,
            peers: gateway.peers,
        }
    }
}

async fn sockets(live: Live) -> Told {
    live.tell(|client| {
        let all = client.gateways().list().into_iter();
        Ok::<_, ApiError>(Sockets { sockets: all.map(Socket::from).collect() })
    })
    .await
}
