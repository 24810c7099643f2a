//! Addresses: IPv6, interfaces, sources, Unix domain sockets, names of this process and machine.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use chaski_zmq::{BindError, ConnectError, Endpoint, Kind, Pull, Push, Socket, What};

use crate::peer::{PATIENCE, await_event};

/// Sends a message from a socket that connects to one that is bound.
fn crosses(bind: &str, connect: impl Fn(&Endpoint) -> String) -> Endpoint {
    let pull = Pull::builder().ipv6(true).build().unwrap();
    let at = pull.bind(bind).unwrap();
    let push = Push::builder().ipv6(true).build().unwrap();
    push.connect(connect(&at).as_str()).unwrap();
    push.send("across").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "across", "{bind}");
    at
}

fn port(at: &Endpoint) -> &str {
    at.as_str().rsplit(':').next().unwrap()
}

#[test]
fn ipv6_and_wildcards() {
    crosses("tcp://127.0.0.1:0", |at| at.to_string());
    crosses("tcp://*:*", |at| format!("tcp://127.0.0.1:{}", port(at)));
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        crosses("tcp://[::1]:*", |at| at.to_string());
        crosses("tcp://*:0", |at| format!("tcp://[::1]:{}", port(at)));
    }
}

#[test]
fn interfaces_have_names() {
    let at = crosses("tcp://lo:*", |at| at.to_string());
    assert!(at.as_str().starts_with("tcp://127.0.0.1:"), "{at}");
}

#[test]
fn a_connection_comes_from_where_it_is_told_to() {
    let pull = Pull::new();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(format!("tcp://127.0.0.9:0;127.0.0.1:{}", port(&at)).as_str()).unwrap();
    push.send("x").unwrap();
    pull.recv_timeout(PATIENCE).unwrap();
    let accepted = std::iter::from_fn(|| monitor.recv_timeout(PATIENCE))
        .find(|event| event.what == What::Accepted)
        .unwrap();
    assert!(accepted.peer.unwrap().starts_with("127.0.0.9:"));
}

#[test]
fn unix_sockets_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let endpoint = format!("ipc://{}", path.display());
    let pull = Pull::new();
    pull.bind(endpoint.as_str()).unwrap();
    let push = Push::new();
    push.connect(endpoint.as_str()).unwrap();
    push.send("by file").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "by file");
    pull.unbind(endpoint.as_str()).unwrap();
    assert!(!path.exists());
}

#[test]
fn unix_sockets_without_a_file() {
    let name = format!("ipc://@chaski-test-{}", std::process::id());
    assert_eq!(crosses(&name, |at| at.to_string()).as_str(), name);
    let at = crosses("ipc://*", |at| at.to_string());
    let path = at.as_str().strip_prefix("ipc://").unwrap();
    // It goes with the socket, which lingers a moment.
    let gone = || !std::path::Path::new(path).exists();
    assert!((0..2000).any(|_| gone() || {
        std::thread::sleep(Duration::from_millis(5));
        false
    }));
}

#[test]
fn what_a_dead_process_left_is_replaced_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.sock");
    let endpoint = format!("ipc://{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Pull::new();
    first.bind(endpoint.as_str()).unwrap();
    let second = Pull::new().bind(endpoint.as_str());
    assert!(matches!(second, Err(BindError::InUse { .. })), "{second:?}");
    let file = dir.path().join("file");
    std::fs::File::create(&file).unwrap().write_all(b"precious").unwrap();
    let third = Pull::new().bind(format!("ipc://{}", file.display()).as_str());
    assert!(matches!(third, Err(BindError::NotASocket { .. })), "{third:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn errors_name_the_address() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let again = Pull::new().bind(&at).unwrap_err();
    assert!(matches!(&again, BindError::InUse { endpoint } if *endpoint == at), "{again}");
    let foreign = Pull::new().bind("tcp://192.0.2.1:0").unwrap_err();
    assert!(matches!(foreign, BindError::NotHere { .. }), "{foreign}");
    let text = Pull::new().bind("tcp://nowhere").unwrap_err();
    assert!(matches!(text, BindError::Endpoint(_)), "{text}");
    let text = Push::new().connect("carrier-pigeon://coop").unwrap_err();
    assert!(matches!(text, ConnectError::Endpoint(_)), "{text}");
}

#[test]
fn nobody_can_connect_to_a_wildcard() {
    for endpoint in ["ipc://*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"] {
        let error = Push::new().connect(endpoint).unwrap_err();
        assert!(error.to_string().contains(endpoint), "{error}");
    }
}

#[test]
fn near_transports() {
    crosses("inproc://here", |at| at.to_string());
    let name = format!("shm://chaski-test-{}", std::process::id());
    crosses(&name, |at| at.to_string());
}

#[test]
fn options_of_the_system_reach_it() {
    let make = |kind| {
        Socket::builder(kind)
            .tos(0x10)
            .tcp_keepalive(true)
            .tcp_keepalive_idle(30)
            .tcp_keepalive_intvl(5)
            .tcp_keepalive_cnt(3)
            .tcp_maxrt(Duration::from_secs(7))
            .sndbuf(100_000)
            .rcvbuf(100_000)
            .backlog(5)
            .priority(1)
            .build()
            .unwrap()
    };
    let (pull, push) = (make(Kind::Pull), make(Kind::Push));
    let monitor = push.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    push.connect(&at).unwrap();
    await_event(&monitor, |what| *what == What::HandshakeSucceeded);
    push.send("set").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "set");
    let device = Socket::builder(Kind::Pull).bindtodevice("no-such-if").build().unwrap();
    assert!(device.bind("tcp://127.0.0.1:*").is_err());
}
