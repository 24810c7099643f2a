//! `omq-tokio` by its blocking interface ([`Omq`]: the program's thread, and an I/O thread of the
//! library's own runtime) and by its async one on the program's runtime ([`OmqAsync`]).

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use omq_tokio::{
    Context, CurveKeypair, CurvePublicKey, CurveSecretKey, Message, Options, SocketType, blocking,
};

use super::{
    CLIENT_KEYS, Keys, Lacks, Library, Read, Role, SERVER_KEYS, Socket, Spec, run_at_once,
    run_on_tokio,
};

#[derive(Debug)]
pub struct Omq;

#[derive(Debug)]
pub struct OmqAsync;

pub struct Blocking(blocking::Socket);

pub struct Async(omq_tokio::Socket);

impl Library for Omq {
    type Bound = Blocking;
    type Socket = Blocking;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Blocking, String)> {
        let socket = context().blocking_socket(kind(role), server_options(role, spec));
        let endpoint = socket.bind(spec.endpoint().as_str())?;
        Ok((Blocking(socket), endpoint.to_string()))
    }

    async fn accept(bound: Blocking, _: usize) -> Result<Blocking> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Blocking> {
        let socket = context().blocking_socket(kind(role), client_options(spec));
        socket.connect(endpoint)?;
        if role == Role::Sub {
            spec.subscriptions().into_iter().try_for_each(|topic| socket.subscribe(topic))?;
        }
        Ok(Blocking(socket))
    }
}

impl Library for OmqAsync {
    type Bound = Async;
    type Socket = Async;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_on_tokio(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Async, String)> {
        let socket = omq_tokio::Socket::new(kind(role), server_options(role, spec));
        let endpoint = socket.bind(spec.endpoint().as_str()).await?;
        Ok((Async(socket), endpoint.to_string()))
    }

    async fn accept(bound: Async, _: usize) -> Result<Async> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Async> {
        let socket = omq_tokio::Socket::new(kind(role), client_options(spec));
        socket.connect(endpoint).await?;
        if role == Role::Sub {
            for topic in spec.subscriptions() {
                socket.subscribe(topic).await?;
            }
        }
        Ok(Async(socket))
    }
}

/// The one context of the process.
fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(Context::new)
}

fn server_options(role: Role, spec: &Spec) -> Options {
    let mut options = Options::default();
    options.xpub_nodrop = spec.lossless && role == Role::Pub;
    if spec.curve { options.curve_server(pair(&SERVER_KEYS)) } else { options }
}

fn client_options(spec: &Spec) -> Options {
    let options = Options::default();
    if !spec.curve {
        return options;
    }
    options.curve_client(pair(&CLIENT_KEYS), CurvePublicKey(SERVER_KEYS.public))
}

fn pair(keys: &Keys) -> CurveKeypair {
    CurveKeypair { public: CurvePublicKey(keys.public), secret: CurveSecretKey(keys.secret) }
}

fn show_last(message: &Message, mut read: impl Read) -> Result<()> {
    let last = message.len().checked_sub(1).and_then(|last| message.part_slice(last));
    read(last.ok_or_else(|| anyhow!("no frame"))?)
}

impl Socket for Blocking {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.0.send(Message::from_slice(message))?)
    }

    async fn recv(&mut self, read: impl Read) -> Result<()> {
        show_last(&self.0.recv()?, read)
    }

    async fn echo(&mut self) -> Result<()> {
        Ok(self.0.send(self.0.recv()?)?)
    }
}

impl Socket for Async {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.0.send(Message::from_slice(message)).await?)
    }

    async fn recv(&mut self, read: impl Read) -> Result<()> {
        show_last(&self.0.recv().await?, read)
    }

    async fn echo(&mut self) -> Result<()> {
        Ok(self.0.send(self.0.recv().await?).await?)
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
