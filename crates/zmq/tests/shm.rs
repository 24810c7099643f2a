//! Sockets that reach each other through shared memory, in this process and in one that dies.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use chaski_zmq::{
    Dealer, Message, Pair, Pub, Pull, Push, ReconnectStop, Rep, Req, Router, Sub, What, Xpub,
};
use chaski_zmtp::Metadata;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Long enough for what is not to happen to happen.
const MOMENT: Duration = Duration::from_millis(20);

/// Tells a child where its peer is.
const ENDPOINT: &str = "CHASKI_TEST_ENDPOINT";

/// An endpoint that nobody else uses.
fn endpoint() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("shm://zmq-test-{}-{next}", std::process::id())
}

#[test]
fn a_request_and_its_reply() {
    let at = endpoint();
    let rep = Rep::new();
    assert_eq!(rep.bind(&*at).unwrap().as_str(), at);
    let serving = thread::spawn(move || {
        for _ in 0..100 {
            let request = rep.recv_timeout(LONG).unwrap();
            rep.send(request).unwrap();
        }
        rep
    });
    let req = Req::new();
    req.connect(&*at).unwrap();
    for n in 0..100_u32 {
        req.send(&n.to_le_bytes()).unwrap();
        assert_eq!(req.recv_timeout(LONG).unwrap(), Message::from(&n.to_le_bytes()));
    }
    drop(serving.join().unwrap());
}

#[test]
fn who_connects_first_waits_and_loses_nothing() {
    let at = endpoint();
    let push = Push::new();
    push.connect(&*at).unwrap();
    for n in 0..10_u32 {
        push.send(&n.to_le_bytes()).unwrap();
    }
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    for n in 0..10_u32 {
        assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from(&n.to_le_bytes()));
    }
}

#[test]
fn messages_of_all_sizes_come_whole_and_in_order() {
    let at = endpoint();
    let push = Push::builder().sndhwm(8).build().unwrap();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    push.connect(&*at).unwrap();
    let sizes = [0, 1, 38, 39, 300, 5000, 70_000, 300_000, 4 << 20, (4 << 20) + 1, 11 << 20, 7];
    let sending = thread::spawn(move || {
        for turn in 0..3_u8 {
            for size in sizes {
                push.send(vec![turn; size]).unwrap();
                push.send(Message::from_iter([vec![turn; size], vec![], vec![7; 3]])).unwrap();
            }
        }
        push
    });
    for turn in 0..3_u8 {
        for size in sizes {
            let single = pull.recv_timeout(LONG).unwrap();
            assert!(single.len() == 1 && single[0] == vec![turn; size], "{size} bytes");
            let several = pull.recv_timeout(LONG).unwrap();
            assert_eq!(several.len(), 3);
            assert!(several[0] == vec![turn; size] && several[1].is_empty(), "{size} bytes");
            assert_eq!(several[2].as_slice(), [7; 3]);
        }
    }
    drop(sending.join().unwrap());
}

#[test]
fn no_more_wait_than_the_high_water_mark_says() {
    let at = endpoint();
    let push = Push::builder().sndhwm(10).build().unwrap();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    push.connect(&*at).unwrap();
    push.send("first").unwrap();
    pull.recv_timeout(LONG).unwrap();
    let mut sent = 0;
    while push.send_timeout("more", MOMENT).is_ok() {
        sent += 1;
        assert!(sent <= 10, "beyond the mark");
    }
    assert_eq!(sent, 10);
    pull.recv_timeout(LONG).unwrap();
    push.send_timeout("room", LONG).unwrap();
}

#[test]
fn who_waits_for_room_is_woken() {
    let at = endpoint();
    let push = Push::builder().sndhwm(4).build().unwrap();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    push.connect(&*at).unwrap();
    let sending = thread::spawn(move || {
        for n in 0..3000_u32 {
            push.send(&n.to_le_bytes()).unwrap();
        }
        push
    });
    for n in 0..3000_u32 {
        assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from(&n.to_le_bytes()));
        if n % 500 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    drop(sending.join().unwrap());
}

#[test]
fn subscriptions_reach_the_publisher() {
    let at = endpoint();
    let publisher = Pub::new();
    publisher.bind(&*at).unwrap();
    let sub = Sub::new();
    sub.subscribe("a").unwrap();
    sub.connect(&*at).unwrap();
    // Until the subscription is there, nothing is sent to it.
    let first = loop {
        publisher.send("b: not wanted").unwrap();
        publisher.send("a: wanted").unwrap();
        if let Ok(message) = sub.recv_timeout(MOMENT) {
            break message;
        }
    };
    assert_eq!(first, Message::from("a: wanted"));
    while sub.recv_timeout(MOMENT).is_ok() {}
    sub.subscribe("b").unwrap();
    sub.unsubscribe("a").unwrap();
    // What was sent before may still be on its way, here and below.
    loop {
        publisher.send("b: wanted now").unwrap();
        match sub.recv_timeout(MOMENT) {
            Ok(message) if message == Message::from("b: wanted now") => break,
            Ok(message) => assert_eq!(message, Message::from("a: wanted")),
            Err(_) => {}
        }
    }
    publisher.send("a: not any more").unwrap();
    publisher.send("b: last").unwrap();
    let last = loop {
        let message = sub.recv_timeout(LONG).unwrap();
        if message != Message::from("b: wanted now") {
            break message;
        }
    };
    assert_eq!(last, Message::from("b: last"));
}

#[test]
fn a_publisher_hears_of_subscribers_that_come_and_go() {
    let at = endpoint();
    let xpub = Xpub::new();
    xpub.bind(&*at).unwrap();
    let sub = Sub::new();
    sub.subscribe("topic").unwrap();
    sub.connect(&*at).unwrap();
    assert_eq!(xpub.recv_timeout(LONG).unwrap(), Message::from(b"\x01topic"));
    drop(sub);
    assert_eq!(xpub.recv_timeout(LONG).unwrap(), Message::from(b"\x00topic"));
}

#[test]
fn routers_know_dealers_by_their_identities() {
    let at = endpoint();
    let router = Router::new();
    router.bind(&*at).unwrap();
    let dealers: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            let dealer = Dealer::builder().routing_id(name).build().unwrap();
            dealer.connect(&*at).unwrap();
            dealer.send(Message::from_iter(["", name])).unwrap();
            (name, dealer)
        })
        .into();
    for _ in &dealers {
        let request = router.recv_timeout(LONG).unwrap();
        assert_eq!(request[0], request[2]);
        router.send(request).unwrap();
    }
    for (name, dealer) in &dealers {
        assert_eq!(dealer.recv_timeout(LONG).unwrap(), Message::from_iter(["", name]));
    }
}

#[test]
fn kinds_that_do_not_talk_do_not_meet() {
    let at = endpoint();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    let rep = Rep::new();
    rep.connect(&*at).unwrap();
    let push = Push::new();
    push.connect(&*at).unwrap();
    push.send("of the right kind").unwrap();
    assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from("of the right kind"));
    assert!(rep.recv_timeout(MOMENT).is_err());
}

#[test]
fn a_name_is_free_after_unbind_and_peers_stay() {
    let at = endpoint();
    let (one, two) = (Pair::new(), Pair::new());
    one.bind(&*at).unwrap();
    assert!(two.bind(&*at).is_err(), "it is in use");
    two.connect(&*at).unwrap();
    two.send("hello").unwrap();
    one.recv_timeout(LONG).unwrap();
    one.unbind(&*at).unwrap();
    assert!(one.unbind(&*at).is_err());
    one.send("still there").unwrap();
    assert_eq!(two.recv_timeout(LONG).unwrap(), Message::from("still there"));
    let other = Pair::new();
    other.bind(&*at).unwrap();
    two.disconnect(&*at).unwrap();
    assert!(two.disconnect(&*at).is_err());
}

#[test]
fn what_waits_is_sent_after_close() {
    let at = endpoint();
    let push = Push::new();
    push.connect(&*at).unwrap();
    for n in 0..100_u32 {
        push.send(vec![n as u8; 20_000]).unwrap();
    }
    let receiving = thread::spawn({
        let at = at.clone();
        move || {
            thread::sleep(MOMENT);
            let pull = Pull::new();
            pull.bind(&*at).unwrap();
            for n in 0..100_u32 {
                assert!(pull.recv_timeout(LONG).unwrap()[0] == vec![n as u8; 20_000]);
            }
        }
    });
    push.close(LONG);
    receiving.join().unwrap();
}

#[test]
fn many_threads_send_into_one_socket() {
    const EACH: usize = 5000;
    let at = endpoint();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    let push = Arc::new(Push::new());
    push.connect(&*at).unwrap();
    let sending: Vec<_> = (0..4_u8)
        .map(|n| {
            let push = Arc::clone(&push);
            thread::spawn(move || {
                for _ in 0..EACH {
                    push.send(&[n; 60]).unwrap();
                }
            })
        })
        .collect();
    let mut counts = [0; 4];
    for _ in 0..4 * EACH {
        counts[usize::from(pull.recv_timeout(LONG).unwrap()[0][0])] += 1;
    }
    assert_eq!(counts, [EACH; 4]);
    sending.into_iter().for_each(|thread| thread.join().unwrap());
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_talk_too() {
    let at = endpoint();
    let rep = Rep::new();
    rep.bind(&*at).unwrap();
    let serving = tokio::spawn(async move {
        for _ in 0..200 {
            let request = rep.recv_async().await.unwrap();
            rep.send_async(request).await.unwrap();
        }
        rep
    });
    let req = Req::new();
    req.connect(&*at).unwrap();
    for n in 0..200_u32 {
        req.send_async(&n.to_le_bytes()).await.unwrap();
        assert_eq!(req.recv_async().await.unwrap(), Message::from(&n.to_le_bytes()));
    }
    drop(serving.await.unwrap());
}

#[test]
fn mechanisms_are_refused_and_not_left_out() {
    let at = endpoint();
    let server = Rep::builder().plain_server(true).build().unwrap();
    let refused = server.bind(&*at).unwrap_err().to_string();
    assert!(refused.contains("mechanism"), "{refused}");
    let client = Req::builder().plain_username("me").build().unwrap();
    let refused = client.connect(&*at).unwrap_err().to_string();
    assert!(refused.contains("mechanism"), "{refused}");
    let bad = Rep::new().bind("shm://not a name").unwrap_err().to_string();
    assert!(bad.contains("name"), "{bad}");
}

/// A peer that is no socket of this crate says something else than one would.
#[test]
fn who_does_not_keep_the_protocol_is_cut_off_and_others_are_served() {
    let at = endpoint();
    let pull = Pull::builder().maxmsgsize(1000).build().unwrap();
    pull.bind(&*at).unwrap();
    let push = Push::new();
    push.connect(&*at).unwrap();
    let mut metadata = Metadata::new();
    metadata.push("Socket-Type", "PUSH").unwrap();
    let mut hello = vec![1];
    metadata.encode(&mut hello);
    let long = &[7; 900][..];
    let strangers: [&[(u8, &[u8])]; 12] = [
        &[(0, b"a message before the first record")],
        &[(3, b"")],
        &[(3, b"\x01")],
        &[(3, b"\x02other version")],
        &[(3, b"\x01\x0bSocket-Type\x00\x00\x00\x03PUB")],
        &[(3, b"\x01\x0bSocket-Type\xff\xff\xff\xffPUSH")],
        &[(3, &hello), (9, b"no such record")],
        &[(3, &hello), (1, b"")],
        &[(3, &hello), (1, &[255; 40])],
        &[(3, &hello), (2, b"")],
        &[(3, &hello), (0, &[1; 1001])],
        &[(3, &hello), (4, long), (4, long), (0, long)],
    ];
    for (n, records) in strangers.iter().enumerate() {
        let builder = chaski_shm::pipe::Pipe::builder().connect_within(LONG);
        let pipe = builder.connect(&at["shm://".len()..]).unwrap();
        let (mut sender, mut receiver) = pipe.split();
        for (tag, payload) in *records {
            // It may have been cut off already.
            let _ = sender.try_stage(*tag, &[payload]);
        }
        sender.publish();
        push.send("an honest message").unwrap();
        assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from("an honest message"));
        let (mut into, bell) = (Vec::new(), receiver.bell());
        while !bell.is_closed() {
            // What is found when somebody looks is found by the next receive.
            let _ = pull.try_recv();
            thread::yield_now();
        }
        while receiver.try_recv(&mut into).is_ok() {}
        assert!(bell.is_closed(), "stranger {n}");
    }
}

/// The other side is a process that is killed, and the next: its messages come, its end is noticed,
/// and who connected finds the next.
#[test]
fn a_peer_that_is_killed_is_succeeded_by_the_next() {
    let at = endpoint();
    let dealer = Dealer::new();
    dealer.connect(&*at).unwrap();
    for turn in 0..4_u32 {
        let mut child = start("echoing_child", &at);
        for n in 0..20_u32 {
            let body = (turn << 8 | n).to_le_bytes();
            // What was in the hands of the one that died is lost.
            loop {
                dealer.send_timeout(&body, LONG).unwrap();
                match dealer.recv_timeout(Duration::from_millis(300)) {
                    Ok(message) if message == Message::from(&body) => break,
                    _ => {}
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Who is bound goes on with the others when one is killed.
#[test]
fn peers_that_are_killed_leave_the_others_alone() {
    let at = endpoint();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    let lives = Push::new();
    lives.connect(&*at).unwrap();
    for _ in 0..4 {
        let mut child = start("pushing_child", &at);
        let mut of_child = 0;
        while of_child < 100 {
            of_child += u32::from(pull.recv_timeout(LONG).unwrap() == Message::from("child"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lives.send("lives").unwrap();
        while pull.recv_timeout(LONG).unwrap() != Message::from("lives") {}
    }
}

fn start(test: &str, endpoint: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(ENDPOINT, endpoint)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a part of another test"]
fn echoing_child() {
    let router = Router::new();
    router.bind(&*std::env::var(ENDPOINT).expect("started by another test")).unwrap();
    loop {
        let message = router.recv().unwrap();
        router.send(message).unwrap();
    }
}

#[test]
#[ignore = "a part of another test"]
fn pushing_child() {
    let push = Push::new();
    push.connect(&*std::env::var(ENDPOINT).expect("started by another test")).unwrap();
    loop {
        push.send("child").unwrap();
    }
}

/// Waits until no more attempts are made.
fn await_the_end(monitor: &chaski_zmq::Monitor) {
    let events = std::iter::from_fn(|| monitor.recv_timeout(LONG));
    let stopped = |what: &What| matches!(what, What::ConnectStopped(_));
    assert!(events.map(|event| event.what).any(|what| stopped(&what)));
}

#[test]
fn nobody_there_can_be_the_end() {
    let stop = ReconnectStop { conn_refused: true, ..ReconnectStop::default() };
    let push = Push::builder().reconnect_stop(stop).build().unwrap();
    let monitor = push.monitor();
    push.connect(&*endpoint()).unwrap();
    await_the_end(&monitor);
}

#[test]
fn a_connection_that_is_lost_can_be_the_last() {
    let at = endpoint();
    let stop = ReconnectStop { after_disconnect: true, ..ReconnectStop::default() };
    let push = Push::builder().reconnect_stop(stop).build().unwrap();
    let monitor = push.monitor();
    let pull = Pull::new();
    pull.bind(&*at).unwrap();
    push.connect(&*at).unwrap();
    push.send("once").unwrap();
    assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from("once"));
    drop(pull);
    await_the_end(&monitor);
}
