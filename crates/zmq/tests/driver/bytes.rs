//! Sockets against peers that are nothing but a TCP stream and some bytes: such as keep the
//! protocol, speak an old one, speak none, or do not speak at all.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::peer::{PATIENCE, Raw, await_event, monitored};
use chaski_zmq::{Breach, DecodeError, HandshakeFailure, Kind, Lost, Pull, Push, What};

#[test]
fn messages_cross_tcp() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&at).unwrap();
    for n in 0..1000 {
        push.send(format!("message {n}")).unwrap();
    }
    for n in 0..1000 {
        assert_eq!(pull.recv().unwrap()[0], format!("message {n}"));
    }
}

#[test]
fn a_peer_of_three_bytes_at_a_time_is_understood() {
    let (pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    for part in Raw::handshake("PUSH").chunks(3) {
        raw.stream.write_all(part).unwrap();
    }
    assert_eq!(await_event(&monitor, |what| *what == What::HandshakeSucceeded), 0);
    raw.stream.write_all(b"\x00\x05hello").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "hello");
}

#[test]
fn traffic_that_comes_with_the_handshake_is_not_lost() {
    let (pull, _monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    let mut bytes = Raw::handshake("PUSH");
    bytes.extend_from_slice(b"\x01\x01a\x00\x01b\x00\x01c");
    raw.stream.write_all(&bytes).unwrap();
    let first = pull.recv_timeout(PATIENCE).unwrap();
    assert_eq!((first.len(), &first[0][..], &first[1][..]), (2, &b"a"[..], &b"b"[..]));
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "c");
}

#[test]
fn a_peer_of_zmtp_2_is_understood() {
    let (pull, _monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    // Signature, revision 1, socket type PUSH (8), an empty identity, a message.
    raw.stream.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\x00\x00\x00\x03old").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "old");
}

#[test]
fn a_peer_of_the_wrong_kind_is_told_and_refused() {
    let (_pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    raw.stream.write_all(&Raw::handshake("SUB")).unwrap();
    let refused = |what: &What| {
        matches!(what, What::HandshakeFailed(HandshakeFailure::Protocol(why))
            if why.contains("SUB"))
    };
    await_event(&monitor, refused);
    let mut said = Vec::new();
    let _ = raw.stream.read_to_end(&mut said);
    let error = b"\x05ERROR\x13Invalid-Socket-Type";
    assert!(said.windows(error.len()).any(|part| part == error));
}

#[test]
fn noise_is_refused_and_others_are_served() {
    let (pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    let _ = raw.stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
    let refused =
        |what: &What| matches!(what, What::HandshakeFailed(HandshakeFailure::Protocol(_)));
    await_event(&monitor, refused);
    let push = Push::new();
    push.connect(&at).unwrap();
    push.send("still here").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "still here");
}

#[test]
fn a_bad_frame_ends_the_connection_and_nothing_else() {
    let (pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    raw.stream.write_all(&Raw::handshake("PUSH")).unwrap();
    raw.stream.write_all(b"\x00\x02ok\xff\xff").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "ok");
    assert!(pull.recv_timeout(Duration::from_millis(50)).is_err());
    let broke = What::Disconnected(Lost::Protocol(Breach::Decode(DecodeError::Flags(0xff))));
    await_event(&monitor, |what| *what == broke);
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let pull = Pull::builder().handshake_ivl(Duration::from_millis(50)).build().unwrap();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.stream.write_all(&Raw::handshake("PUSH")[..20]).unwrap();
    let late = |what: &What| {
        matches!(what, What::HandshakeFailed(HandshakeFailure::NoDetail(why))
            if why.contains("handshake_ivl"))
    };
    await_event(&monitor, late);
    // The greeting that we sent, and then the end.
    let mut said = Vec::new();
    let _ = raw.stream.read_to_end(&mut said);
    assert!(!said.is_empty());
}

#[test]
fn of_too_many_handshakes_the_oldest_is_dropped() {
    let pull = Pull::builder().handshakes_max(8).build().unwrap();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut silent: Vec<Raw> = (0..9).map(|_| Raw::connect(&at)).collect();
    let dropped = |what: &What| {
        matches!(what, What::HandshakeFailed(HandshakeFailure::NoDetail(why))
            if why.contains("oldest"))
    };
    await_event(&monitor, dropped);
    let mut said = Vec::new();
    let _ = silent[0].stream.read_to_end(&mut said);
    let mut last = silent.pop().unwrap();
    last.stream.write_all(&Raw::handshake("PUSH")).unwrap();
    last.stream.write_all(b"\x00\x02me").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "me");
}

#[test]
fn a_thousand_that_never_speak_leave_others_served() {
    // Both ends of each are in this process, beside what other tests have open.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let thousand = limit.maximum.map_or(1000, |most| (most / 4).min(1000));
    let (pull, _monitor, at) = monitored(Kind::Pull);
    let silent: Vec<Raw> = (0..thousand).map(|_| Raw::connect(&at)).collect();
    let push = Push::new();
    push.connect(&at).unwrap();
    push.send("served").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "served");
    drop(silent);
}
