//! The sockets that are open, and what is done to them.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::time::Duration;

use omq_tokio::blocking::Socket;
use omq_tokio::{
    Context, CurveKeypair, CurvePublicKey, CurveSecretKey, CurveServerOptions, Message, Options,
    SocketType,
};
use serde_json::{Value, json};

use crate::order::{Order, Security, What, hex, message, unhex};

type Done = Result<Value, Box<dyn Error>>;

/// The sockets that are open, by name, and whom those that serve a mechanism let in.
pub(crate) struct Stage {
    context: Context,
    sockets: HashMap<String, Socket>,
    passwords: BTreeMap<String, String>,
    keys: Vec<CurvePublicKey>,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            context: Context::new(),
            sockets: HashMap::new(),
            passwords: BTreeMap::new(),
            keys: Vec::new(),
        }
    }
}

impl Stage {
    /// Does what the order says.
    pub(crate) fn carry_out(&mut self, order: Order) -> Done {
        let Order { socket: name, what } = order;
        match what {
            What::Open { kind, options } => {
                let kind = SocketType::from_wire(kind.as_bytes()).ok_or("there is no such kind")?;
                let options = self.options(&options)?;
                self.sockets.insert(name, self.context.blocking_socket(kind, options));
            }
            What::Admit { passwords, keys } => {
                self.passwords = passwords;
                let keys = keys.iter().map(|key| CurvePublicKey::from_z85(key));
                self.keys = keys.collect::<Result<_, _>>()?;
            }
            What::Close => {
                self.sockets.remove(&name).ok_or("there is no such socket")?.close()?;
            }
            what => {
                let socket = self.sockets.get(&name).ok_or("there is no such socket")?;
                return use_socket(socket, what);
            }
        }
        Ok(Value::Null)
    }

    fn options(&self, security: &Security) -> Result<Options, Box<dyn Error>> {
        let options = Options::default();
        if security.plain_server.is_some() {
            return Ok(options.plain_server_credentials(self.passwords.clone()));
        }
        if let Some(name) = &security.plain_username {
            let password = security.plain_password.as_deref().unwrap_or_default();
            return Ok(options.plain_client(name, password));
        }
        let Some(secret) = &security.curve_secretkey else { return Ok(options) };
        let secret = CurveSecretKey::from_z85(secret)?;
        let own = CurveKeypair { public: secret.derive_public(), secret };
        if let Some(server) = &security.curve_serverkey {
            return Ok(options.curve_client(own, CurvePublicKey::from_z85(server)?));
        }
        let admitted = self.keys.clone();
        let admits = CurveServerOptions::new()
            .authenticator(move |peer| admitted.iter().any(|key| key.0 == peer.public_key));
        Ok(options.curve_server_with_options(own, admits))
    }
}

fn use_socket(socket: &Socket, what: What) -> Done {
    match what {
        What::Bind { endpoint } => return Ok(json!(socket.bind(&endpoint)?.to_string())),
        What::Connect { endpoint } => socket.connect(&endpoint)?,
        What::Subscribe { topic } => socket.subscribe(bytes(&topic)?)?,
        What::Unsubscribe { topic } => socket.unsubscribe(bytes(&topic)?)?,
        What::Join { group } => socket.join(bytes(&group)?)?,
        What::Leave { group } => socket.leave(bytes(&group)?)?,
        What::Send { frames, routing_id, timeout_ms } => {
            let message = message(&frames, routing_id).ok_or("not hexadecimal")?;
            socket.send_timeout(message, Duration::from_millis(timeout_ms))?;
        }
        What::Recv { timeout_ms } => {
            let message = socket.recv_timeout(Duration::from_millis(timeout_ms))?;
            let routing_id = message.routing_id().unwrap_or_default();
            return Ok(json!({"frames": hex(&message), "routing_id": routing_id}));
        }
        What::SendMany { count, bytes, timeout_ms } => {
            for number in 0..count {
                let message = Message::from(format!("{number:0bytes$}"));
                socket.send_timeout(message, Duration::from_millis(timeout_ms))?;
            }
        }
        What::RecvMany { count, timeout_ms } => return receive_many(socket, count, timeout_ms),
        What::Open { .. } | What::Admit { .. } | What::Close => {}
    }
    Ok(Value::Null)
}

fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    unhex(text).ok_or("not hexadecimal")
}

fn receive_many(socket: &Socket, count: usize, timeout_ms: u64) -> Done {
    let mut received = 0;
    let mut ordered = true;
    while received < count {
        let Ok(message) = socket.recv_timeout(Duration::from_millis(timeout_ms)) else { break };
        let body = message.iter().last();
        let number = body.and_then(|body| str::from_utf8(&body).ok()?.parse().ok());
        ordered &= number == Some(received);
        received += 1;
    }
    Ok(json!({"received": received, "ordered": ordered}))
}
