//! A peer that says ERROR refuses us for good (RFC 37, "Error Handling").

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use chaski_zmq::{HandshakeFailure, Kind, Lost, Monitor, Push, What};

use crate::peer::{PATIENCE, Raw, await_event, monitored};

const ERROR: &[u8] = b"\x04\x11\x05ERROR\x0aNot-Today\x1b";

fn refused(what: &What) -> bool {
    matches!(what, What::Disconnected(Lost::Refused(why)) if why.as_str() == "Not-Today?")
}

/// A PUSH that dials, its monitor, and who it dials.
fn dialling() -> (Push, Monitor, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Push::new();
    let monitor = push.monitor();
    push.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    (push, monitor, listener)
}

/// It has given up, and does not connect again.
fn has_given_up(push: &Push, monitor: &Monitor, listener: &TcpListener, why: &str) {
    await_event(monitor, |what| matches!(what, What::ConnectStopped(said) if said.contains(why)));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let start = std::time::Instant::now();
    while !push.peers().is_empty() {
        assert!(start.elapsed() < PATIENCE, "it is still known: {:?}", push.peers());
        std::thread::yield_now();
    }
}

#[test]
fn an_error_from_who_connected_ends_the_connection_behind_what_was_sent() {
    let (pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    raw.stream.write_all(b"\x00\x06before").unwrap();
    raw.stream.write_all(ERROR).unwrap();
    raw.stream.write_all(b"\x00\x06behind").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "before");
    assert!(pull.try_recv().is_err());
    await_event(&monitor, refused);
    assert_eq!(raw.stream.read(&mut [0]).unwrap_or(0), 0);
    assert!(pull.try_recv().is_err());
}

#[test]
fn who_dialled_does_not_connect_again_after_an_error() {
    let (push, monitor, listener) = dialling();
    let mut raw = Raw::accept(&listener);
    raw.meet("PULL");
    raw.stream.write_all(ERROR).unwrap();
    await_event(&monitor, refused);
    has_given_up(&push, &monitor, &listener, "Not-Today?");
}

#[test]
fn nor_after_an_error_in_the_handshake() {
    let (push, monitor, listener) = dialling();
    let mut raw = Raw::accept(&listener);
    raw.stream.write_all(&Raw::handshake("PULL")[..64]).unwrap();
    raw.stream.write_all(b"\x04\x1a\x05ERROR\x13Invalid-Socket-Type").unwrap();
    let refused = |what: &What| {
        matches!(what, What::HandshakeFailed(HandshakeFailure::Refused(why))
            if why == "Invalid-Socket-Type")
    };
    await_event(&monitor, refused);
    has_given_up(&push, &monitor, &listener, "Invalid-Socket-Type");
}
