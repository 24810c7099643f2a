//! Where options act, and that none is set without effect.

use std::sync::atomic::{AtomicU32, Ordering};

use chaski_zmq::keys::KeyPair;
use chaski_zmq::{BindError, Builder, ConnectError, Context, Kind, Options, Socket, Transport};

/// An endpoint of each transport to bind to, or to connect to, that nobody else uses.
fn endpoint(transport: Transport, to_bind: bool) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("reach-{}-{next}", std::process::id());
    match transport {
        Transport::Tcp if to_bind => "tcp://127.0.0.1:*".to_owned(),
        Transport::Tcp => "tcp://127.0.0.1:1".to_owned(),
        Transport::Ipc => format!("ipc://@{name}"),
        Transport::Inproc => format!("inproc://{name}"),
        Transport::Shm => format!("shm://{name}"),
    }
}

/// Which option keeps a socket from being bound, and from being connected.
fn refused(
    builder: &Builder<Socket>,
    transport: Transport,
) -> (Option<&'static str>, Option<&'static str>) {
    let builder = builder.clone().linger(std::time::Duration::ZERO);
    let socket = builder.context(&Context::new()).build().unwrap();
    let bound = match socket.bind(endpoint(transport, true)) {
        Err(BindError::Option { option, .. }) => Some(option),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    let connected = match socket.connect(endpoint(transport, false)) {
        Err(ConnectError::Option { option, .. }) => Some(option),
        Err(error) => panic!("{error}"),
        Ok(()) => None,
    };
    (bound, connected)
}

#[test]
fn what_secures_a_socket_is_refused_where_nothing_is_secured() {
    let keys = KeyPair::generate().unwrap();
    let new = || Socket::builder(Kind::Dealer);
    let secured = [
        new().plain_server(true),
        new().plain_username("me"),
        new().curve_server(true).curve_secretkey(keys.secret()),
        new().curve_serverkey(keys.public()).curve_secretkey(keys.secret()),
        new().zap_domain("users"),
        new().metadata(vec![("X-Rack".to_owned(), b"b7".to_vec())]),
    ];
    for builder in secured {
        for transport in Transport::ALL {
            let (bound, connected) = refused(&builder, transport);
            assert_eq!(bound, connected);
            let wire = matches!(transport, Transport::Tcp | Transport::Ipc);
            assert_eq!(bound.is_none(), wire, "{bound:?} by {transport:?}");
        }
    }
}

#[test]
fn what_has_no_meaning_somewhere_does_no_harm_there() {
    let everything = Socket::builder(Kind::Dealer)
        .tos(8)
        .priority(3)
        .ipv6(true)
        .tcp_keepalive(true)
        .sndbuf(65_536)
        .backlog(7)
        .socks_proxy("127.0.0.1:1")
        .handshakes_max(5)
        .maxmsgsize(1000)
        .heartbeat_ivl(std::time::Duration::from_secs(60));
    for transport in Transport::ALL {
        assert_eq!(refused(&everything, transport), (None, None), "{transport:?}");
    }
}

#[test]
fn half_of_what_an_option_takes_is_no_reason_to_speak_in_the_clear() {
    let keys = KeyPair::generate().unwrap();
    let new = || Socket::builder(Kind::Dealer);
    let halves = [
        (new().curve_secretkey(keys.secret()), "curve_secretkey"),
        (new().curve_publickey(keys.public()), "curve_publickey"),
        (new().plain_password("hush"), "plain_password"),
        (new().zap_enforce_domain(true), "zap_enforce_domain"),
        (new().socks_username("me"), "socks_username"),
        (new().socks_password("hush"), "socks_password"),
    ];
    for (builder, option) in halves {
        assert_eq!(refused(&builder, Transport::Tcp), (Some(option), Some(option)));
    }
}

#[test]
fn a_stream_has_nothing_of_zmtp() {
    let keys = KeyPair::generate().unwrap();
    let new = || Socket::builder(Kind::Stream);
    let secured = new().curve_server(true).curve_secretkey(keys.secret());
    for builder in [secured, new().zap_domain("x"), new().maxmsgsize(9), new().routing_id("me")] {
        assert!(builder.build().is_err());
    }
    let stream = Socket::new(Kind::Stream);
    for transport in [Transport::Inproc, Transport::Shm] {
        let bound = stream.bind(endpoint(transport, true));
        assert!(matches!(bound, Err(BindError::Unsuitable { .. })), "{bound:?}");
        let connected = stream.connect(endpoint(transport, false));
        assert!(matches!(connected, Err(ConnectError::Unsuitable { .. })), "{connected:?}");
    }
}

#[test]
fn each_option_says_why_it_does_not_act_somewhere() {
    for row in Options::table() {
        let everywhere = Transport::ALL.iter().all(|transport| row.reach.covers(*transport));
        assert_eq!(everywhere, row.reach.why.is_empty(), "{}", row.name);
        assert!(row.reach.covers(Transport::Tcp), "{}", row.name);
    }
}
