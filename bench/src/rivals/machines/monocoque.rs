//! `monocoque-rs` on compio (io_uring), its default: a socket is one connection, and reads and
//! writes in its caller's task. [`Monocoque`] writes each message at once; [`Batching`] has write
//! coalescing switched on and takes part in streams only: one that does not end needs no flush,
//! every 64 KiB are written. PUB drops what does not fit into its workers' queues.

use std::marker::PhantomData;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use monocoque::rt::{LocalRuntime, TcpListener, TcpStream, UnixListener, UnixStream};
use monocoque::zmq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket,
    SocketOptions, SubSocket,
};

use super::{CLIENT_KEYS, Keys, Lacks, Library, Read, Role, SERVER_KEYS, Socket, Spec, Transport};

pub type Monocoque = With<false>;
pub type Batching = With<true>;

/// With write coalescing or without.
#[derive(Debug)]
pub struct With<const COALESCING: bool>(PhantomData<[(); 1]>);

pub struct Bound {
    listener: Listener,
    role: Role,
    options: SocketOptions,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Listens by itself.
    Publisher(PubSocket),
}

pub struct Any {
    kind: Kind,
    frames: Vec<Bytes>,
}

enum Kind {
    Req(ReqSocket),
    ReqUnix(ReqSocket<UnixStream>),
    Rep(RepSocket),
    RepUnix(RepSocket<UnixStream>),
    Push(PushSocket),
    PushUnix(PushSocket<UnixStream>),
    Pull(PullSocket),
    PullUnix(PullSocket<UnixStream>),
    Dealer(DealerSocket),
    Router(RouterSocket),
    Pub(PubSocket),
    Sub(SubSocket),
}

impl<const COALESCING: bool> Library for With<COALESCING> {
    type Bound = Bound;
    type Socket = Any;

    const LACKS: &'static [Lacks] = if COALESCING {
        &[Lacks::Conversations, Lacks::Inproc, Lacks::Lossless, Lacks::ManyPeers]
    } else {
        &[Lacks::Inproc, Lacks::Lossless, Lacks::ManyPeers]
    };

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        LocalRuntime::new()?.block_on(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Bound, String)> {
        let endpoint = spec.endpoint();
        let mut options = SocketOptions::default().with_write_coalescing(COALESCING);
        if spec.curve {
            options = with_keys(options, &SERVER_KEYS).with_curve_server(true);
        }
        let (listener, endpoint) = match (spec.transport, role) {
            (Transport::Tcp, Role::Pub) => {
                let publisher =
                    PubSocket::bind_with_options("127.0.0.1:0", options.clone()).await?;
                let address = format!("tcp://{}", publisher.local_addr()?);
                (Listener::Publisher(publisher), address)
            }
            (Transport::Tcp, _) => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = format!("tcp://{}", listener.local_addr()?);
                (Listener::Tcp(listener), address)
            }
            (Transport::Ipc, _) => {
                let path = endpoint.strip_prefix("ipc://").context("a path")?;
                (Listener::Unix(UnixListener::bind(path).await?), endpoint)
            }
            (Transport::Inproc, _) => bail!("not between these sockets"),
        };
        Ok((Bound { listener, role, options }, endpoint))
    }

    async fn accept(bound: Bound, peers: usize) -> Result<Any> {
        let Bound { listener, role, options } = bound;
        let kind = match listener {
            Listener::Publisher(mut publisher) => {
                for _ in 0..peers {
                    publisher.accept_subscriber().await?;
                }
                Kind::Pub(publisher)
            }
            _ if peers > 1 => bail!("a socket is one connection"),
            Listener::Tcp(listener) => over_tcp(listener.accept().await?.0, role, options).await?,
            Listener::Unix(listener) => {
                over_unix(listener.accept().await?.0, role, options).await?
            }
        };
        Ok(Any::new(kind))
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Any> {
        let mut options = SocketOptions::default().with_write_coalescing(COALESCING);
        if spec.curve {
            options = with_keys(options, &CLIENT_KEYS).with_curve_serverkey(SERVER_KEYS.public);
        }
        let mut kind = match endpoint.split_once("://") {
            Some(("tcp", address)) => {
                over_tcp(TcpStream::connect(address).await?, role, options).await?
            }
            Some(("ipc", path)) => {
                over_unix(UnixStream::connect(path).await?, role, options).await?
            }
            _ => bail!("{endpoint}: not between these sockets"),
        };
        if let Kind::Sub(socket) = &mut kind {
            for topic in spec.subscriptions() {
                socket.subscribe(&topic).await?;
            }
        }
        Ok(Any::new(kind))
    }
}

fn with_keys(options: SocketOptions, keys: &Keys) -> SocketOptions {
    options.with_curve_keypair(keys.public, keys.secret)
}

async fn over_tcp(stream: TcpStream, role: Role, options: SocketOptions) -> Result<Kind> {
    Ok(match role {
        Role::Req => Kind::Req(ReqSocket::from_tcp_with_options(stream, options).await?),
        Role::Rep => Kind::Rep(RepSocket::from_tcp_with_options(stream, options).await?),
        Role::Push => Kind::Push(PushSocket::from_tcp_with_options(stream, options).await?),
        Role::Pull => Kind::Pull(PullSocket::from_tcp_with_options(stream, options).await?),
        Role::Dealer => Kind::Dealer(DealerSocket::from_tcp_with_options(stream, options).await?),
        Role::Router => Kind::Router(RouterSocket::from_tcp_with_options(stream, options).await?),
        Role::Sub => Kind::Sub(SubSocket::from_tcp_with_options(stream, options).await?),
        Role::Pub => bail!("PUB accepts by itself"),
    })
}

async fn over_unix(stream: UnixStream, role: Role, options: SocketOptions) -> Result<Kind> {
    Ok(match role {
        Role::Req => {
            Kind::ReqUnix(ReqSocket::from_unix_stream_with_options(stream, options).await?)
        }
        Role::Rep => {
            Kind::RepUnix(RepSocket::from_unix_stream_with_options(stream, options).await?)
        }
        Role::Push => {
            Kind::PushUnix(PushSocket::from_unix_stream_with_options(stream, options).await?)
        }
        Role::Pull => {
            Kind::PullUnix(PullSocket::from_unix_stream_with_options(stream, options).await?)
        }
        _ => bail!("no case wants this socket on ipc"),
    })
}

impl Any {
    fn new(kind: Kind) -> Any {
        Any { kind, frames: Vec::with_capacity(4) }
    }

    async fn put(&mut self, message: Vec<Bytes>) -> Result<()> {
        match &mut self.kind {
            Kind::Req(socket) => socket.send(message).await?,
            Kind::ReqUnix(socket) => socket.send(message).await?,
            Kind::Rep(socket) => socket.send(message).await?,
            Kind::RepUnix(socket) => socket.send(message).await?,
            Kind::Push(socket) => socket.send(message).await?,
            Kind::PushUnix(socket) => socket.send(message).await?,
            Kind::Dealer(socket) => socket.send(message).await?,
            Kind::Pub(socket) => socket.send(message).await?,
            _ => bail!("does not send"),
        }
        Ok(())
    }

    /// Receives into `frames`.
    async fn take(&mut self) -> Result<()> {
        let frames = &mut self.frames;
        let there = match &mut self.kind {
            Kind::Req(socket) => socket.recv_into(frames).await?,
            Kind::ReqUnix(socket) => fill(frames, socket.recv().await?),
            Kind::Rep(socket) => socket.recv_into(frames).await?,
            Kind::RepUnix(socket) => fill(frames, socket.recv().await?),
            Kind::Pull(socket) => socket.recv_into(frames).await?,
            Kind::PullUnix(socket) => socket.recv_into(frames).await?,
            Kind::Router(socket) => socket.recv_into(frames).await?,
            Kind::Sub(socket) => socket.recv_into(frames).await?,
            _ => bail!("does not receive"),
        };
        ensure!(there, "the other side is gone");
        Ok(())
    }

    /// The same, if there is a message that has been read already.
    fn try_take(&mut self) -> Result<bool> {
        let frames = &mut self.frames;
        Ok(match &mut self.kind {
            Kind::Pull(socket) => socket.try_recv_into(frames)?,
            Kind::PullUnix(socket) => socket.try_recv_into(frames)?,
            Kind::Router(socket) => socket.try_recv_into(frames)?,
            Kind::Sub(socket) => socket.try_recv_into(frames)?,
            _ => false,
        })
    }
}

fn fill(frames: &mut Vec<Bytes>, message: Option<Vec<Bytes>>) -> bool {
    let there = message.is_some();
    *frames = message.unwrap_or_default();
    there
}

impl Socket for Any {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.put(vec![Bytes::copy_from_slice(message)]).await
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        self.take().await?;
        loop {
            read(self.frames.last().context("no frame")?)?;
            if !self.try_take()? {
                return Ok(());
            }
        }
    }

    async fn echo(&mut self) -> Result<()> {
        self.take().await?;
        let request = std::mem::take(&mut self.frames);
        self.put(request).await
    }
}
