//! Proxies: what passes, what is counted, and who steers.

use std::thread;
use std::time::Duration;

use chaski_zmq::{Context, Dealer, Frame, Message, Proxy, ProxyStats, Req, Router};

use crate::{MOMENT, socket, until};

/// A shared queue with a control socket of this kind, and its end.
fn queue(context: &Context, front: Router, back: Dealer) -> (thread::JoinHandle<ProxyStats>, Req) {
    let control = socket!(Rep, context);
    let steering = socket!(Req, context);
    steering.connect(control.bind("inproc://steering").unwrap()).unwrap();
    let running = thread::spawn(move || Proxy::new(&front, &back).control(&control).run().unwrap());
    (running, steering)
}

fn order(steering: &Req, order: &str) -> Message {
    steering.send(order).unwrap();
    steering.recv().unwrap()
}

fn numbers(answer: &Message) -> Vec<u64> {
    let number = |frame: &Frame| u64::from_ne_bytes(frame[..].try_into().unwrap());
    answer.iter().map(number).collect()
}

#[test]
fn requests_and_replies_are_counted_on_their_way() {
    let context = Context::new();
    let (front, back) = (socket!(Router, context), socket!(Dealer, context));
    let clients_at = front.bind("tcp://127.0.0.1:*").unwrap();
    let workers_at = back.bind("inproc://workers").unwrap();
    let (running, steering) = queue(&context, front, back);

    let workers: Vec<_> = (0..2)
        .map(|_| {
            let rep = socket!(Rep, context);
            rep.connect(&workers_at).unwrap();
            thread::spawn(move || {
                loop {
                    let request = rep.recv().unwrap();
                    let last = request[0] == "last";
                    rep.send(request).unwrap();
                    if last {
                        return rep;
                    }
                }
            })
        })
        .collect();
    let req = socket!(Req, context);
    req.connect(&clients_at).unwrap();
    for _ in 0..100 {
        req.send("1234").unwrap();
        assert_eq!(req.recv().unwrap(), Message::from("1234"));
    }
    let answer = numbers(&order(&steering, "STATISTICS"));
    let [received, received_bytes, sent, sent_bytes] = answer[..4] else { panic!("{answer:?}") };
    assert_eq!((received, sent), (100, 100));
    assert_eq!(received_bytes, sent_bytes);
    // An identity and an empty frame go before the request.
    assert!(received_bytes > 400);
    assert_eq!(answer[4..], answer[..4]);

    for _ in 0..2 {
        req.send("last").unwrap();
        req.recv().unwrap();
    }
    for worker in workers {
        drop(worker.join().unwrap());
    }
    assert_eq!(order(&steering, "TERMINATE"), Message::from(""));
    let stats = running.join().unwrap();
    assert_eq!((stats.front.received, stats.back.sent, stats.dropped), (102, 102, 0));
    assert_eq!((stats.back.received, stats.front.sent), (102, 102));
}

#[test]
fn a_paused_proxy_takes_nothing() {
    let context = Context::new();
    let (front, back) = (socket!(Router, context), socket!(Dealer, context));
    let (dealer, rep) = (socket!(Dealer, context), socket!(Rep, context));
    dealer.connect(front.bind("inproc://front").unwrap()).unwrap();
    rep.connect(back.bind("inproc://back").unwrap()).unwrap();
    let (running, steering) = queue(&context, front, back);
    assert_eq!(order(&steering, "PAUSE"), Message::from(""));
    dealer.send(Message::from_iter(["", "later"])).unwrap();
    assert!(rep.recv_timeout(MOMENT).is_err());
    assert_eq!(order(&steering, "WHATEVER"), Message::from(""));
    assert_eq!(numbers(&order(&steering, "STATISTICS")), [0; 8]);
    assert_eq!(order(&steering, "RESUME"), Message::from(""));
    assert_eq!(rep.recv().unwrap(), Message::from("later"));
    order(&steering, "TERMINATE");
    assert_eq!(running.join().unwrap().front.received, 1);
}

#[test]
fn everything_that_passes_is_captured() {
    let context = Context::new();
    let (front, back) = (socket!(Pull, context), socket!(Push, context));
    let (capture, control) = (socket!(Push, context, sndhwm = 2), socket!(Pull, context));
    let (source, sink) = (socket!(Push, context), socket!(Pull, context));
    let (copies, steering) = (socket!(Pull, context, rcvhwm = 2), socket!(Push, context));
    source.connect(front.bind("inproc://source").unwrap()).unwrap();
    sink.connect(back.bind("inproc://sink").unwrap()).unwrap();
    copies.connect(capture.bind("inproc://copies").unwrap()).unwrap();
    steering.connect(control.bind("inproc://control").unwrap()).unwrap();
    let running = thread::spawn(move || {
        Proxy::new(&front, &back).capture(&capture).control(&control).run().unwrap()
    });
    for n in 0..100 {
        source.send(Message::from_iter(["n".to_owned(), n.to_string()])).unwrap();
    }
    // The capture socket has room for four, and holds the rest up without losing any.
    for n in 0..100 {
        let expected = Message::from_iter(["n".to_owned(), n.to_string()]);
        assert_eq!(copies.recv().unwrap(), expected);
        assert_eq!(sink.recv().unwrap(), expected);
    }
    steering.send("TERMINATE").unwrap();
    let stats = running.join().unwrap();
    assert_eq!((stats.front.received, stats.back.sent), (100, 100));
    assert_eq!((stats.back.received, stats.front.sent), (0, 0));
}

/// The back has no room; the front's other direction goes on.
#[test]
fn a_full_side_does_not_hold_up_the_other_direction() {
    let context = Context::new();
    let front = socket!(Pair, context);
    let back = socket!(Pair, context, sndhwm = 1);
    let (near, far) = (socket!(Pair, context), socket!(Pair, context, rcvhwm = 1));
    near.connect(front.bind("inproc://near").unwrap()).unwrap();
    far.connect(back.bind("inproc://far").unwrap()).unwrap();
    let (control, steering) = (socket!(Pair, context), socket!(Pair, context));
    steering.connect(control.bind("inproc://control").unwrap()).unwrap();
    let running = thread::spawn(move || Proxy::new(&front, &back).control(&control).run().unwrap());
    for n in 0..50 {
        near.send(n.to_string()).unwrap();
    }
    for n in 0..50 {
        far.send(n.to_string()).unwrap();
        assert_eq!(near.recv().unwrap(), Message::from(n.to_string()));
    }
    for n in 0..50 {
        assert_eq!(far.recv().unwrap(), Message::from(n.to_string()));
    }
    steering.send("TERMINATE").unwrap();
    assert_eq!(running.join().unwrap().back.sent, 50);
}

#[test]
fn subscriptions_pass_from_back_to_front() {
    let context = Context::new();
    let (front, back) = (socket!(Xsub, context), socket!(Xpub, context));
    let (publisher, sub) = (socket!(Pub, context), socket!(Sub, context));
    publisher.connect(front.bind("inproc://publishers").unwrap()).unwrap();
    sub.connect(back.bind("inproc://subscribers").unwrap()).unwrap();
    let (control, steering) = (socket!(Pair, context), socket!(Pair, context));
    steering.connect(control.bind("inproc://control").unwrap()).unwrap();
    let running = thread::spawn(move || Proxy::new(&front, &back).control(&control).run().unwrap());
    sub.subscribe("a").unwrap();
    until("the subscription has passed", || {
        publisher.send("b, which nobody wants").unwrap();
        publisher.send("a").unwrap();
        sub.recv_timeout(Duration::from_millis(1)).is_ok_and(|message| message[0] == "a")
    });
    steering.send("TERMINATE").unwrap();
    assert_eq!(running.join().unwrap().back.received, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_runs_as_a_task() {
    let context = Context::new();
    let (front, back) = (socket!(Pull, context), socket!(Push, context));
    let (source, sink) = (socket!(Push, context), socket!(Pull, context));
    let (control, steering) = (socket!(Pull, context), socket!(Push, context));
    source.connect(front.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    sink.connect(back.bind("inproc://sink").unwrap()).unwrap();
    steering.connect(control.bind("inproc://control").unwrap()).unwrap();
    let running = tokio::spawn(async move {
        Proxy::new(&front, &back).control(&control).run_async().await.unwrap()
    });
    for n in 0..1000 {
        source.send_async(n.to_string()).await.unwrap();
    }
    for n in 0..1000 {
        assert_eq!(sink.recv_async().await.unwrap(), Message::from(n.to_string()));
    }
    steering.send_async("TERMINATE").await.unwrap();
    assert_eq!(running.await.unwrap().front.received, 1000);
}

#[test]
fn a_socket_that_is_closed_ends_the_proxy() {
    let context = Context::new();
    let (front, back) = (socket!(Pull, context), socket!(Push, context));
    thread::scope(|scope| {
        let running = scope.spawn(|| chaski_zmq::proxy(&front, &back, None));
        thread::sleep(MOMENT);
        front.close(Duration::ZERO);
        assert!(running.join().unwrap().is_err());
    });
}
