//! Waiting for several: what is ready, what is not, and what becomes so in the meantime.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use chaski_zmq::{Context, Message, PollError, PollItem, Readiness, Socket, poll, poll_async};

use crate::{LONG, MOMENT, socket};

fn is_ready(socket: &impl AsRef<Socket>, for_what: Readiness) -> bool {
    let mut items = [PollItem::socket(socket, for_what)];
    poll(&mut items, Duration::ZERO).unwrap() == 1
}

#[test]
fn nothing_is_ready_without_a_reason() {
    let context = Context::new();
    let (pull, push) = (socket!(Pull, context), socket!(Push, context));
    pull.bind("inproc://quiet").unwrap();
    let both = Readiness::IN | Readiness::OUT;
    assert!(!is_ready(&pull, both), "a PULL never sends");
    assert!(!is_ready(&push, both), "nobody is there to take anything");
    push.connect("inproc://quiet").unwrap();
    assert!(is_ready(&push, both) && !is_ready(&pull, both));
    assert_eq!(poll(&mut [], Duration::ZERO).unwrap(), 0);
    assert_eq!(poll(&mut [PollItem::readable(&pull)], MOMENT).unwrap(), 0);
    assert!(!is_ready(&push, Readiness::NONE));
}

#[test]
fn what_is_ready_stays_so_and_in_order() {
    let context = Context::new();
    for endpoint in ["inproc://level", "tcp://127.0.0.1:*"] {
        let (pull, push) = (socket!(Pull, context), socket!(Push, context));
        push.connect(pull.bind(endpoint).unwrap()).unwrap();
        for n in 0..10 {
            push.send(n.to_string()).unwrap();
        }
        for n in 0..10 {
            for _ in 0..3 {
                let mut items = [PollItem::readable(&pull)];
                assert_eq!(poll(&mut items, LONG).unwrap(), 1);
                assert_eq!(items[0].found(), Readiness::IN);
            }
            assert_eq!(pull.try_recv().unwrap(), Message::from(n.to_string()));
        }
        assert!(!is_ready(&pull, Readiness::IN));
    }
}

#[test]
fn all_that_are_ready_are_found() {
    let context = Context::new();
    let (near, wire, none) =
        (socket!(Pull, context), socket!(Pull, context), socket!(Pull, context));
    let (to_near, to_wire) = (socket!(Push, context), socket!(Push, context));
    to_near.connect(near.bind("inproc://all").unwrap()).unwrap();
    to_wire.connect(wire.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let (mut mouth, ear) = UnixStream::pair().unwrap();
    to_wire.send("wire").unwrap();
    assert_eq!(poll(&mut [PollItem::readable(&wire)], LONG).unwrap(), 1);
    to_near.send("near").unwrap();
    mouth.write_all(b"!").unwrap();
    let mut items = [
        PollItem::readable(&none),
        PollItem::readable(&near),
        PollItem::readable(&wire),
        PollItem::descriptor(&ear, Readiness::IN | Readiness::OUT),
    ];
    assert_eq!(poll(&mut items, LONG).unwrap(), 3);
    let found: Vec<Readiness> = items.iter().map(PollItem::found).collect();
    let both = Readiness::IN | Readiness::OUT;
    assert_eq!(found, [Readiness::NONE, Readiness::IN, Readiness::IN, both]);
}

#[test]
fn a_descriptor_alone_is_waited_for_too() {
    let (mut mouth, mut ear) = UnixStream::pair().unwrap();
    let mut items = [PollItem::descriptor(&ear, Readiness::IN)];
    assert_eq!(poll(&mut items, MOMENT).unwrap(), 0);
    let writing = thread::spawn(move || {
        thread::sleep(MOMENT);
        mouth.write_all(b"!").unwrap();
        mouth
    });
    assert_eq!(poll(&mut items, LONG).unwrap(), 1);
    assert!(items[0].is_readable() && !items[0].is_writable());
    ear.read_exact(&mut [0]).unwrap();
    drop(writing.join().unwrap());
    let mut items = [PollItem::descriptor(&ear, Readiness::NONE)];
    assert_eq!(poll(&mut items, LONG).unwrap(), 1);
    assert_eq!(items[0].found(), Readiness::ERR, "the other end is gone");
}

#[test]
fn a_descriptor_without_news_does_not_hide_a_socket() {
    let context = Context::new();
    let pull = socket!(Pull, context);
    let push = socket!(Push, context);
    push.connect(pull.bind("inproc://beside").unwrap()).unwrap();
    let idle = TcpListener::bind("127.0.0.1:0").unwrap();
    let sending = thread::spawn(move || {
        thread::sleep(MOMENT);
        push.send("now").unwrap();
        push
    });
    let mut items = [PollItem::descriptor(&idle, Readiness::IN), PollItem::readable(&pull)];
    assert_eq!(poll(&mut items, LONG).unwrap(), 1);
    assert!(items[1].is_readable());
    drop(sending.join().unwrap());
}

/// A message that comes between the look and the sleep ends the sleep: if one in thousands did
/// not, this would hang.
#[test]
fn no_message_is_slept_through() {
    let context = Context::new();
    for (transport, rounds) in [("inproc://ping", 5000), ("tcp://127.0.0.1:*", 1000)] {
        let (one, other, idle) =
            (socket!(Pair, context), socket!(Pair, context), socket!(Pull, context));
        other.connect(one.bind(transport).unwrap()).unwrap();
        let echo = thread::spawn(move || {
            for _ in 0..rounds {
                let mut items = [PollItem::readable(&other), PollItem::readable(&idle)];
                assert_eq!(poll(&mut items, LONG).unwrap(), 1);
                other.send(other.try_recv().unwrap()).unwrap();
            }
            other
        });
        for n in 0..rounds {
            one.send(n.to_string()).unwrap();
            let mut items = [PollItem::readable(&one)];
            assert_eq!(poll(&mut items, LONG).unwrap(), 1);
            assert_eq!(&one.try_recv().unwrap()[0], &n.to_string());
        }
        drop(echo.join().unwrap());
    }
}

#[test]
fn room_is_waited_for() {
    let context = Context::new();
    let push = socket!(Push, context, sndhwm = 1);
    let pull = socket!(Pull, context, rcvhwm = 1);
    push.connect(pull.bind("inproc://room").unwrap()).unwrap();
    let receiving = thread::spawn(move || {
        for n in 0..1000 {
            assert_eq!(&pull.recv().unwrap()[0], &n.to_string());
        }
        pull
    });
    for n in 0..1000 {
        let mut items = [PollItem::writable(&push)];
        assert_eq!(poll(&mut items, LONG).unwrap(), 1);
        assert!(items[0].is_writable());
        push.try_send(n.to_string()).unwrap();
    }
    drop(receiving.join().unwrap());
}

#[test]
fn those_who_take_turns_are_ready_in_turn() {
    let context = Context::new();
    let (req, rep) = (socket!(Req, context), socket!(Rep, context));
    let ready = |socket: &Socket| {
        let both = Readiness::IN | Readiness::OUT;
        let mut items = [PollItem::socket(socket, both)];
        poll(&mut items, Duration::ZERO).unwrap();
        items[0].found()
    };
    req.connect(rep.bind("inproc://turns").unwrap()).unwrap();
    let (asks, answers) = (req.as_socket(), rep.as_socket());
    assert_eq!((ready(asks), ready(answers)), (Readiness::OUT, Readiness::NONE));
    req.send("question").unwrap();
    assert_eq!((ready(asks), ready(answers)), (Readiness::NONE, Readiness::IN));
    rep.recv().unwrap();
    assert_eq!((ready(asks), ready(answers)), (Readiness::NONE, Readiness::OUT));
    rep.send("answer").unwrap();
    assert_eq!((ready(asks), ready(answers)), (Readiness::IN, Readiness::NONE));
    req.recv().unwrap();
    assert_eq!((ready(asks), ready(answers)), (Readiness::OUT, Readiness::NONE));
}

#[test]
fn a_socket_that_is_closed_ends_the_wait() {
    let context = Context::new();
    let pull = socket!(Pull, context);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&mut [PollItem::readable(&pull)], LONG).unwrap());
        thread::sleep(MOMENT);
        pull.close(Duration::ZERO);
        assert_eq!(waiting.join().unwrap(), 1);
    });
    assert!(pull.try_recv().is_err());
}

/// One polls and another receives: whoever is woken for nothing goes back to sleep.
#[test]
fn several_threads_may_wait_at_one_socket() {
    let context = Context::new();
    let (pull, push) = (socket!(Pull, context), socket!(Push, context));
    push.connect(pull.bind("inproc://shared").unwrap()).unwrap();
    const MESSAGES: usize = 3000;
    thread::scope(|scope| {
        let polling = scope.spawn(|| {
            let mut got = 0;
            loop {
                assert_eq!(poll(&mut [PollItem::readable(&pull)], LONG).unwrap(), 1);
                match pull.try_recv() {
                    Ok(message) if message[0].is_empty() => return got,
                    Ok(_) => got += 1,
                    Err(error) => assert!(error.is_empty()),
                }
            }
        });
        let receiving = scope.spawn(|| {
            let mut got = 0;
            while !pull.recv().unwrap()[0].is_empty() {
                got += 1;
            }
            got
        });
        for n in 0..MESSAGES {
            push.send(n.to_string()).unwrap();
            if n % 10 == 0 {
                thread::yield_now();
            }
        }
        for _ in 0..2 {
            push.send("").unwrap();
        }
        assert_eq!(polling.join().unwrap() + receiving.join().unwrap(), MESSAGES);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_wait_for_several() {
    let context = Context::new();
    let (near, wire) = (socket!(Pull, context), socket!(Pull, context));
    let (to_near, to_wire) = (socket!(Push, context), socket!(Push, context));
    to_near.connect(near.bind("inproc://task").unwrap()).unwrap();
    to_wire.connect(wire.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let sending = tokio::spawn(async move {
        for n in 0..500 {
            let to = if n % 2 == 0 { &to_near } else { &to_wire };
            to.send_async(n.to_string()).await.unwrap();
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        (to_near, to_wire)
    });
    let mut got = 0;
    while got < 500 {
        let mut items = [PollItem::readable(&near), PollItem::readable(&wire)];
        assert!(poll_async(&mut items).await.unwrap() > 0);
        for (item, socket) in items.iter().zip([&near, &wire]) {
            if item.is_readable() {
                socket.try_recv().unwrap();
                got += 1;
            }
        }
    }
    drop(sending.await.unwrap());
    let ear = UnixStream::pair().unwrap().0;
    let refused = poll_async(&mut [PollItem::descriptor(&ear, Readiness::IN)]).await;
    assert!(matches!(refused, Err(PollError::Descriptor)));
}
