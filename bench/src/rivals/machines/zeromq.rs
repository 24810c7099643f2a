//! `zeromq`, also known as zmq.rs, on tokio. A type for each pattern, a writer task for each peer.
//! PUB drops what does not fit into its queues, and there is neither CURVE nor inproc.

use anyhow::{Result, bail};
use bytes::Bytes;
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket,
    Socket as _, SocketRecv, SocketSend, SubSocket, ZmqMessage,
};

use super::{Lacks, Library, Read, Role, Socket, Spec, Transport, run_on_tokio};

#[derive(Debug)]
pub struct Zeromq;

pub enum Any {
    Req(ReqSocket),
    Rep(RepSocket),
    Push(PushSocket),
    Pull(PullSocket),
    Dealer(DealerSocket),
    Router(RouterSocket),
    Pub(PubSocket),
    Sub(SubSocket),
}

/// Does the same with a socket of any type.
macro_rules! with {
    ($any:expr, $socket:ident => $what:expr) => {
        match $any {
            Any::Req($socket) => $what,
            Any::Rep($socket) => $what,
            Any::Push($socket) => $what,
            Any::Pull($socket) => $what,
            Any::Dealer($socket) => $what,
            Any::Router($socket) => $what,
            Any::Pub($socket) => $what,
            Any::Sub($socket) => $what,
        }
    };
}

impl Library for Zeromq {
    type Bound = Any;
    type Socket = Any;

    const LACKS: &'static [Lacks] = &[Lacks::Curve, Lacks::Inproc, Lacks::Lossless];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_on_tokio(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Any, String)> {
        let mut any = Any::new(role, spec)?;
        let endpoint = with!(&mut any, socket => socket.bind(&spec.endpoint()).await?);
        Ok((any, endpoint.to_string()))
    }

    async fn accept(bound: Any, _: usize) -> Result<Any> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Any> {
        let mut any = Any::new(role, spec)?;
        with!(&mut any, socket => socket.connect(endpoint).await?);
        if let Any::Sub(socket) = &mut any {
            for topic in spec.subscriptions() {
                socket.subscribe(std::str::from_utf8(&topic)?).await?;
            }
        }
        Ok(any)
    }
}

impl Any {
    fn new(role: Role, spec: &Spec) -> Result<Any> {
        if spec.curve || spec.transport == Transport::Inproc {
            bail!("zeromq has neither CURVE nor inproc");
        }
        Ok(match role {
            Role::Req => Any::Req(ReqSocket::new()),
            Role::Rep => Any::Rep(RepSocket::new()),
            Role::Push => Any::Push(PushSocket::new()),
            Role::Pull => Any::Pull(PullSocket::new()),
            Role::Dealer => Any::Dealer(DealerSocket::new()),
            Role::Router => Any::Router(RouterSocket::new()),
            Role::Pub => Any::Pub(PubSocket::new()),
            Role::Sub => Any::Sub(SubSocket::new()),
        })
    }

    async fn put(&mut self, message: ZmqMessage) -> Result<()> {
        match self {
            Any::Req(socket) => socket.send(message).await?,
            Any::Rep(socket) => socket.send(message).await?,
            Any::Push(socket) => socket.send(message).await?,
            Any::Dealer(socket) => socket.send(message).await?,
            Any::Router(socket) => socket.send(message).await?,
            Any::Pub(socket) => socket.send(message).await?,
            Any::Pull(_) | Any::Sub(_) => bail!("does not send"),
        }
        Ok(())
    }

    async fn take(&mut self) -> Result<ZmqMessage> {
        Ok(match self {
            Any::Req(socket) => socket.recv().await?,
            Any::Rep(socket) => socket.recv().await?,
            Any::Pull(socket) => socket.recv().await?,
            Any::Dealer(socket) => socket.recv().await?,
            Any::Router(socket) => socket.recv().await?,
            Any::Sub(socket) => socket.recv().await?,
            Any::Push(_) | Any::Pub(_) => bail!("does not receive"),
        })
    }
}

impl Socket for Any {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.put(Bytes::copy_from_slice(message).into()).await
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        let message = self.take().await?;
        message.get(message.len() - 1).map_or(Ok(()), |frame| read(frame))
    }

    async fn echo(&mut self) -> Result<()> {
        let request = self.take().await?;
        self.put(request).await
    }
}
