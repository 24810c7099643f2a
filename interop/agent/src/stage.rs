//! The sockets that are open, and what is done to them.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::time::Duration;

use chaski_zmq::auth::{Answer, Authenticator, CurveKeys, Passwords, Request, Status};
use chaski_zmq::{Context, Kind, Message, Monitor, Socket, SocketOption};
use serde_json::{Value, json};

use crate::order::{Order, What, hex, message, unhex};

type Done = Result<Value, Box<dyn Error>>;

/// The sockets that are open, by name.
#[derive(Default)]
pub(crate) struct Stage {
    sockets: HashMap<String, (Socket, Monitor)>,
}

impl Stage {
    /// Does what the order says.
    pub(crate) fn carry_out(&mut self, order: Order) -> Done {
        let Order { socket: name, what } = order;
        match what {
            What::Open { kind, options } => {
                let kind = Kind::from_name(kind.as_bytes()).ok_or("there is no such kind")?;
                let mut builder = Socket::builder(kind);
                for (option, value) in &options {
                    builder = builder.set_by_name(option, value)?;
                }
                let socket = builder.build()?;
                let monitor = socket.monitor();
                self.sockets.insert(name, (socket, monitor));
                Ok(Value::Null)
            }
            What::Admit { passwords, keys } => {
                Context::default().authenticator(admission(&passwords, &keys)?);
                Ok(Value::Null)
            }
            What::Close { linger_ms } => {
                let (socket, _) = self.sockets.remove(&name).ok_or("there is no such socket")?;
                socket.close(linger_ms.map(Duration::from_millis));
                Ok(Value::Null)
            }
            What::Events => {
                let (_, monitor) = self.sockets.get(&name).ok_or("there is no such socket")?;
                let events = std::iter::from_fn(|| monitor.try_recv());
                Ok(events.map(|event| json!(format!("{:?}", event.what))).collect())
            }
            what => {
                let (socket, _) = self.sockets.get(&name).ok_or("there is no such socket")?;
                use_socket(socket, what)
            }
        }
    }
}

/// Lets in by password or by key, whichever a peer shows.
fn admission(
    passwords: &BTreeMap<String, String>,
    keys: &[String],
) -> Result<impl Authenticator + 'static, Box<dyn Error>> {
    let knows = passwords.iter().fold(Passwords::new(), |all, (name, word)| all.with(name, word));
    let mut has = CurveKeys::new();
    for key in keys {
        has = has.with(key.parse()?, "somebody");
    }
    Ok(move |request: &Request, answer: Answer| match request.mechanism.as_str() {
        "PLAIN" => knows.authenticate(request, answer),
        "CURVE" => has.authenticate(request, answer),
        _ => answer.refuse(Status::Denied, "neither password nor key"),
    })
}

fn use_socket(socket: &Socket, what: What) -> Done {
    match what {
        What::Set { option, value } => socket.set(SocketOption::parse(&option, &value)?)?,
        What::Bind { endpoint } => return Ok(json!(socket.bind(&endpoint)?.as_str())),
        What::Connect { endpoint } => socket.connect(&endpoint)?,
        What::Unbind { endpoint } => socket.unbind(&endpoint)?,
        What::Disconnect { endpoint } => socket.disconnect(&endpoint)?,
        What::Subscribe { topic } => socket.subscribe(unhex(&topic).ok_or("not hexadecimal")?)?,
        What::Unsubscribe { topic } => {
            socket.unsubscribe(unhex(&topic).ok_or("not hexadecimal")?)?;
        }
        What::Join { group } => socket.join(unhex(&group).ok_or("not hexadecimal")?)?,
        What::Leave { group } => socket.leave(unhex(&group).ok_or("not hexadecimal")?)?,
        What::Flush => socket.flush(),
        What::Send { frames, routing_id, timeout_ms } => {
            let message = message(&frames, routing_id).ok_or("not hexadecimal")?;
            match timeout_ms.map(Duration::from_millis) {
                Some(timeout) => socket.send_timeout(message, timeout)?,
                None => socket.try_send(message)?,
            }
        }
        What::Recv { timeout_ms } => return answer(&receive(socket, timeout_ms)?),
        What::SendMany { count, bytes, timeout_ms } => {
            for number in 0..count {
                let text = format!("{number:0bytes$}");
                socket.send_timeout(&*text, Duration::from_millis(timeout_ms))?;
            }
        }
        What::RecvMany { count, timeout_ms } => return receive_many(socket, count, timeout_ms),
        What::Echo { quiet_ms } => return echo(socket, quiet_ms),
        What::Peers => return Ok(peers(socket)),
        What::Open { .. } | What::Close { .. } | What::Events | What::Admit { .. } => {}
    }
    Ok(Value::Null)
}

fn receive(socket: &Socket, timeout_ms: Option<u64>) -> Result<Message, Box<dyn Error>> {
    Ok(match timeout_ms.map(Duration::from_millis) {
        Some(timeout) => socket.recv_timeout(timeout)?,
        None => socket.try_recv()?,
    })
}

fn answer(message: &Message) -> Done {
    Ok(json!({"frames": hex(message), "routing_id": message.routing_id()}))
}

fn receive_many(socket: &Socket, count: usize, timeout_ms: u64) -> Done {
    let mut received = 0;
    let mut ordered = true;
    while received < count {
        let Ok(message) = socket.recv_timeout(Duration::from_millis(timeout_ms)) else { break };
        let number = message.last().and_then(|body| str::from_utf8(body).ok()?.parse().ok());
        ordered &= number == Some(received);
        received += 1;
    }
    Ok(json!({"received": received, "ordered": ordered}))
}

fn echo(socket: &Socket, quiet_ms: u64) -> Done {
    let mut echoed = 0;
    let quiet = Duration::from_millis(quiet_ms);
    while let Ok(message) = socket.recv_timeout(quiet) {
        socket.send_timeout(message, quiet)?;
        echoed += 1;
    }
    Ok(json!(echoed))
}

fn peers(socket: &Socket) -> Value {
    let peer = |peer: chaski_zmq::PeerStats| {
        json!({
            "endpoint": peer.endpoint.as_str(),
            "connected": peer.connected,
            "kind": peer.kind,
            "mechanism": peer.mechanism,
            "queued": peer.queued,
            "dropped": peer.dropped,
            "sent": peer.sent,
            "received": peer.received,
        })
    };
    socket.peers().into_iter().map(peer).collect()
}
