//! Names of a context: either order, exact limits, sockets that come and go at the same time.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use chaski_zmq::{BindError, Context, Dealer, Message, Monitor, ReconnectStop, What};

use crate::{LONG, MOMENT, socket, until};

#[test]
fn bind_and_connect_in_either_order() {
    let context = Context::new();
    for bind_first in [true, false] {
        let name = format!("inproc://order-{bind_first}");
        let (push, pull) = (socket!(Push, context), socket!(Pull, context));
        if bind_first {
            pull.bind(&name).unwrap();
        }
        push.connect(&name).unwrap();
        push.send("early").unwrap();
        if !bind_first {
            pull.bind(&name).unwrap();
        }
        push.send("late").unwrap();
        assert_eq!(pull.recv().unwrap(), Message::from("early"));
        assert_eq!(pull.recv().unwrap(), Message::from("late"));
    }
}

#[test]
fn a_receiver_that_sleeps_is_woken() {
    let context = Context::new();
    let (req, rep) = (socket!(Req, context), socket!(Rep, context));
    req.connect("inproc://echo").unwrap();
    rep.bind("inproc://echo").unwrap();
    let echo = thread::spawn(move || {
        for _ in 0..2000 {
            rep.send(rep.recv().unwrap()).unwrap();
        }
    });
    for n in 0..2000 {
        req.send(n.to_string()).unwrap();
        assert_eq!(&req.recv().unwrap()[0], &n.to_string());
    }
    echo.join().unwrap();
}

#[test]
fn the_limit_is_the_sum_of_both_to_the_message() {
    let context = Context::new();
    let fill =
        |push: &chaski_zmq::Push| (0..100).take_while(|_| push.try_send("x").is_ok()).count();
    for (sndhwm, rcvhwm, expected) in [(3, 4, 7), (1, 1, 2), (0, 4, 100), (4, 0, 100), (10, 40, 50)]
    {
        let name = format!("inproc://limit-{sndhwm}-{rcvhwm}");
        let push = socket!(Push, context, sndhwm = sndhwm);
        let pull = socket!(Pull, context, rcvhwm = rcvhwm);
        push.connect(&name).unwrap();
        let alone = if sndhwm == 0 { 100 } else { sndhwm as usize };
        assert_eq!(fill(&push), alone, "nobody is there, so only the sender's counts");
        pull.bind(&name).unwrap();
        assert_eq!(alone + fill(&push), expected.max(alone + usize::from(expected == 100) * 100));
        pull.recv().unwrap();
        if expected < 100 {
            assert_eq!(fill(&push), 1);
            assert!(push.try_send("x").unwrap_err().is_full());
        }
    }
}

#[test]
fn a_sender_without_room_is_woken_by_a_receiver() {
    let context = Context::new();
    let push = socket!(Push, context, sndhwm = 1);
    let pull = socket!(Pull, context, rcvhwm = 1);
    pull.bind("inproc://room").unwrap();
    push.connect("inproc://room").unwrap();
    let sending = thread::spawn(move || {
        for n in 0..5000u32 {
            push.send(n.to_be_bytes().to_vec()).unwrap();
        }
        push
    });
    for n in 0..5000u32 {
        assert_eq!(pull.recv().unwrap(), Message::from(n.to_be_bytes().to_vec()));
    }
    drop(sending.join().unwrap());
}

#[test]
fn a_name_has_one_owner_at_a_time() {
    let context = Context::new();
    let (one, other) = (socket!(Pull, context), socket!(Pull, context));
    one.bind("inproc://owned").unwrap();
    assert!(matches!(other.bind("inproc://owned"), Err(BindError::InUse { .. })));
    assert!(other.unbind("inproc://owned").is_err());
    one.unbind("inproc://owned").unwrap();
    other.bind("inproc://owned").unwrap();
    drop(other);
    one.bind("inproc://owned").unwrap();
}

#[test]
fn contexts_do_not_share_names() {
    let (here, there) = (Context::new(), Context::new());
    let (one, other) = (socket!(Pull, here), socket!(Pull, there));
    one.bind("inproc://twice").unwrap();
    other.bind("inproc://twice").unwrap();
    let push = socket!(Push, there);
    push.connect("inproc://twice").unwrap();
    push.send("there").unwrap();
    assert_eq!(other.recv().unwrap(), Message::from("there"));
    assert!(one.try_recv().is_err());
}

#[test]
fn what_was_sent_outlives_the_sender() {
    let context = Context::new();
    let pull = socket!(Pull, context);
    pull.bind("inproc://legacy").unwrap();
    for n in 0..3 {
        let push = socket!(Push, context);
        push.connect("inproc://legacy").unwrap();
        push.send(n.to_string()).unwrap();
        push.send(Message::from_iter(["and", "more"])).unwrap();
    }
    let mut got: Vec<Message> = (0..6).map(|_| pull.recv().unwrap()).collect();
    got.retain(|message| message.len() == 1);
    assert_eq!(got.len(), 3);
    until("those who went are forgotten", || {
        assert!(pull.try_recv().is_err());
        pull.peers().is_empty()
    });
}

#[test]
fn who_connected_finds_the_next_who_binds() {
    let context = Context::new();
    let push = socket!(Push, context, reconnect_ivl = Duration::from_millis(1));
    push.connect("inproc://again").unwrap();
    for n in 0..5 {
        let pull = socket!(Pull, context);
        pull.bind("inproc://again").unwrap();
        // What goes to one who is about to go is lost with it.
        until("the next has something", || {
            let _ = push.try_send(n.to_string());
            pull.try_recv().is_ok_and(|message| message[0] == n.to_string())
        });
    }
}

#[test]
fn a_subscription_is_there_at_the_next_send() {
    let context = Context::new();
    let (publisher, sub) = (socket!(Pub, context), socket!(Sub, context));
    publisher.bind("inproc://news").unwrap();
    sub.connect("inproc://news").unwrap();
    for topic in 0..10_000 {
        sub.subscribe(format!("topic {topic};")).unwrap();
    }
    for topic in [0, 4_999, 9_999] {
        publisher.send(format!("nothing {topic};")).unwrap();
        publisher.send(format!("topic {topic};")).unwrap();
        assert_eq!(&sub.recv().unwrap()[0], &format!("topic {topic};"));
    }
    sub.unsubscribe("topic 4999;").unwrap();
    publisher.send("topic 4999;").unwrap();
    publisher.send("topic 0;").unwrap();
    assert_eq!(&sub.recv().unwrap()[0], "topic 0;");
}

#[test]
fn peers_learn_who_the_other_is() {
    let context = Context::new();
    let (router, dealer) = (socket!(Router, context), socket!(Dealer, context, routing_id = "me"));
    dealer.connect("inproc://who").unwrap();
    dealer.send("hello").unwrap();
    router.bind("inproc://who").unwrap();
    let hello = router.recv().unwrap();
    assert_eq!(hello, Message::from_iter(["me", "hello"]));
    router.send(Message::from_iter(["me", "", "welcome"])).unwrap();
    assert_eq!(dealer.recv().unwrap(), Message::from_iter(["", "welcome"]));
    assert_eq!(router.peers()[0].kind, Some("DEALER"));
}

#[test]
fn those_who_do_not_suit_each_other_are_kept_apart() {
    let context = Context::new();
    let (push, publisher) = (socket!(Push, context), socket!(Pub, context));
    let news = push.monitor();
    publisher.bind("inproc://strangers").unwrap();
    push.connect("inproc://strangers").unwrap();
    loop {
        let event = news.recv_timeout(LONG).expect("word of the failure");
        if let What::HandshakeFailed(_) = event.what {
            break;
        }
    }
    assert!(publisher.peers().is_empty());
    publisher.send("to nobody").unwrap();
}

#[test]
fn only_the_newest_is_kept() {
    let context = Context::new();
    let push = socket!(Push, context, conflate = true);
    let pull = socket!(Pull, context, conflate = true);
    pull.bind("inproc://newest").unwrap();
    push.connect("inproc://newest").unwrap();
    for n in 0..100 {
        push.send(n.to_string()).unwrap();
    }
    assert_eq!(pull.recv().unwrap(), Message::from("99"));
    assert!(pull.try_recv().is_err());
}

/// Two threads meet at a name, neither of which knows who comes first; a third is in the way.
#[test]
fn sockets_that_come_and_go_at_once_meet_or_do_not_hang() {
    let context = Context::new();
    for round in 0..200 {
        let name = &format!("inproc://race-{}", round % 3);
        let start = &Barrier::new(3);
        thread::scope(|scope| {
            let context = &context;
            let sending = scope.spawn(move || {
                let push = socket!(Push, context);
                start.wait();
                push.connect(name).unwrap();
                push.send(round.to_string()).unwrap();
                push
            });
            scope.spawn(move || {
                let passer_by = socket!(Push, context);
                start.wait();
                passer_by.connect(name).unwrap();
                passer_by.disconnect(name).unwrap();
            });
            let pull = socket!(Pull, context);
            start.wait();
            pull.bind(name).unwrap();
            assert_eq!(&pull.recv().unwrap()[0], &round.to_string());
            drop(sending.join().unwrap());
        });
    }
}

#[test]
fn a_socket_may_be_closed_while_another_thread_receives() {
    let context = Context::new();
    let pull = Arc::new(socket!(Pull, context));
    pull.bind("inproc://closed").unwrap();
    let push = socket!(Push, context);
    push.connect("inproc://closed").unwrap();
    let receiving = {
        let pull = Arc::clone(&pull);
        thread::spawn(move || std::iter::from_fn(|| pull.recv().ok()).count())
    };
    push.send("one").unwrap();
    thread::sleep(MOMENT);
    pull.close(Duration::ZERO);
    assert!(receiving.join().unwrap() <= 1);
    until("the sender has nobody", || push.try_send("two").is_err() || push.peers().is_empty());
}

/// Two receivers sleep, two messages come in one go: whoever is woken for the first sees to it that
/// the second is taken too, before it is done with its own.
#[test]
fn no_receiver_sleeps_beside_a_message() {
    let context = Context::new();
    let (push, pull) = (socket!(Push, context), socket!(Pull, context));
    push.connect(pull.bind("inproc://crowd").unwrap()).unwrap();
    for _ in 0..200 {
        let both = &Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    pull.recv().unwrap();
                    both.wait();
                });
            }
            thread::sleep(Duration::from_micros(100));
            push.send("one").unwrap();
            push.send("two").unwrap();
        });
    }
}

/// The next event that is one of those: a connection by memory is seen to be over by who receives.
fn await_event(dealer: &Dealer, monitor: &Monitor, meant: fn(&What) -> bool) -> What {
    loop {
        assert!(dealer.try_recv().is_err());
        match monitor.recv_timeout(Duration::from_millis(1)) {
            Some(event) if meant(&event.what) => return event.what,
            _ => {}
        }
    }
}

fn ends(what: &What) -> bool {
    matches!(what, What::ConnectStopped(_) | What::ConnectRetried { .. })
}

#[test]
fn a_connection_that_is_lost_can_be_the_last() {
    let context = Context::new();
    let stop = ReconnectStop { after_disconnect: true, ..ReconnectStop::default() };
    let dealer = socket!(Dealer, context, reconnect_stop = stop);
    let monitor = dealer.monitor();
    let router = socket!(Router, context);
    router.bind("inproc://once").unwrap();
    dealer.connect("inproc://once").unwrap();
    drop(router);
    let end = await_event(&dealer, &monitor, ends);
    assert!(matches!(end, What::ConnectStopped(_)), "{end:?}");
    until("it has no peer", || dealer.peers().is_empty());
}

#[test]
fn who_is_refused_comes_again_unless_that_is_the_end() {
    let context = Context::new();
    let publisher = socket!(Pub, context);
    publisher.bind("inproc://other").unwrap();
    for handshake_failed in [false, true] {
        let stop = ReconnectStop { handshake_failed, ..ReconnectStop::default() };
        let dealer = socket!(Dealer, context, reconnect_stop = stop);
        let monitor = dealer.monitor();
        dealer.connect("inproc://other").unwrap();
        let end = await_event(&dealer, &monitor, ends);
        assert_eq!(matches!(end, What::ConnectStopped(_)), handshake_failed, "{end:?}");
    }
}
