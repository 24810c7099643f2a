//! `rzmq`: an actor for each socket and a task for each connection, on tokio ([`Rzmq`]) or with its
//! own io_uring workers for TCP ([`Uring`]), as it comes. Its DEALER puts an empty frame in front
//! of each message unless told otherwise, which no other library does: it is told.

use std::marker::PhantomData;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use rzmq::socket::options as names;
use rzmq::uring::{UringConfig, initialize_uring_backend};
use rzmq::{Context, Msg, SocketType};

use super::{CLIENT_KEYS, Lacks, Library, Read, Role, SERVER_KEYS, Socket, Spec, run_on_tokio};

pub type Rzmq = On<false>;
pub type Uring = On<true>;

/// With io_uring or without.
#[derive(Debug)]
pub struct On<const URING: bool>(PhantomData<[(); 1]>);

pub struct Any {
    socket: rzmq::Socket,
    role: Role,
}

impl<const URING: bool> Library for On<URING> {
    type Bound = Any;
    type Socket = Any;

    /// The workers know TCP only.
    const LACKS: &'static [Lacks] = if URING { &[Lacks::Inproc, Lacks::Ipc] } else { &[] };

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_on_tokio(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Any, String)> {
        let socket = open(role, URING).await?;
        if spec.lossless && role == Role::Pub {
            socket.set_option(names::XPUB_NODROP, 1).await?;
        }
        if spec.curve {
            socket.set_option(names::CURVE_SERVER, true).await?;
            socket.set_option_raw(names::CURVE_SECRET_KEY, &SERVER_KEYS.secret).await?;
        }
        socket.bind(&spec.endpoint()).await?;
        let endpoint = String::from_utf8(socket.get_option(names::LAST_ENDPOINT).await?)?;
        Ok((Any { socket, role }, endpoint.trim_end_matches('\0').to_owned()))
    }

    async fn accept(bound: Any, _: usize) -> Result<Any> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Any> {
        let socket = open(role, URING).await?;
        if spec.curve {
            socket.set_option_raw(names::CURVE_SECRET_KEY, &CLIENT_KEYS.secret).await?;
            socket.set_option_raw(names::CURVE_SERVER_KEY, &SERVER_KEYS.public).await?;
        }
        socket.connect(endpoint).await?;
        if role == Role::Sub {
            for topic in spec.subscriptions() {
                socket.set_option_raw(names::SUBSCRIBE, &topic).await?;
            }
        }
        Ok(Any { socket, role })
    }
}

async fn open(role: Role, uring: bool) -> Result<rzmq::Socket> {
    static CONTEXT: OnceLock<Result<Context, String>> = OnceLock::new();
    let context = CONTEXT.get_or_init(|| {
        if uring {
            initialize_uring_backend(UringConfig::default()).map_err(|error| error.to_string())?;
        }
        Context::new().map_err(|error| error.to_string())
    });
    let context = context.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    let socket = context.socket(kind(role))?;
    if uring {
        socket.set_option(names::IO_URING_SESSION_ENABLED, true).await?;
    }
    if matches!(role, Role::Dealer | Role::Router) {
        socket.set_option(names::AUTO_DELIMITER, false).await?;
    }
    Ok(socket)
}

impl Socket for Any {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.socket.send(Msg::from_vec(message.to_vec())).await?)
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        let message = match self.role {
            Role::Router => self.socket.recv_multipart().await?.pop().context("no frame")?,
            _ => self.socket.recv().await?,
        };
        read(message.data().unwrap_or_default())
    }

    async fn echo(&mut self) -> Result<()> {
        let request = self.socket.recv().await?;
        Ok(self.socket.send(request).await?)
    }
}

fn kind(role: Role) -> SocketType {
    match role {
        Role::Req => SocketType::Req,
        Role::Rep => SocketType::Rep,
        Role::Push => SocketType::Push,
        Role::Pull => SocketType::Pull,
        Role::Dealer => SocketType::Dealer,
        Role::Router => SocketType::Router,
        Role::Pub => SocketType::Pub,
        Role::Sub => SocketType::Sub,
    }
}
