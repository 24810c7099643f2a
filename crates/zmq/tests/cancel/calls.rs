//! The other calls that are awaited: polling several sockets, closing, watching, forwarding.

use std::net::TcpListener;
use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use chaski_zmq::{
    Message, PollItem, Proxy, Pull, Push, Readiness, Router, Socket, What, poll_async,
};

use crate::{Bell, LONG, POLLS_MAX, drop_after, drop_until_ready, endpoints, wait};

#[test]
fn a_poll_that_is_dropped_has_taken_nothing_and_changed_nothing() {
    for at in endpoints() {
        let (pull, other, push) = (Pull::new(), Pull::new(), Push::new());
        push.connect(pull.bind(at).unwrap()).unwrap();
        other.bind("tcp://127.0.0.1:*").unwrap();
        let items = || [PollItem::readable(&pull), PollItem::readable(&other)];
        for n in 0..100 {
            for polls in 1..=POLLS_MAX {
                let mut items = items();
                assert!(drop_after(polls, poll_async(&mut items)).is_none());
                assert!(items.iter().all(|item| item.found() == Readiness::NONE));
            }
            push.send(format!("{n}")).unwrap();
            let (ready, _) = drop_until_ready(|| async {
                let mut items = items();
                let count = poll_async(&mut items).await.unwrap();
                (count, items[0].is_readable(), items[1].is_readable())
            });
            assert_eq!(ready, (1, true, false));
            // What the poll saw is still there to be received.
            assert_eq!(pull.try_recv().unwrap(), Message::from(format!("{n}")));
        }
    }
}

#[test]
fn a_wake_up_of_a_poll_that_is_dropped_is_passed_on() {
    for at in endpoints() {
        let (pull, push) = (Pull::new(), Push::new());
        push.connect(pull.bind(at).unwrap()).unwrap();
        let mut items = [PollItem::readable(&pull)];
        let (polled, received) = (Bell::new(), Bell::new());
        let mut poll = Box::pin(poll_async(&mut items));
        assert!(poll.as_mut().poll(&mut Context::from_waker(&polled.waker())).is_pending());
        let mut recv = pin!(pull.recv_async());
        assert!(recv.as_mut().poll(&mut Context::from_waker(&received.waker())).is_pending());
        push.send("for one of the two").unwrap();
        while !polled.has_rung() && !received.has_rung() {
            thread::park_timeout(Duration::from_millis(1));
        }
        drop(poll);
        assert_eq!(wait(recv).unwrap(), Message::from("for one of the two"));
    }
}

#[test]
fn a_poll_for_room_that_is_dropped_leaves_the_room_to_others() {
    let (pull, push) = (Pull::new(), Push::builder().sndhwm(1).build().unwrap());
    let at = push.bind("tcp://127.0.0.1:*").unwrap();
    for polls in 1..=POLLS_MAX {
        let mut items = [PollItem::writable(&push)];
        assert!(drop_after(polls, poll_async(&mut items)).is_none(), "nobody is there");
    }
    pull.connect(&at).unwrap();
    let mut items = [PollItem::writable(&push)];
    assert_eq!(wait(poll_async(&mut items)).unwrap(), 1);
    wait(push.send_async("room")).unwrap();
    assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from("room"));
}

#[test]
fn a_close_that_is_dropped_goes_on_in_the_background() {
    for polls in 1..=POLLS_MAX {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("tcp://{}", listener.local_addr().unwrap());
        let push = Push::new();
        push.connect(&at).unwrap();
        for n in 0..20 {
            push.send(format!("{n}")).unwrap();
        }
        let closed = drop_after(polls, push.close_async(None));
        assert!(closed.is_none(), "nobody has taken anything yet");
        assert!(push.try_send("after the close").is_err());
        // The connection that nobody answered is lost, and the next one is.
        drop(listener);
        let pull = Pull::new();
        while pull.bind(&at).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
        for n in 0..20 {
            assert_eq!(pull.recv_timeout(LONG).unwrap(), Message::from(format!("{n}")));
        }
    }
}

#[test]
fn events_are_taken_once_whatever_is_dropped() {
    let socket = Router::new();
    let monitor = socket.monitor();
    for polls in 1..=POLLS_MAX {
        assert!(drop_after(polls, monitor.recv_async()).is_none());
    }
    let bound: Vec<_> = (0..50).map(|_| socket.bind("tcp://127.0.0.1:*").unwrap()).collect();
    for at in bound {
        let (event, _) = drop_until_ready(|| monitor.recv_async());
        let event = event.unwrap();
        assert_eq!((event.endpoint, event.what), (at, What::Listening));
    }
    assert!(monitor.try_recv().is_none());
}

/// What waits in a proxy is lost with it; where there is room, nothing waits in it.
#[test]
fn a_proxy_that_is_dropped_while_there_is_room_loses_nothing() {
    let (front, back) = (Pull::new(), Push::new());
    let (push, pull) = (Push::new(), Pull::new());
    push.connect(front.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    back.connect(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let mut forwarded = 0;
    for n in 0..200 {
        push.send(format!("{n}")).unwrap();
        loop {
            let ended = drop_after(n % POLLS_MAX + 1, Proxy::new(&front, &back).run_async());
            assert!(ended.is_none(), "it goes on until it is told to end");
            if let Ok(message) = pull.recv_timeout(Duration::from_millis(1)) {
                assert_eq!(message, Message::from(format!("{forwarded}")));
                forwarded += 1;
                break;
            }
        }
    }
    assert_eq!(forwarded, 200);
}

/// Polling a future again after others have come and gone.
#[test]
fn a_future_kept_while_others_are_dropped_is_still_woken() {
    for at in endpoints() {
        let (pull, push) = (Pull::new(), Push::new());
        push.connect(pull.bind(at).unwrap()).unwrap();
        for n in 0..20 {
            let bell = Bell::new();
            let mut kept = pin!(pull.recv_async());
            assert!(kept.as_mut().poll(&mut Context::from_waker(&bell.waker())).is_pending());
            for polls in 1..=POLLS_MAX {
                assert!(drop_after(polls, pull.recv_async()).is_none());
            }
            push.send(format!("{n}")).unwrap();
            while !bell.has_rung() {
                thread::park_timeout(LONG);
            }
            let ready = kept.as_mut().poll(&mut Context::from_waker(&bell.waker()));
            let message = match ready {
                Poll::Ready(message) => message,
                Poll::Pending => wait(kept),
            };
            assert_eq!(message.unwrap(), Message::from(format!("{n}")));
        }
    }
}

/// Any number of futures may wait at once; each message wakes one that uses it.
#[test]
fn of_many_futures_those_that_are_dropped_are_not_missed() {
    for at in endpoints() {
        let (pull, push) = (Socket::from(Pull::new()), Push::new());
        push.connect(pull.bind(at).unwrap()).unwrap();
        let bell = Bell::new();
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(pull.recv_async())).collect();
        for future in &mut waiting {
            let polled = future.as_mut().poll(&mut Context::from_waker(&bell.waker()));
            assert!(polled.is_pending());
        }
        for n in 0..10 {
            push.send(format!("{n}")).unwrap();
        }
        // Of each two that wait, one is dropped, woken or not.
        let kept = waiting.into_iter().enumerate().filter_map(|(at, future)| {
            if at % 2 == 0 {
                drop(future);
                return None;
            }
            Some(future)
        });
        let kept: Vec<_> = kept.collect();
        let mut received: Vec<Message> =
            kept.into_iter().map(|future| wait(future).unwrap()).collect();
        received.sort_by_key(|message| message[0].to_vec());
        let expected: Vec<Message> = (0..10).map(|n| Message::from(format!("{n}"))).collect();
        assert_eq!(received, expected);
    }
}
