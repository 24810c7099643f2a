//! Sockets that talk to each other by wire: what arrives, in which order, and what blocks.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chaski_zmq::{
    Dealer, Message, Misuse, Peer, Pub, Pull, Push, RecvError, Rep, Req, Router, SendFailure, Sub,
    Xpub,
};

const SOON: Duration = Duration::from_secs(20);

/// Endpoints of every transport that is a stream.
fn endpoints() -> [&'static str; 2] {
    ["tcp://127.0.0.1:*", "ipc://*"]
}

#[test]
fn a_request_is_answered() {
    for endpoint in endpoints() {
        let rep = Rep::new();
        let endpoint = rep.bind(endpoint).unwrap();
        let req = Req::new();
        req.connect(&endpoint).unwrap();
        for round in 0..100 {
            req.send(format!("question {round}")).unwrap();
            assert_eq!(rep.recv_timeout(SOON).unwrap(), Message::from(format!("question {round}")));
            rep.send(format!("answer {round}")).unwrap();
            assert_eq!(req.recv_timeout(SOON).unwrap(), Message::from(format!("answer {round}")));
        }
    }
}

#[test]
fn a_request_out_of_turn_is_refused_and_given_back() {
    let req = Req::new();
    req.connect("tcp://127.0.0.1:9").unwrap();
    assert!(matches!(req.try_recv(), Err(RecvError::Misuse(Misuse::OutOfTurn(_)))));
    req.send("one").unwrap();
    let refused = req.send(String::from("two")).unwrap_err();
    assert!(matches!(refused.failure(), SendFailure::Misuse(Misuse::OutOfTurn(_))));
    assert_eq!(refused.into_message(), Some(Message::from("two")));
}

#[test]
fn a_relaxed_request_is_not_answered_by_an_older_reply() {
    let rep = Rep::new();
    let endpoint = rep.bind("tcp://127.0.0.1:*").unwrap();
    let req = Req::builder().req_relaxed(true).build().unwrap();
    req.connect(&endpoint).unwrap();
    for round in 0..50 {
        req.send(format!("first {round}")).unwrap();
        let request = rep.recv_timeout(SOON).unwrap();
        rep.send(request).unwrap();
        // The reply is in the kernel when the next request is sent.
        thread::sleep(Duration::from_millis(2));
        req.send(format!("second {round}")).unwrap();
        let request = rep.recv_timeout(SOON).unwrap();
        rep.send(request).unwrap();
        assert_eq!(req.recv_timeout(SOON).unwrap(), Message::from(format!("second {round}")));
    }
}

#[test]
fn work_arrives_in_order_whatever_its_size() {
    for endpoint in endpoints() {
        let pull = Pull::new();
        let endpoint = pull.bind(endpoint).unwrap();
        let sender = thread::spawn(move || {
            let push = Push::new();
            push.connect(&endpoint).unwrap();
            for size in sizes() {
                push.send(vec![size as u8; size]).unwrap();
                push.send(&vec![size as u8; size][..]).unwrap();
            }
            push.close(None);
        });
        for size in sizes() {
            for _ in 0..2 {
                let message = pull.recv_timeout(SOON).unwrap();
                assert_eq!(message[0].len(), size);
                assert!(message[0].iter().all(|byte| *byte == size as u8));
            }
        }
        sender.join().unwrap();
    }
}

fn sizes() -> impl Iterator<Item = usize> {
    (0..3000).chain([4095, 4096, 5000, 65_535, 65_536, 70_000, 300_000, 3_000_000]).chain(0..300)
}

#[test]
fn a_million_small_messages_arrive_in_order() {
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let sender = thread::spawn(move || {
        let push = Push::new();
        push.connect(&endpoint).unwrap();
        for number in 0..1_000_000_u64 {
            push.send(&number.to_le_bytes()).unwrap();
        }
        push.close(None);
    });
    for number in 0..1_000_000_u64 {
        assert_eq!(pull.recv().unwrap()[0], number.to_le_bytes());
    }
    sender.join().unwrap();
}

#[test]
fn a_router_answers_whom_it_heard() {
    let router = Router::new();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let dealers: Vec<Dealer> = (0..10)
        .map(|number: u8| {
            let dealer = Dealer::builder().routing_id([b'd', number]).build().unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer.send(Message::from_iter(["part".to_owned(), format!("{number}")])).unwrap();
            dealer
        })
        .collect();
    for _ in &dealers {
        let message = router.recv_timeout(SOON).unwrap();
        assert_eq!(message[1], "part");
        router.send(Message::from(message[0].clone()).with(message[2].clone())).unwrap();
    }
    for (number, dealer) in dealers.iter().enumerate() {
        assert_eq!(dealer.recv_timeout(SOON).unwrap(), Message::from(number.to_string()));
    }
}

#[test]
fn a_peer_speaks_first_to_whom_it_connected() {
    for endpoint in endpoints() {
        let (here, there) = (Peer::new(), Peer::new());
        let number = here.connect_peer(there.bind(endpoint).unwrap()).unwrap();
        let mut greeting = Message::from("hello");
        greeting.set_routing_id(number);
        here.send(greeting).unwrap();
        let mut heard = there.recv().unwrap();
        assert_eq!(&heard[0], "hello");
        assert_eq!(there.peers()[0].routing_id, heard.routing_id());
        heard.push("more");
        assert!(there.send(heard.clone()).is_err(), "one frame a message (RFC 51)");
        heard.pop();
        there.send(heard).unwrap();
        assert_eq!(here.recv().unwrap().routing_id(), number);
    }
}

#[test]
fn topics_are_counted() {
    let (publisher, sub) = (Xpub::new(), Sub::new());
    sub.connect(publisher.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    for topic in ["a", "ab", "ab"] {
        sub.subscribe(topic).unwrap();
    }
    assert_eq!(sub.as_socket().topics_count(), 2);
    for _ in 0..2 {
        publisher.recv().unwrap();
    }
    assert_eq!(publisher.as_socket().topics_count(), 2);
}

#[test]
fn a_subscriber_gets_its_topics() {
    for endpoint in endpoints() {
        let publisher = Pub::new();
        let endpoint = publisher.bind(endpoint).unwrap();
        let sub = Sub::new();
        sub.subscribe("a").unwrap();
        sub.connect(&endpoint).unwrap();
        // Whoever subscribes late misses what went before: publish until something arrives.
        let first = loop {
            publisher.send("b: not wanted").unwrap();
            publisher.send("a: wanted").unwrap();
            if let Ok(message) = sub.recv_timeout(Duration::from_millis(10)) {
                break message;
            }
        };
        assert_eq!(first, Message::from("a: wanted"));
        publisher.send("aa: last").unwrap();
        loop {
            let message = sub.recv_timeout(SOON).unwrap();
            assert!(message[0].starts_with(b"a"));
            if message[0] == *b"aa: last" {
                break;
            }
        }
    }
}

#[test]
fn whoever_connects_first_is_served_when_somebody_binds() {
    let pull = Pull::new();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    drop(pull);
    let push = Push::builder().reconnect_ivl(Duration::from_millis(10)).build().unwrap();
    push.connect(&endpoint).unwrap();
    push.send("early").unwrap();
    let pull = Pull::new();
    // The port is free once the closed socket is gone.
    while pull.bind(&endpoint).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(pull.recv_timeout(SOON).unwrap(), Message::from("early"));
}

#[test]
fn a_queue_takes_as_many_messages_as_it_may() {
    let push = Push::builder().sndhwm(7).build().unwrap();
    push.connect("tcp://127.0.0.1:9").unwrap();
    for _ in 0..7 {
        push.try_send("x").unwrap();
    }
    assert!(push.try_send("x").unwrap_err().is_full());
    let late = push.send_timeout("x", Duration::from_millis(20)).unwrap_err();
    assert_eq!(*late.failure(), SendFailure::Timeout);
    assert_eq!(push.peers()[0].queued, 7);
}

#[test]
fn threads_share_a_socket() {
    let pull = Arc::new(Pull::new());
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = Arc::new(Push::builder().sndhwm(10).build().unwrap());
    push.connect(&endpoint).unwrap();
    const EACH: u64 = 20_000;
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let push = Arc::clone(&push);
            thread::spawn(move || (1..=EACH).for_each(|n| push.send(&n.to_le_bytes()).unwrap()))
        })
        .collect();
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let pull = Arc::clone(&pull);
            thread::spawn(move || {
                let message =
                    || u64::from_le_bytes(pull.recv().unwrap()[0][..].try_into().unwrap());
                (0..EACH).map(|_| message()).sum::<u64>()
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let sum: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(sum, 4 * EACH * (EACH + 1) / 2);
}

#[test]
fn closing_ends_calls_that_wait() {
    let pull = Arc::new(Pull::new());
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pull = Arc::clone(&pull);
            thread::spawn(move || pull.recv())
        })
        .collect();
    thread::sleep(Duration::from_millis(30));
    pull.close(Duration::ZERO);
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Err(RecvError::Closed));
    }
    assert_eq!(pull.recv(), Err(RecvError::Closed));
}
