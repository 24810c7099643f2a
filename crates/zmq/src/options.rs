//! The options of a socket: one table, and everything that follows from it.
//!
//! Each line of the table gives an option's name (libzmq's, in lower case), its type, its default,
//! when a change takes effect, which kinds of sockets have it (`for`, or `of` a group of kinds) and
//! by which transports it acts (`at`, else by all). From it come a field of [`Options`], a method
//! of [`Builder`], a variant of [`SocketOption`], a row of [`Options::table`], and what
//! [`SocketOption::parse`] understands. An option that does not stand here does not exist, so that
//! none can be set without effect.
//!
//! | file | what |
//! |---|---|
//! | `builder`, `error` | options being gathered; why one cannot be set |
//! | `check` | whether values make sense, for a kind and among themselves |
//! | `reach` | by which transports they act, and what is refused by the others |
//! | `libzmq` | what became of those that libzmq has |
//! | `text` | values as texts |
//!
//! Times that libzmq gives in milliseconds are [`Duration`]s; its -1 ("for ever", "never", "as the
//! system does") is `None`. In a text they are milliseconds, or have a unit: `250`, `250ms`, `2s`,
//! `1m`, `-1`, `none`.

mod builder;
mod check;
mod error;
mod libzmq;
mod reach;
#[cfg(test)]
mod tables;
mod text;

use std::time::Duration;

pub use builder::Builder;
pub use chaski_zmtp::PageSize;
use chaski_zmtp::keys::{PublicKey, SecretKey};
use chaski_zmtp::{Kind, Message};
pub use error::OptionError;
pub(crate) use reach::Idle;
use reach::{
    ATTEMPT, EVERYWHERE, GREETING, GREETINGS, KERNEL, LEFT, LENGTH, MECHANISM, NETWORK, PROPERTIES,
    PULSE, QUEUE, ZMTP,
};
pub use reach::{Elsewhere, Reach, Transport};
pub use text::Secret;
use text::Text;

/// When a change of an option takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// For what is bound or connected from then on.
    Next,
    /// It can be given to the builder only.
    Build,
}

/// A row of the table of options.
#[derive(Clone, Copy, Debug)]
pub struct OptionInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What a text for it looks like.
    pub syntax: &'static str,
    /// When a change takes effect.
    pub when: When,
    /// The kinds of sockets that have it; empty if all do.
    pub kinds: &'static [Kind],
    /// By which transports it acts.
    pub reach: Reach,
}

/// The default of the option `spin`.
const SPIN: Duration = Duration::from_micros(100);

/// When a peer that we connect to is given up (libzmq: `ZMQ_RECONNECT_STOP`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReconnectStop {
    /// Its host answered that nobody listens.
    pub conn_refused: bool,
    /// The handshake failed.
    pub handshake_failed: bool,
    /// The connection was up and is lost.
    pub after_disconnect: bool,
}

macro_rules! kinds {
    (of $kinds:ident) => { $kinds };
    ($($kind:ident)*) => { &[$(Kind::$kind),*] };
}

macro_rules! reach {
    () => {
        EVERYWHERE
    };
    ($reach:ident) => {
        $reach
    };
}

macro_rules! options {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident / $variant:ident: $type:ty, $argument:ty = $default:expr,
            $when:ident $(for $($kind:ident)+)? $(of $kinds:ident)? $(at $reach:ident)?;
    )+) => {
        /// What a socket is set to: libzmq's options, by their names in lower case.
        ///
        /// Times that libzmq gives in milliseconds are [`Duration`]s; its -1 ("for ever", "never",
        /// "as the system does") is `None`. In a text ([`SocketOption::parse`]) they are
        /// milliseconds, or have a unit: `250`, `250ms`, `2s`, `1m`, `-1`, `none`.
        ///
        /// An option that does not stand here does not exist: none can be set without effect.
        ///
        #[doc = include_str!("options/tables.md")]
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Options {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for Options {
            fn default() -> Self {
                Options { $( $field: $default, )+ }
            }
        }

        /// One option with its value, to be set while the socket lives.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum SocketOption {
            $( $(#[doc = $doc])+ $variant($type), )+
        }

        impl SocketOption {
            /// Reads an option from two texts: its name as libzmq has it, in lower case, and its
            /// value.
            ///
            /// # Errors
            ///
            /// [`OptionError::Unknown`], with the name that may be meant; [`OptionError::Foreign`],
            /// with what there is instead; [`OptionError::Value`], with what is allowed.
            ///
            /// ```
            /// use chaski_zmq::SocketOption;
            ///
            /// let option = SocketOption::parse("sndhwm", "10")?;
            /// assert_eq!(option, SocketOption::Sndhwm(10));
            /// assert!(SocketOption::parse("warp_speed", "9").is_err());
            /// # Ok::<(), chaski_zmq::OptionError>(())
            /// ```
            pub fn parse(name: &str, value: &str) -> Result<Self, OptionError> {
                match name {
                    $( stringify!($field) => <$type as Text>::read(value)
                        .map(SocketOption::$variant)
                        .map_err(|why| OptionError::Value {
                            name: stringify!($field),
                            value: text::given::<$type>(value),
                            why,
                        }), )+
                    _ => Err(libzmq::unknown(name)),
                }
            }

            /// Its row of the table.
            pub fn info(&self) -> &'static OptionInfo {
                let name = match self {
                    $( SocketOption::$variant(_) => stringify!($field), )+
                };
                // Every variant has its row: both come from one line of the table.
                TABLE.iter().find(|row| row.name == name).unwrap_or(&TABLE[0])
            }
        }

        const TABLE: &[OptionInfo] = &[$( OptionInfo {
            name: stringify!($field),
            doc: concat!($($doc, "\n"),+),
            syntax: <$type as Text>::SYNTAX,
            when: When::$when,
            kinds: kinds!($($($kind)+)? $(of $kinds)?),
            reach: reach!($($reach)?),
        }, )+];

        impl Options {
            /// Sets one of them, whatever it is. See [`Options::check`].
            pub(crate) fn put(&mut self, option: SocketOption) {
                match option {
                    $( SocketOption::$variant(value) => self.$field = value, )+
                }
            }

            /// The value of an option, for an error: not if it is a secret.
            fn shown(&self, name: &str) -> String {
                match name {
                    $( stringify!($field) => text::shown(&self.$field), )+
                    _ => String::new(),
                }
            }

            /// The names of those that differ from `other`.
            fn differing(&self, other: &Options) -> impl Iterator<Item = &'static str> + use<> {
                [$( (stringify!($field), self.$field != other.$field), )+]
                    .into_iter().filter_map(|(name, differs)| differs.then_some(name))
            }
        }

        /// One method per option.
        impl<S> Builder<S> {
            $(
                $(#[doc = $doc])+
                #[allow(clippy::useless_conversion, reason = "some arguments have the type itself")]
                pub fn $field(mut self, value: $argument) -> Self {
                    self.options.$field = value.into();
                    self
                }
            )+
        }
    };
}

options! {
    /// How many messages may wait to be sent to each peer; 0 is no limit. Default 1000.
    sndhwm / Sndhwm: u32, u32 = 1000, Next;
    /// How many messages of each peer are read in the background while nobody receives, and wait;
    /// 0 is no limit. A receive itself reads a page at a time, of as many as fit. More stay with
    /// the system and the peer. By inproc so many wait beside the sender's `sndhwm`. Default 1000.
    rcvhwm / Rcvhwm: u32, u32 = 1000, Next;
    /// How long a closed socket goes on sending what waits; `None` until all is sent. Default
    /// `None`.
    linger / Linger: Option<Duration>, impl Into<Option<Duration>> = None, Now at LEFT;
    /// How long `send` waits; `None` for ever. Default `None`.
    sndtimeo / Sndtimeo: Option<Duration>, impl Into<Option<Duration>> = None, Now;
    /// How long `recv` waits; `None` for ever. Default `None`.
    rcvtimeo / Rcvtimeo: Option<Duration>, impl Into<Option<Duration>> = None, Now;
    /// The identity by which a ROUTER knows this socket: up to 255 bytes, of which the first is not
    /// 0. Empty (the default) lets the ROUTER choose.
    routing_id / RoutingId: Vec<u8>, impl Into<Vec<u8>> = Vec::new(), Next for Req Dealer Router;
    /// The identity by which this socket is to know the peer that it connects to next.
    connect_routing_id / ConnectRoutingId: Vec<u8>, impl Into<Vec<u8>> = Vec::new(),
        Next for Router Stream;
    /// Sends only to peers that are connected, instead of queueing for those that will be. Default
    /// off.
    immediate / Immediate: bool, bool = false, Next;
    /// Keeps only the newest message in each direction and for each peer. Default off.
    conflate / Conflate: bool, bool = false, Build for Pull Push Sub Pub Dealer;
    /// How long a thread that waits for messages looks for them before it sleeps, at most. It does
    /// so as long as that pays; 0 is not at all. Default 100 us: twice what being woken takes where
    /// that takes long, so that two that talk find each other awake.
    spin / Spin: Duration, Duration = SPIN, Now;
    /// Futures look for messages, too, before they give their thread back; other tasks of that
    /// thread wait meanwhile. Default off.
    spin_tasks / SpinTasks: bool, bool = false, Now;
    /// How much is read at a time. Default: learned from the traffic.
    page_size / PageSize: PageSize, PageSize = PageSize::Default, Next at KERNEL;
    /// The longest frame that is received, in bytes; who sends a longer one is disconnected. All
    /// frames of a message together may have as many, or 1 GiB where that is more. Default `None`:
    /// 1 GiB.
    maxmsgsize / Maxmsgsize: Option<u64>, impl Into<Option<u64>> = None, Next of ZMTP at LENGTH;

    /// How long to wait before connecting again; the wait is random, up to twice this. `None`:
    /// never again. Default 100 ms.
    reconnect_ivl / ReconnectIvl: Option<Duration>, impl Into<Option<Duration>>
        = Some(Duration::from_millis(100)), Next;
    /// The wait doubles with each attempt, up to this. 0 (the default): it does not grow.
    reconnect_ivl_max / ReconnectIvlMax: Duration, Duration = Duration::ZERO, Next;
    /// What ends the attempts for good. Default nothing.
    reconnect_stop / ReconnectStop: ReconnectStop, ReconnectStop = ReconnectStop {
        conn_refused: false, handshake_failed: false, after_disconnect: false
    }, Next;
    /// How long an attempt to connect may take; 0 (the default): as long as the system tries.
    connect_timeout / ConnectTimeout: Duration, Duration = Duration::ZERO, Next at ATTEMPT;
    /// How long data may stay unacknowledged before the system gives the connection up
    /// (`TCP_USER_TIMEOUT`); 0 (the default): as the system does.
    tcp_maxrt / TcpMaxrt: Duration, Duration = Duration::ZERO, Next at NETWORK;
    /// How long a handshake may take; 0 is no limit. Default 30 s.
    handshake_ivl / HandshakeIvl: Duration, Duration = Duration::from_secs(30),
        Next of ZMTP at GREETING;
    /// How many connections of one listener may be in their handshake at once. Of more, the oldest
    /// is dropped. Default 1024.
    handshakes_max / HandshakesMax: u32, u32 = 1024, Next of ZMTP at GREETINGS;

    /// How often an idle connection is asked whether it is alive; 0 (the default): never.
    heartbeat_ivl / HeartbeatIvl: Duration, Duration = Duration::ZERO, Next of ZMTP at PULSE;
    /// How long after the question something must have come. Default `None`: `heartbeat_ivl`.
    heartbeat_timeout / HeartbeatTimeout: Option<Duration>, impl Into<Option<Duration>> = None,
        Next of ZMTP at PULSE;
    /// How long the peer is to believe that we are alive without another word, to tenths of a
    /// second; 0 (the default) says nothing.
    heartbeat_ttl / HeartbeatTtl: Duration, Duration = Duration::ZERO, Next of ZMTP at PULSE;

    /// How many connections may wait to be accepted. Default 100.
    backlog / Backlog: u32, u32 = 100, Next at QUEUE;
    /// The system's send buffer, in bytes (`SO_SNDBUF`). Default `None`: as the system does.
    sndbuf / Sndbuf: Option<u32>, impl Into<Option<u32>> = None, Next at KERNEL;
    /// The system's receive buffer, in bytes (`SO_RCVBUF`). Default `None`: as the system does.
    rcvbuf / Rcvbuf: Option<u32>, impl Into<Option<u32>> = None, Next at KERNEL;
    /// The type of service of outgoing packets (`IP_TOS`, `IPV6_TCLASS`). Default 0.
    tos / Tos: u32, u32 = 0, Next at NETWORK;
    /// The priority of outgoing packets (`SO_PRIORITY`). Default 0.
    priority / Priority: u32, u32 = 0, Next at NETWORK;
    /// The network interface or VRF to use, and no other (`SO_BINDTODEVICE`). Default empty: any.
    bindtodevice / Bindtodevice: String, impl Into<String> = String::new(), Next at NETWORK;
    /// Whether `*` means IPv6 too, and whether a name may resolve to an IPv6 address. Default off;
    /// numeric IPv6 addresses work in either case.
    ipv6 / Ipv6: bool, bool = false, Next at NETWORK;
    /// Whether the system probes idle connections (`SO_KEEPALIVE`). Default `None`: as the system
    /// does.
    tcp_keepalive / TcpKeepalive: Option<bool>, impl Into<Option<bool>> = None, Next at NETWORK;
    /// How many probes may stay unanswered (`TCP_KEEPCNT`). Default `None`: as the system does.
    tcp_keepalive_cnt / TcpKeepaliveCnt: Option<u32>, impl Into<Option<u32>> = None,
        Next at NETWORK;
    /// How many seconds a connection is idle before it is probed (`TCP_KEEPIDLE`). Default `None`:
    /// as the system does.
    tcp_keepalive_idle / TcpKeepaliveIdle: Option<u32>, impl Into<Option<u32>> = None,
        Next at NETWORK;
    /// The seconds between two probes (`TCP_KEEPINTVL`). Default `None`: as the system does.
    tcp_keepalive_intvl / TcpKeepaliveIntvl: Option<u32>, impl Into<Option<u32>> = None,
        Next at NETWORK;
    /// The SOCKS5 proxy to connect through, `host:port` (RFC 1928). Default empty: none.
    socks_proxy / SocksProxy: String, impl Into<String> = String::new(), Next at NETWORK;
    /// The user's name at the proxy (RFC 1929). Default empty: none is given.
    socks_username / SocksUsername: String, impl Into<String> = String::new(), Next at NETWORK;
    /// The password at the proxy.
    socks_password / SocksPassword: Secret<String>, impl Into<Secret<String>>
        = Secret::new(String::new()), Next at NETWORK;

    /// Asks peers for a user's name and password (RFC 24). Default off.
    plain_server / PlainServer: bool, bool = false, Next of ZMTP at MECHANISM;
    /// The user's name to give to a PLAIN server; with it the socket is a PLAIN client. Default
    /// empty: it is none.
    plain_username / PlainUsername: String, impl Into<String> = String::new(),
        Next of ZMTP at MECHANISM;
    /// The password to give to a PLAIN server.
    plain_password / PlainPassword: Secret<String>, impl Into<Secret<String>>
        = Secret::new(String::new()), Next of ZMTP at MECHANISM;
    /// Speaks CURVE as the server (RFC 26), with `curve_secretkey`. Default off.
    curve_server / CurveServer: bool, bool = false, Next of ZMTP at MECHANISM;
    /// Our long-term public key. Default none: it follows from the secret key.
    curve_publickey / CurvePublickey: Option<PublicKey>, impl Into<Option<PublicKey>> = None,
        Next of ZMTP at MECHANISM;
    /// Our long-term secret key.
    curve_secretkey / CurveSecretkey: Secret<Option<SecretKey>>,
        impl Into<Secret<Option<SecretKey>>> = Secret::new(None), Next of ZMTP at MECHANISM;
    /// The server's long-term public key; with it the socket is a CURVE client.
    curve_serverkey / CurveServerkey: Option<PublicKey>, impl Into<Option<PublicKey>> = None,
        Next of ZMTP at MECHANISM;
    /// The domain in which peers are authenticated (RFC 27). With NULL, peers are authenticated
    /// only if there is one. Default empty.
    zap_domain / ZapDomain: String, impl Into<String> = String::new(),
        Next of ZMTP at MECHANISM;
    /// Refuses peers if nobody is there to authenticate them. Default off.
    zap_enforce_domain / ZapEnforceDomain: bool, bool = false, Next of ZMTP at MECHANISM;
    /// Properties that the peer is told in the handshake, beside those of the protocol; their names
    /// begin with `X-`. Default none.
    metadata / Metadata: Vec<(String, Vec<u8>)>, Vec<(String, Vec<u8>)> = Vec::new(),
        Next of ZMTP at PROPERTIES;

    /// May send a new request before the reply to the last one came. Default off.
    req_relaxed / ReqRelaxed: bool, bool = false, Now for Req;
    /// Puts a number before each request and drops replies to older ones. Default off.
    req_correlate / ReqCorrelate: bool, bool = false, Now for Req;
    /// Sending to an identity that no peer has is an error, instead of losing the message. Default
    /// off.
    router_mandatory / RouterMandatory: bool, bool = false, Now for Router;
    /// A new peer takes over an identity that is in use. Default off: it is refused.
    router_handover / RouterHandover: bool, bool = false, Now for Router;
    /// Sends an empty message to each new peer, so that a ROUTER there learns of us. Default off.
    probe_router / ProbeRouter: bool, bool = false, Now for Router Dealer Req;
    /// Shows every subscription, not only the first for its topic. Default off.
    xpub_verbose / XpubVerbose: bool, bool = false, Now for Xpub;
    /// The same for unsubscriptions too. Default off.
    xpub_verboser / XpubVerboser: bool, bool = false, Now for Xpub;
    /// Subscriptions are shown, and take effect when the user says so. Default off.
    xpub_manual / XpubManual: bool, bool = false, Now for Xpub;
    /// The same, and the next message goes only to who subscribed last. Default off.
    xpub_manual_last_value / XpubManualLastValue: bool, bool = false, Now for Xpub;
    /// A subscriber whose queue is full makes `send` wait, instead of losing the message. Default
    /// off.
    xpub_nodrop / XpubNodrop: bool, bool = false, Now for Xpub Pub;
    /// Is sent to each new subscriber. Default a message without frames: none.
    xpub_welcome_msg / XpubWelcomeMsg: Message, impl Into<Message> = Message::new(), Now for Xpub;
    /// Passes every unsubscription on, not only the last for its topic, though a publisher takes
    /// the first for the end of all. Default off.
    xsub_verbose_unsubscribe / XsubVerboseUnsubscribe: bool, bool = false, Now for Xsub;
    /// Only the first part of a message can be a subscription. Default off.
    only_first_subscribe / OnlyFirstSubscribe: bool, bool = false, Now for Xpub Xsub;
    /// A subscriber gets what it has *not* subscribed to. To be set at both sides. Default off.
    invert_matching / InvertMatching: bool, bool = false, Now for Pub Xpub Sub;
    /// Receives an empty message when a peer connects and when it disconnects. Default on.
    stream_notify / StreamNotify: bool, bool = true, Now for Stream;
}

impl Options {
    /// The table of options: every one there is.
    pub fn table() -> &'static [OptionInfo] {
        TABLE
    }

    /// Sets an option of a socket of this kind that exists already.
    pub(crate) fn set(&mut self, kind: Kind, option: SocketOption) -> Result<When, OptionError> {
        let info = option.info();
        if info.when == When::Build {
            return Err(OptionError::TooLate { name: info.name });
        }
        let mut changed = self.clone();
        changed.put(option);
        changed.check(kind)?;
        *self = changed;
        Ok(info.when)
    }
}
