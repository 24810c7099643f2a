//! A gateway's socket: made, bound, connected.

use chaski_zmq::{Context, Kind, Socket};

use super::gate::Gate;
use super::limits::NAP;
use super::spec::{GatewayKind, GatewaySpec};

/// A socket that is open, and where.
pub(super) struct Opened {
    pub(super) socket: Socket,
    /// Where it is bound, in the order of the specification, with the ports the system has chosen.
    pub(super) bound: Vec<String>,
}

fn kind(spec: &GatewaySpec) -> Kind {
    match spec.kind {
        GatewayKind::Pull => Kind::Pull,
        GatewayKind::Router => Kind::Router,
        GatewayKind::Sub => Kind::Sub,
        GatewayKind::Pub if spec.history => Kind::Xpub,
        GatewayKind::Pub => Kind::Pub,
        GatewayKind::Push => Kind::Push,
    }
}

/// Opens a gateway's socket. `before` is where it was bound the last time, so that one with a port
/// that the system has chosen comes back where its peers look for it.
pub(super) fn open(
    spec: &GatewaySpec,
    context: &Context,
    before: &[String],
) -> Result<Opened, String> {
    let builder = Socket::builder(kind(spec))
        .context(context)
        .sndhwm(spec.hwm)
        .rcvhwm(spec.hwm)
        .maxmsgsize(spec.message_bytes_max)
        .rcvtimeo(NAP)
        .sndtimeo(NAP)
        // What a PUSH has queued for a peer that is not there yet could not be told from what a
        // peer has got.
        .immediate(spec.kind == GatewayKind::Push);
    let builder = match spec.kind {
        // An answer to nobody is to be counted.
        GatewayKind::Router => builder.router_mandatory(true),
        // Each request for history counts, also the second by the same name.
        GatewayKind::Pub if spec.history => builder.xpub_verbose(true),
        _ => builder,
    };
    let builder = match &spec.security {
        Some(security) => security.apply(builder, &spec.name)?,
        None => builder,
    };
    let socket = builder.build().map_err(|error| error.to_string())?;
    if spec.kind == GatewayKind::Sub {
        subscribe(spec, &socket)?;
    }
    let mut bound = Vec::with_capacity(spec.bind.len());
    for (at, endpoint) in spec.bind.iter().enumerate() {
        let endpoint = before.get(at).unwrap_or(endpoint);
        let endpoint = socket.bind(endpoint).map_err(|error| error.to_string())?;
        bound.push(endpoint.as_str().to_owned());
    }
    for endpoint in &spec.connect {
        socket.connect(endpoint).map_err(|error| error.to_string())?;
    }
    Ok(Opened { socket, bound })
}

fn subscribe(spec: &GatewaySpec, socket: &Socket) -> Result<(), String> {
    let everything = [String::new()];
    let topics = if spec.subscribe.is_empty() { &everything[..] } else { &spec.subscribe };
    topics.iter().try_for_each(|topic| socket.subscribe(topic)).map_err(|e| e.to_string())
}

/// Lets nobody new in.
pub(super) fn unbind(gate: &Gate<'_>) {
    for endpoint in gate.bound {
        // One that is not bound any more is as it should be.
        let _ = gate.socket.unbind(endpoint);
    }
}
