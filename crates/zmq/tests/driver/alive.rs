//! Heartbeats, and peers whose user does not receive.

use std::io::Write;
use std::time::Duration;

use chaski_zmq::{Kind, Lost, Pull, Push, Socket, What};

use crate::peer::{PATIENCE, Raw, await_event, monitored};

#[test]
fn a_ping_is_answered_though_nobody_receives() {
    let (_pull, _monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    for n in 0..5 {
        raw.stream.write_all(&[4, 8, 4, b'P', b'I', b'N', b'G', 0, 0, n]).unwrap();
        assert_eq!(raw.frame(), (4, vec![4, b'P', b'O', b'N', b'G', n]));
    }
}

#[test]
fn a_ping_is_answered_by_who_only_sends() {
    let (_push, _monitor, at) = monitored(Kind::Push);
    let mut raw = Raw::connect(&at);
    raw.meet("PULL");
    raw.stream.write_all(b"\x04\x07\x04PING\0\0").unwrap();
    assert_eq!(raw.frame(), (4, b"\x04PONG".to_vec()));
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let pull = Pull::builder()
        .heartbeat_ivl(Duration::from_millis(20))
        .heartbeat_ttl(Duration::from_millis(300))
        .build()
        .unwrap();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    assert_eq!(raw.frame(), (4, b"\x04PING\0\x03".to_vec()));
    await_event(&monitor, |what| *what == What::Disconnected(Lost::Silent));
}

#[test]
fn a_peer_that_answers_stays() {
    let pull = Pull::builder()
        .heartbeat_ivl(Duration::from_millis(20))
        .heartbeat_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    for _ in 0..5 {
        assert_eq!(raw.frame(), (4, b"\x04PING\0\0".to_vec()));
        raw.stream.write_all(b"\x04\x05\x04PONG").unwrap();
    }
    raw.stream.write_all(b"\x00\x05alive").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "alive");
}

#[test]
fn two_sockets_with_heartbeats_stay_together() {
    let make = |kind| {
        // Both are patient: on a busy machine an answer may be late.
        let builder = Socket::builder(kind).heartbeat_ivl(Duration::from_millis(100));
        builder.heartbeat_timeout(PATIENCE).heartbeat_ttl(PATIENCE).build().unwrap()
    };
    let (router, dealer) = (make(Kind::Router), make(Kind::Dealer));
    let lost = router.monitor();
    let at = router.bind("tcp://127.0.0.1:*").unwrap();
    dealer.connect(&at).unwrap();
    dealer.send("one").unwrap();
    assert_eq!(router.recv_timeout(PATIENCE).unwrap()[1], "one");
    // For some heartbeats nobody calls either of them.
    std::thread::sleep(Duration::from_millis(600));
    dealer.send("two").unwrap();
    assert_eq!(router.recv_timeout(PATIENCE).unwrap()[1], "two");
    let lost = std::iter::from_fn(|| lost.try_recv())
        .any(|event| matches!(event.what, What::Disconnected(_)));
    assert!(!lost);
}

#[test]
fn a_peer_is_believed_alive_for_as_long_as_it_said() {
    let (_pull, monitor, at) = monitored(Kind::Pull);
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    // For a tenth of a second.
    raw.stream.write_all(b"\x04\x07\x04PING\0\x01").unwrap();
    await_event(&monitor, |what| *what == What::Disconnected(Lost::Silent));
}

#[test]
fn a_hang_up_is_noticed_though_nobody_receives() {
    for kind in [Kind::Pull, Kind::Push] {
        let (_socket, monitor, at) = monitored(kind);
        let mut raw = Raw::connect(&at);
        raw.meet(if kind == Kind::Pull { "PUSH" } else { "PULL" });
        drop(raw);
        await_event(&monitor, |what| *what == What::Disconnected(Lost::Hangup));
    }
}

#[test]
fn a_subscription_is_heard_though_a_publisher_never_receives() {
    let (publisher, _monitor, at) = monitored(Kind::Pub);
    let mut raw = Raw::connect(&at);
    raw.meet("SUB");
    raw.stream.write_all(b"\x04\x0b\x09SUBSCRIBEa").unwrap();
    raw.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut got = [0; 4];
    // It is heard soon, not before the next send.
    for _ in 0..20_000 {
        publisher.send("ab").unwrap();
        if std::io::Read::read(&mut raw.stream, &mut got).is_ok_and(|count| count > 0) {
            assert_eq!(&got, b"\x00\x02ab");
            return;
        }
    }
    panic!("the subscription was never heard");
}

#[test]
fn what_is_stuck_goes_on_when_the_peer_reads() {
    let push = Push::builder().sndhwm(0).sndbuf(16 * 1024).build().unwrap();
    let at = push.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.meet("PULL");
    let body = vec![7; 200];
    // More than the kernel takes, and then nobody calls.
    for _ in 0..50_000 {
        push.send(&body[..]).unwrap();
    }
    for _ in 0..50_000 {
        assert_eq!(raw.frame(), (0, body.clone()));
    }
}
