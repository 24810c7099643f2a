//! Connecting, and connecting again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use chaski_zmq::{
    HandshakeFailure, Kind, Lost, Monitor, Pull, Push, ReconnectStop, Socket, Sub, What,
};

use crate::peer::{PATIENCE, Raw, await_event, next_events};

/// A socket that connects to a listener of ours, with its monitor. It connects again at once.
fn dialling(kind: Kind) -> (Socket, Monitor, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    let socket = Socket::builder(kind).reconnect_ivl(Duration::from_millis(1)).build().unwrap();
    let monitor = socket.monitor();
    socket.connect(at.as_str()).unwrap();
    (socket, monitor, listener)
}

#[test]
fn the_events_of_a_connection_come_in_order() {
    let (push, monitor, listener) = dialling(Kind::Push);
    let mut raw = Raw::accept(&listener);
    raw.meet("PULL");
    push.send("hello").unwrap();
    assert_eq!(raw.frame(), (0, b"hello".to_vec()));
    drop(raw);
    let seen = next_events(&monitor, 5);
    assert_eq!(seen[..3], [What::ConnectDelayed, What::Connected, What::HandshakeSucceeded]);
    assert!(matches!(seen[3], What::Disconnected(Lost::Hangup)), "{seen:?}");
    assert!(matches!(seen[4], What::ConnectRetried { .. }), "{seen:?}");
}

#[test]
fn what_waits_is_sent_over_the_next_connection() {
    let (push, _monitor, listener) = dialling(Kind::Push);
    Raw::accept(&listener).meet("PULL");
    let mut raw = Raw::accept(&listener);
    push.send("early").unwrap();
    raw.meet("PULL");
    assert_eq!(raw.frame(), (0, b"early".to_vec()));
}

#[test]
fn a_subscription_is_said_again_to_a_new_connection() {
    let (sub, _monitor, listener) = dialling(Kind::Sub);
    sub.subscribe("news").unwrap();
    for _ in 0..3 {
        let mut raw = Raw::accept(&listener);
        raw.meet("PUB");
        assert_eq!(raw.frame(), (4, b"\x09SUBSCRIBEnews".to_vec()));
    }
}

#[test]
fn a_peer_of_zmtp_3_0_gets_subscriptions_as_messages() {
    let (sub, _monitor, listener) = dialling(Kind::Sub);
    sub.subscribe("a").unwrap();
    let mut raw = Raw::accept(&listener);
    raw.stream.write_all(&Raw::handshake_of(3, 0, "PUB")).unwrap();
    raw.stream.read_exact(&mut [0; 64]).unwrap();
    raw.frame();
    assert_eq!(raw.frame(), (0, b"\x01a".to_vec()));
    raw.stream.write_all(b"\x00\x02ab").unwrap();
    assert_eq!(sub.recv_timeout(PATIENCE).unwrap()[0], "ab");
}

#[test]
fn nobody_there_yet_is_no_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let push = Push::builder().reconnect_ivl(Duration::from_millis(1)).build().unwrap();
    let monitor = push.monitor();
    push.connect(format!("tcp://{address}").as_str()).unwrap();
    push.send("patient").unwrap();
    for _ in 0..3 {
        await_event(&monitor, |what| matches!(what, What::ConnectRetried { .. }));
    }
    let pull = Pull::new();
    pull.bind(format!("tcp://{address}").as_str()).unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "patient");
}

#[test]
fn a_server_that_is_bound_again_is_found_again() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::builder().reconnect_ivl(Duration::from_millis(1)).build().unwrap();
    let monitor = push.monitor();
    push.connect(&at).unwrap();
    push.send("one").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "one");
    pull.close(Duration::ZERO);
    await_event(&monitor, |what| matches!(what, What::Disconnected(_)));
    let pull = Pull::new();
    pull.bind(&at).unwrap();
    push.send("two").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "two");
}

#[test]
fn a_refused_connection_can_be_the_last_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let stop = ReconnectStop { conn_refused: true, ..ReconnectStop::default() };
    let push = Push::builder().reconnect_stop(stop).build().unwrap();
    let monitor = push.monitor();
    push.connect(at.as_str()).unwrap();
    await_event(&monitor, |what| matches!(what, What::ConnectStopped(_)));
}

#[test]
fn an_error_of_the_peer_is_not_asked_for_twice() {
    let (_push, monitor, listener) = dialling(Kind::Push);
    let mut raw = Raw::accept(&listener);
    let mut bytes = Raw::handshake("PULL");
    bytes.truncate(64);
    bytes.extend_from_slice(b"\x04\x0a\x05ERROR\x03400");
    raw.stream.write_all(&bytes).unwrap();
    let denied = What::HandshakeFailed(HandshakeFailure::Auth(400));
    await_event(&monitor, |what| *what == denied);
    assert!(matches!(next_events(&monitor, 1)[0], What::ConnectStopped(_)));
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up() {
    // A listener whose queue is full lets no more connections in: the attempt hangs.
    let socket = socket2_listener(0);
    let at = socket.local_addr().unwrap();
    let _filling: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect_timeout(&at, Duration::from_millis(100)))
        .collect();
    let push = Push::builder()
        .connect_timeout(Duration::from_millis(20))
        .reconnect_ivl(Duration::from_millis(1))
        .build()
        .unwrap();
    let monitor = push.monitor();
    push.connect(format!("tcp://{at}").as_str()).unwrap();
    await_event(
        &monitor,
        |what| matches!(what, What::ConnectRetried { why, .. } if why.contains("timed out")),
    );
}

fn socket2_listener(backlog: i32) -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(backlog).unwrap();
    socket.into()
}

#[test]
fn a_name_is_looked_up() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let port = at.as_str().rsplit(':').next().unwrap();
    let push = Push::new();
    push.connect(format!("tcp://localhost:{port}").as_str()).unwrap();
    push.send("found").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "found");
}

#[test]
fn disconnected_it_connects_no_more() {
    let (push, monitor, listener) = dialling(Kind::Push);
    Raw::accept(&listener).meet("PULL");
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    push.disconnect(at.as_str()).unwrap();
    assert!(push.disconnect(at.as_str()).is_err());
    push.set_by_name("sndtimeo", "0").unwrap();
    assert!(push.send("nobody").is_err());
    drop(monitor);
}

#[test]
fn after_unbind_the_port_is_free_and_peers_stay() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&at).unwrap();
    push.send("before").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "before");
    pull.unbind(&at).unwrap();
    assert!(pull.unbind(&at).is_err());
    push.send("after").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "after");
    let other = Sub::new();
    other.bind(&at).unwrap();
}
