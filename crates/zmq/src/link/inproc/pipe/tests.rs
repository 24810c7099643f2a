//! One direction of a connection, from both ends.

use std::task::Wake;
use std::thread::{self, Thread};

use super::*;
use crate::link::{Arrival, Gone, NearReceiver, NearSender};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn counted() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn message(rx: &mut Receiver) -> Option<Message> {
    match rx.pop() {
        Ok(Some(Arrival::Message(message))) => Some(message),
        Ok(None) | Err(Gone) => None,
        Ok(Some(Arrival::Command(command))) => panic!("{command:?}"),
    }
}

#[test]
fn a_slot_is_less_than_a_line() {
    assert_eq!(size_of::<Piece>(), 48);
}

#[test]
fn the_limit_is_exact_at_every_depth() {
    for limit in [1, 2, 3, 8, 63, 64, 65, 1000, 20_000] {
        let (mut tx, mut rx) = pipe(Limit::Messages(limit));
        for lap in 0..3 {
            for n in 0..limit {
                assert!(tx.push(Message::from(n.to_string())).is_ok(), "{n} of {limit}");
            }
            assert!(!tx.has_room());
            assert_eq!(tx.queued(), limit);
            let back = tx.push(Message::from_iter(["not", "this"])).unwrap_err();
            assert_eq!(back, Message::from_iter(["not", "this"]));
            // Room for one is room for one, wherever in the queue that is.
            assert_eq!(message(&mut rx).unwrap(), Message::from("0"));
            assert!(tx.has_room());
            assert!(tx.push(Message::from("one more")).is_ok());
            assert!(!tx.has_room(), "lap {lap}");
            for n in 1..limit {
                assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_string()));
            }
            assert_eq!(message(&mut rx).unwrap(), Message::from("one more"));
            assert_eq!(message(&mut rx), None);
        }
    }
}

#[test]
fn messages_of_many_frames_count_as_one() {
    let (mut tx, mut rx) = pipe(Limit::Messages(2));
    let long: Message = (0..200).map(|n| n.to_string()).collect();
    assert!(tx.push(long.clone()).is_ok() && tx.push(Message::from("b")).is_ok());
    assert!(!tx.has_room());
    assert_eq!(message(&mut rx).unwrap(), long);
    assert_eq!(message(&mut rx).unwrap(), Message::from("b"));
}

#[test]
fn commands_keep_their_place_and_need_no_room() {
    let (mut tx, mut rx) = pipe(Limit::Messages(1));
    assert!(tx.push(Message::from("a")).is_ok());
    for n in 0..500u32 {
        tx.tell(Command::Subscribe(n.to_string().into()));
    }
    assert_eq!(message(&mut rx).unwrap(), Message::from("a"));
    assert!(tx.push(Message::from("b")).is_ok());
    for n in 0..500u32 {
        let Ok(Some(Arrival::Command(command))) = rx.pop() else { panic!("no command") };
        assert_eq!(command, Command::Subscribe(n.to_string().into()));
    }
    assert_eq!(message(&mut rx).unwrap(), Message::from("b"));
}

#[test]
fn what_is_lent_keeps_its_place_and_counts() {
    let body = |n: usize| vec![n as u8; (n * 37) % 3000];
    let (mut tx, mut rx) = pipe(Limit::Messages(1000));
    for n in 0..1000 {
        match n % 3 {
            0 => assert!(tx.push(Message::from(body(n))).is_ok()),
            1 => assert!(tx.push_lent(&Message::new(), &body(n))),
            _ => assert!(tx.push_lent(&Message::from_iter(["before"]), &body(n))),
        }
        if n % 100 == 0 {
            tx.tell(Command::Subscribe("a".into()));
        }
    }
    assert!(!tx.push_lent(&Message::new(), b"no room"));
    for n in 0..1000 {
        let expected = Message::from(body(n));
        match n % 3 {
            2 => assert_eq!(message(&mut rx), Some(Message::from("before").with(body(n)))),
            _ => assert_eq!(message(&mut rx), Some(expected)),
        }
        if n % 100 == 0 {
            assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
        }
    }
    assert_eq!(message(&mut rx), None);
}

#[test]
fn single_frames_are_taken_alone_and_the_rest_is_left() {
    let (mut tx, mut rx) = pipe(Limit::Messages(3));
    let long = [7; 100];
    assert!(rx.pop_single().is_none());
    assert!(tx.push(Message::from("a")).is_ok() && tx.push_lent(&Message::new(), &long));
    assert!(tx.push(Message::from_iter(["b", "c"])).is_ok() && !tx.has_room());
    assert_eq!(rx.pop_single().unwrap(), "a");
    assert!(tx.has_room());
    // Before the first body that was lent comes the word where it lies, which `pop` takes.
    assert!(rx.pop_single().is_none());
    assert_eq!(message(&mut rx).unwrap(), Message::from(&long));
    assert!(rx.pop_single().is_none(), "two frames");
    assert_eq!(message(&mut rx).unwrap(), Message::from_iter(["b", "c"]));
    assert!(tx.push_lent(&Message::new(), &long));
    tx.tell(Command::Cancel("a".into()));
    assert_eq!(rx.pop_single().unwrap(), long);
    assert!(rx.pop_single().is_none(), "a command");
    assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
}

#[test]
fn without_a_limit_it_takes_what_comes() {
    let (mut tx, mut rx) = pipe(Limit::Unlimited);
    for n in 0..50_000u32 {
        assert!(tx.push(Message::from(n.to_be_bytes().to_vec())).is_ok());
    }
    for n in 0..50_000u32 {
        assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_be_bytes().to_vec()));
    }
}

#[test]
fn the_newest_takes_the_place_of_the_one_before() {
    let (mut tx, mut rx) = pipe(Limit::Newest);
    tx.tell(Command::Subscribe("a".into()));
    for n in 0..100 {
        assert!(tx.push(Message::from_iter(["n".to_owned(), n.to_string()])).is_ok());
        assert_eq!(tx.queued(), 1);
    }
    assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
    assert_eq!(message(&mut rx).unwrap(), Message::from_iter(["n", "99"]));
    assert_eq!(message(&mut rx), None);
    assert!(tx.push(Message::from("last")).is_ok());
    drop(tx);
    assert_eq!(message(&mut rx).unwrap(), Message::from("last"));
    assert!(rx.pop().is_err());
}

#[test]
fn what_came_before_only_the_newest_was_to_be_kept_is_not_lost() {
    let (mut tx, mut rx) = pipe(Limit::Messages(1));
    assert!(tx.push(Message::from("early")).is_ok() && !tx.has_room());
    rx.set_limit(Limit::Newest);
    for n in 0..10 {
        assert!(tx.push(Message::from(n.to_string())).is_ok());
    }
    assert_eq!(message(&mut rx).unwrap(), Message::from("early"));
    assert_eq!(message(&mut rx).unwrap(), Message::from("9"));
    assert_eq!(message(&mut rx), None);
}

#[test]
fn what_was_pushed_before_a_close_is_popped() {
    let (mut tx, mut rx) = pipe(Limit::Messages(200));
    let (woken, waker) = counted();
    rx.set_waker(waker);
    for n in 0..150 {
        assert!(tx.push(Message::from(n.to_string())).is_ok());
    }
    tx.close();
    assert_eq!(woken.get(), 1);
    assert_eq!(tx.push(Message::from("late")), Err(Message::from("late")));
    tx.tell(Command::Cancel("late".into()));
    for n in 0..150 {
        assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_string()));
    }
    assert!(rx.pop().is_err());
    assert!(rx.pop().is_err());
}

#[test]
fn a_sender_learns_that_the_receiver_is_gone() {
    let (mut tx, rx) = pipe(Limit::Messages(1));
    let (woken, waker) = counted();
    tx.set_waker(waker);
    assert!(tx.push(Message::from("a")).is_ok());
    drop(rx);
    assert_eq!(woken.get(), 1);
    assert!(!tx.has_room());
    let whole = Message::from_iter(["a", "b"]);
    assert_eq!(tx.push(whole.clone()), Err(whole));
}

#[test]
fn only_a_receiver_that_found_nothing_is_woken_and_once() {
    let (mut tx, mut rx) = pipe(Limit::Unlimited);
    let (woken, waker) = counted();
    rx.set_waker(waker);
    assert!(tx.push(Message::from("a")).is_ok());
    assert_eq!(woken.get(), 0, "it has not looked");
    assert!(message(&mut rx).is_some() && message(&mut rx).is_none());
    assert!(tx.push(Message::from("b")).is_ok() && tx.push(Message::from("c")).is_ok());
    assert_eq!(woken.get(), 1);
    assert!(message(&mut rx).is_some());
    assert!(tx.push(Message::from("d")).is_ok());
    assert_eq!(woken.get(), 1, "it is awake");
}

#[test]
fn only_a_sender_that_found_no_room_is_woken_and_for_much() {
    let (mut tx, mut rx) = pipe(Limit::Messages(80));
    let (woken, waker) = counted();
    tx.set_waker(waker);
    while tx.push(Message::from("x")).is_ok() {}
    for _ in 0..9 {
        assert!(message(&mut rx).is_some());
    }
    assert_eq!(woken.get(), 0, "less than an eighth is free");
    assert!(message(&mut rx).is_some());
    assert_eq!(woken.get(), 1);
    while message(&mut rx).is_some() {}
    assert_eq!(woken.get(), 1, "it was told");
    tx.set_limit(Limit::Messages(100));
    assert_eq!((0..101).filter(|_| tx.push(Message::from("x")).is_ok()).count(), 100);
    assert!(message(&mut rx).is_some());
    tx.close();
    while message(&mut rx).is_some() {}
    assert_eq!(woken.get(), 2, "everything is free");
}

/// A thread at each end, both of which sleep whenever the other lets them.
#[test]
fn no_wake_up_is_lost() {
    const MESSAGES: u32 = if cfg!(debug_assertions) { 20_000 } else { 500_000 };
    for limit in [Limit::Messages(1), Limit::Messages(7), Limit::Messages(300)] {
        let (mut tx, mut rx) = pipe(limit);
        rx.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
        let sender = thread::spawn(move || {
            tx.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
            for n in 0..MESSAGES {
                let bytes = n.to_be_bytes();
                match n % 2 {
                    0 => {
                        while !tx.push_lent(&Message::new(), &bytes.repeat(16)) {
                            thread::park();
                        }
                    }
                    _ => {
                        while tx.push(Message::from(&bytes)).is_err() {
                            thread::park();
                        }
                    }
                }
                assert!(limit == Limit::Unlimited || tx.queued() <= limit.messages());
            }
        });
        let mut expected = 0u32;
        loop {
            let arrival = match rx.pop_single() {
                Some(frame) => Ok(Some(Arrival::Message(Message::from(frame)))),
                None => rx.pop(),
            };
            match arrival {
                Ok(Some(Arrival::Message(message))) => {
                    let times = if expected.is_multiple_of(2) { 16 } else { 1 };
                    assert_eq!(message[0], expected.to_be_bytes().repeat(times));
                    expected += 1;
                }
                Ok(Some(Arrival::Command(command))) => panic!("{command:?}"),
                Ok(None) => thread::park(),
                Err(Gone) => break,
            }
        }
        assert_eq!(expected, MESSAGES);
        sender.join().unwrap();
    }
}
