//! Closing: lingering, and what peers see of it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use chaski_zmq::{Dealer, Kind, Pull, Push, What};

use crate::peer::{PATIENCE, Raw, await_event, monitored};

#[test]
fn close_sends_what_waits() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Push::new();
    push.connect(&at).unwrap();
    for n in 0..500 {
        push.send(format!("{n}")).unwrap();
    }
    push.close(None);
    for n in 0..500 {
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], format!("{n}"));
    }
}

#[test]
fn a_dropped_socket_goes_on_sending() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Push::new();
    push.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    push.send("left behind").unwrap();
    drop(push);
    let mut raw = Raw::accept(&listener);
    raw.meet("PULL");
    assert_eq!(raw.frame(), (0, b"left behind".to_vec()));
    assert_eq!(raw.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn close_is_bounded_where_nobody_takes_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Push::new();
    push.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    push.send("never").unwrap();
    // Nobody shakes hands. This returns.
    push.close(Duration::from_millis(20));
    assert!(push.send("closed").is_err());
}

#[test]
fn a_closed_socket_lets_its_port_and_its_monitor_go() {
    let (pull, monitor, at) = monitored(Kind::Pull);
    pull.close(Duration::ZERO);
    await_event(&monitor, |what| *what == What::Closed);
    while monitor.recv().is_some() {}
    let next = Pull::new();
    next.bind(&at).unwrap();
}

#[test]
fn unread_input_does_not_destroy_what_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dealer = Dealer::new();
    dealer.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    let mut raw = Raw::accept(&listener);
    raw.meet("DEALER");
    let body = vec![1; 100];
    for _ in 0..100 {
        dealer.send(&body[..]).unwrap();
    }
    // The dealer never receives this. Closing then would reset the connection.
    raw.stream.write_all(b"\x00\x06unread").unwrap();
    dealer.close(None);
    raw.stream.write_all(b"\x00\x06unread").unwrap();
    for _ in 0..100 {
        assert_eq!(raw.frame(), (0, body.clone()));
    }
}

#[test]
fn a_close_from_elsewhere_ends_a_call_that_waits() {
    let pull = std::sync::Arc::new(Pull::new());
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let waiting = std::sync::Arc::clone(&pull);
    let waits = std::thread::spawn(move || waiting.recv().is_err());
    std::thread::sleep(Duration::from_millis(20));
    pull.close(Duration::ZERO);
    assert!(waits.join().unwrap());
}

/// The test below, in a process whose threads are its own.
#[test]
fn contexts_come_and_go() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "going::child", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn child() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..20 {
        let context = chaski_zmq::Context::new();
        let pull = Pull::builder().context(&context).build().unwrap();
        let at = pull.bind("tcp://127.0.0.1:*").unwrap();
        let push = Push::builder().context(&context).build().unwrap();
        push.connect(&at).unwrap();
        push.send("x").unwrap();
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "x");
    }
    // Their threads end soon after them.
    let start = Instant::now();
    while threads() > before {
        assert!(start.elapsed() < PATIENCE, "{} where there were {before}", threads());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_context_waits_for_sockets_that_were_dropped() {
    let context = chaski_zmq::Context::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Push::builder().context(&context).build().unwrap();
    push.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    push.send("last").unwrap();
    drop(push);
    assert!(!context.wait_closed(Duration::from_millis(1)));
    let mut raw = Raw::accept(&listener);
    raw.meet("PULL");
    assert!(context.wait_closed(None));
    assert_eq!(raw.frame(), (0, b"last".to_vec()));
}

#[test]
fn a_peer_that_hung_up_with_more_than_there_is_room_for_is_read_to_its_end() {
    let pull = Pull::builder().rcvhwm(1).build().unwrap();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.meet("PUSH");
    let mut many = Vec::new();
    for _ in 0..5000 {
        many.extend_from_slice(b"\x00\x40");
        many.extend_from_slice(&[b'x'; 64]);
    }
    raw.stream.write_all(&many).unwrap();
    drop(raw);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..5000 {
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0].len(), 64);
    }
}

#[test]
fn a_peer_that_cannot_be_written_to_is_read_to_its_end() {
    let dealer = Dealer::builder().rcvhwm(1).build().unwrap();
    let at = dealer.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    raw.meet("DEALER");
    let mut many = Vec::new();
    // Less than a window: all of it is here when the connection is reset.
    for _ in 0..900 {
        many.extend_from_slice(b"\x00\x40");
        many.extend_from_slice(&[b'x'; 64]);
    }
    raw.stream.write_all(&many).unwrap();
    drop(raw);
    // The first makes the system reset the connection, a later one finds that it did. Then there
    // is nobody to send to.
    while dealer.send_timeout("to nobody", Duration::from_millis(50)).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..900 {
        assert_eq!(dealer.recv_timeout(PATIENCE).unwrap()[0].len(), 64);
    }
}

#[test]
fn a_peer_that_cannot_be_written_to_holds_up_no_close() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dealer = Dealer::builder().rcvhwm(1).sndhwm(10).build().unwrap();
    let monitor = dealer.monitor();
    dealer.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    let mut raw = Raw::accept(&listener);
    raw.meet("DEALER");
    raw.stream.write_all(&b"\x00\x01x".repeat(5000)).unwrap();
    drop((raw, listener));
    // What is sent to it waits for the next connection, until there is no room.
    while dealer.send_timeout("to nobody", Duration::from_millis(50)).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    dealer.close(Duration::from_millis(20));
    await_event(&monitor, |what| matches!(what, What::Disconnected(_)));
}

#[test]
fn what_was_sent_before_a_disconnect_is_received() {
    let shm = format!("shm://going-{}", std::process::id());
    for at in ["inproc://going", shm.as_str(), "tcp://127.0.0.1:*"] {
        let pull = Pull::new();
        let at = pull.bind(at).unwrap();
        let push = Push::new();
        push.connect(&at).unwrap();
        for n in 0..100 {
            push.send(format!("{n}")).unwrap();
        }
        push.disconnect(&at).unwrap();
        for n in 0..100 {
            assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], format!("{n}"), "{at}");
        }
    }
}

#[test]
fn peers_that_come_and_send_and_go_leave_no_more_than_there_is_room_for() {
    let pull = Pull::builder().rcvhwm(10).build().unwrap();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let visit = || {
        let mut raw = Raw::connect(&at);
        raw.meet("PUSH");
        raw.stream.write_all(&b"\x00\x01x".repeat(5)).unwrap();
    };
    let left = |what: &What| matches!(what, What::Disconnected(_));
    for _ in 0..2 {
        visit();
        await_event(&monitor, left);
    }
    // What these two have left is as much as there is room for.
    (2..40).for_each(|_| visit());
    std::thread::sleep(Duration::from_millis(200));
    assert!(!std::iter::from_fn(|| monitor.try_recv()).any(|event| left(&event.what)));
    for _ in 0..40 * 5 {
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "x");
    }
    for _ in 2..40 {
        await_event(&monitor, left);
    }
}
