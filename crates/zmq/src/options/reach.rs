//! Where an option acts: by which transports, and what it means by the others.
//!
//! An option that somebody relies on and that does nothing is refused by `bind` and `connect`: a
//! mechanism by a transport that has none. One that has no meaning by its nature is left alone
//! there, as one socket may have endpoints of several transports: keepalive probes by `ipc`. Which
//! is which, and why, stands in the table of options.

use chaski_zmtp::Kind;

use super::{Options, TABLE};
use crate::endpoint::Address;

/// What carries messages between two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `tcp://`
    Tcp,
    /// `ipc://`
    Ipc,
    /// `inproc://`
    Inproc,
    /// `shm://`
    Shm,
}

/// What setting an option comes to where it does not act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elsewhere {
    /// `bind` and `connect` say that it cannot be.
    Refused,
    /// There is nothing that it could be about.
    Meaningless,
}

/// Where an option acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// By these transports it does what it says.
    pub transports: &'static [Transport],
    /// What it comes to by the others.
    pub elsewhere: Elsewhere,
    /// Why that is so, and what to do; empty if it acts by all.
    pub why: &'static str,
}

/// An option that is set and would do nothing.
pub(crate) struct Idle {
    pub(crate) option: &'static str,
    pub(crate) why: &'static str,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 4] =
        [Transport::Tcp, Transport::Ipc, Transport::Inproc, Transport::Shm];

    /// What stands before `://`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Ipc => "ipc",
            Transport::Inproc => "inproc",
            Transport::Shm => "shm",
        }
    }

    /// Whether a socket of this kind has peers by it: a STREAM's are plain connections.
    pub(crate) fn carries(self, kind: Kind) -> bool {
        kind != Kind::Stream || matches!(self, Transport::Tcp | Transport::Ipc)
    }

    pub(crate) fn of(address: &Address) -> Self {
        match address {
            Address::Tcp(_) => Transport::Tcp,
            Address::Ipc(_) => Transport::Ipc,
            Address::Inproc(_) => Transport::Inproc,
            Address::Shm(_) => Transport::Shm,
        }
    }
}

impl Reach {
    const fn of(transports: &'static [Transport], why: &'static str) -> Self {
        Reach { transports, elsewhere: Elsewhere::Meaningless, why }
    }

    const fn refused(self) -> Self {
        Reach { elsewhere: Elsewhere::Refused, ..self }
    }

    /// Whether it does what it says by this transport.
    pub fn covers(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }
}

/// Through the kernel.
const WIRE: &[Transport] = &[Transport::Tcp, Transport::Ipc];
/// Between what does not share its memory.
const APART: &[Transport] = &[Transport::Tcp, Transport::Ipc, Transport::Shm];

pub(super) const EVERYWHERE: Reach = Reach::of(&Transport::ALL, "");
pub(super) const NETWORK: Reach = Reach::of(&[Transport::Tcp], "there is no network in between");
pub(super) const ATTEMPT: Reach =
    Reach::of(&[Transport::Tcp], "it is known at once whether anybody is there");
pub(super) const KERNEL: Reach = Reach::of(WIRE, "no buffer of the system is in between");
pub(super) const QUEUE: Reach = Reach::of(WIRE, "connections do not queue in the system");
pub(super) const PULSE: Reach = Reach::of(WIRE, "a peer that dies is noticed at once");
pub(super) const GREETING: Reach = Reach::of(APART, "there is no handshake to wait for");
pub(super) const GREETINGS: Reach =
    Reach::of(WIRE, "who connects is this process, or this user (then 65,536 at once)");
pub(super) const LENGTH: Reach = Reach::of(APART, "the message is in memory already");
pub(super) const LEFT: Reach =
    Reach::of(APART, "what was sent is the peer's already, and needs no time");
pub(super) const MECHANISM: Reach = Reach::of(
    WIRE,
    "there are no mechanisms; bind or connect there before it is set, or go by tcp or ipc",
)
.refused();
pub(super) const PROPERTIES: Reach = Reach::of(
    WIRE,
    "peers in memory are told no properties; say it in a message, or go by tcp or ipc",
)
.refused();

/// Sockets that speak ZMTP.
pub(super) const ZMTP: &[Kind] = &[
    Kind::Pair,
    Kind::Pub,
    Kind::Sub,
    Kind::Req,
    Kind::Rep,
    Kind::Dealer,
    Kind::Router,
    Kind::Pull,
    Kind::Push,
    Kind::Xpub,
    Kind::Xsub,
    Kind::Server,
    Kind::Client,
    Kind::Radio,
    Kind::Dish,
    Kind::Gather,
    Kind::Scatter,
    Kind::Peer,
    Kind::Channel,
];

impl Options {
    /// Whether a socket with these options can be bound or connected by a transport, so that none
    /// of them is set without effect. `Err` says which is, and what to do.
    pub(crate) fn check_reach(&self, transport: Transport) -> Result<(), Idle> {
        for name in self.differing(&Options::default()) {
            let Some(row) = TABLE.iter().find(|row| row.name == name) else { continue };
            let reach = row.reach;
            if reach.elsewhere == Elsewhere::Refused && !reach.covers(transport) {
                return Err(Idle { option: name, why: reach.why });
            }
        }
        self.check_complete()
    }

    /// Options that do nothing without another one. A socket that is meant to be secured must not
    /// speak in the clear because half of what that takes was forgotten.
    fn check_complete(&self) -> Result<(), Idle> {
        let curve = self.curve_server || self.curve_serverkey.is_some();
        let plain = !self.plain_username.is_empty();
        let null = !curve && !plain && !self.plain_server;
        let proxy = !self.socks_proxy.is_empty();
        let user = !self.socks_username.is_empty();
        let rules = [
            (
                "curve_secretkey",
                self.curve_secretkey.reveal().is_some() && !curve,
                "it needs curve_server, or the curve_serverkey of whom to connect to",
            ),
            (
                "curve_publickey",
                self.curve_publickey.is_some() && !curve,
                "it needs curve_server, or the curve_serverkey of whom to connect to",
            ),
            (
                "plain_password",
                !self.plain_password.reveal().is_empty() && !plain,
                "it needs a plain_username",
            ),
            (
                "zap_enforce_domain",
                self.zap_enforce_domain && null && self.zap_domain.is_empty(),
                "it needs a zap_domain, or a mechanism",
            ),
            ("socks_username", user && !proxy, "it needs a socks_proxy"),
            (
                "socks_password",
                !self.socks_password.reveal().is_empty() && !user,
                "it needs a socks_username",
            ),
        ];
        let idle = rules.into_iter().find(|(_, alone, _)| *alone);
        idle.map_or(Ok(()), |(option, _, why)| Err(Idle { option, why }))
    }
}
