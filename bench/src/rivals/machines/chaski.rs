//! `chaski-zmq`: the product's own sockets with their defaults. By their blocking calls, as they
//! are ([`Chaski`]) or sleeping at once where they have to wait ([`Sleeping`]); by the call that
//! takes all that is there ([`Many`]); and as futures on tokio ([`ChaskiAsync`]), which may look
//! for a message first ([`SpinningAsync`]).

use std::marker::PhantomData;
use std::time::Duration;

use ::chaski_zmq::keys::PublicKey;
use ::chaski_zmq::{Builder, Kind, Message, Socket as Zmq};
use anyhow::{Context as _, Result};

use super::{
    CLIENT_KEYS, Lacks, Library, Read, Role, SERVER_KEYS, Socket, Spec, run_at_once, run_on_tokio,
};

/// Most messages that are taken at once.
const TAKEN_MAX: usize = 256;

/// How calls that block do so.
pub trait Manner: 'static {
    /// How long they look for a message before they sleep, if not for as long as by default.
    const SPIN: Option<Duration> = None;
    /// Whether all messages that are there are taken with one call.
    const MANY: bool = false;
    /// Whether futures look for a message before they give their thread back.
    const SPIN_TASKS: bool = false;
}

#[derive(Debug)]
pub struct AsItIs;

#[derive(Debug)]
pub struct SleepsAtOnce;

#[derive(Debug)]
pub struct TakesAll;

#[derive(Debug)]
pub struct SpinsAsTask;

impl Manner for AsItIs {}

impl Manner for SleepsAtOnce {
    const SPIN: Option<Duration> = Some(Duration::ZERO);
}

impl Manner for TakesAll {
    const MANY: bool = true;
}

impl Manner for SpinsAsTask {
    const SPIN_TASKS: bool = true;
}

pub type Chaski = Blocking<AsItIs>;
pub type Sleeping = Blocking<SleepsAtOnce>;
pub type Many = Blocking<TakesAll>;
pub type ChaskiAsync = Awaiting<AsItIs>;
pub type SpinningAsync = Awaiting<SpinsAsTask>;

#[derive(Debug)]
pub struct Blocking<M>(PhantomData<M>);

pub struct Calls<M> {
    socket: Zmq,
    taken: Vec<Message>,
    manner: PhantomData<M>,
}

impl<M: Manner> Library for Blocking<M> {
    type Bound = Calls<M>;
    type Socket = Calls<M>;

    const LACKS: &'static [Lacks] = if M::MANY { &[Lacks::Conversations] } else { &[] };

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Calls<M>, String)> {
        let (socket, endpoint) = bound::<M>(role, spec)?;
        Ok((Calls::of(socket), endpoint))
    }

    async fn accept(bound: Calls<M>, _: usize) -> Result<Calls<M>> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Calls<M>> {
        Ok(Calls::of(connected::<M>(role, endpoint, spec)?))
    }
}

fn builder<M: Manner>(role: Role) -> Builder<Zmq> {
    let builder = Zmq::builder(kind(role)).spin_tasks(M::SPIN_TASKS);
    match M::SPIN {
        Some(spin) => builder.spin(spin),
        None => builder,
    }
}

fn bound<M: Manner>(role: Role, spec: &Spec) -> Result<(Zmq, String)> {
    let mut builder = builder::<M>(role);
    if role == Role::Pub {
        builder = builder.xpub_nodrop(spec.lossless);
    }
    if spec.curve {
        builder = builder.curve_server(true).curve_secretkey(SERVER_KEYS.secret);
    }
    let socket = builder.build()?;
    let endpoint = socket.bind(&spec.endpoint())?.as_str().to_owned();
    Ok((socket, endpoint))
}

fn connected<M: Manner>(role: Role, endpoint: &str, spec: &Spec) -> Result<Zmq> {
    let mut builder = builder::<M>(role);
    if spec.curve {
        builder = builder
            .curve_serverkey(PublicKey::from_bytes(SERVER_KEYS.public))
            .curve_secretkey(CLIENT_KEYS.secret);
    }
    let socket = builder.build()?;
    if role == Role::Sub {
        spec.subscriptions().iter().try_for_each(|topic| socket.subscribe(topic.as_slice()))?;
    }
    socket.connect(endpoint)?;
    Ok(socket)
}

impl<M> Calls<M> {
    fn of(socket: Zmq) -> Calls<M> {
        Calls { socket, taken: Vec::with_capacity(TAKEN_MAX), manner: PhantomData }
    }
}

fn show_last(message: &Message, mut read: impl Read) -> Result<()> {
    read(message.last().context("no frame")?.as_slice())
}

impl<M: Manner> Socket for Calls<M> {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.socket.send(message)?)
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        if !M::MANY {
            return show_last(&self.socket.recv()?, read);
        }
        self.taken.clear();
        self.socket.recv_many(&mut self.taken, TAKEN_MAX)?;
        self.taken.iter().try_for_each(|message| show_last(message, &mut read))
    }

    async fn echo(&mut self) -> Result<()> {
        let request = self.socket.recv()?;
        Ok(self.socket.send(request)?)
    }
}

/// The calls that are futures, on tokio.
#[derive(Debug)]
pub struct Awaiting<M>(PhantomData<M>);

pub struct Futures(Zmq);

impl<M: Manner> Library for Awaiting<M> {
    type Bound = Futures;
    type Socket = Futures;

    const LACKS: &'static [Lacks] = if M::SPIN_TASKS { &[Lacks::Streams] } else { &[] };

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_on_tokio(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Futures, String)> {
        let (socket, endpoint) = bound::<M>(role, spec)?;
        Ok((Futures(socket), endpoint))
    }

    async fn accept(bound: Futures, _: usize) -> Result<Futures> {
        Ok(bound)
    }

    async fn connect(role: Role, endpoint: &str, spec: &Spec) -> Result<Futures> {
        Ok(Futures(connected::<M>(role, endpoint, spec)?))
    }
}

impl Socket for Futures {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.0.send_async(message).await?)
    }

    async fn recv(&mut self, read: impl Read) -> Result<()> {
        show_last(&self.0.recv_async().await?, read)
    }

    async fn echo(&mut self) -> Result<()> {
        let request = self.0.recv_async().await?;
        Ok(self.0.send_async(request).await?)
    }
}

fn kind(role: Role) -> Kind {
    match role {
        Role::Req => Kind::Req,
        Role::Rep => Kind::Rep,
        Role::Push => Kind::Push,
        Role::Pull => Kind::Pull,
        Role::Dealer => Kind::Dealer,
        Role::Router => Kind::Router,
        Role::Pub => Kind::Pub,
        Role::Sub => Kind::Sub,
    }
}
