//! Several messages at once, and calls that do not wait or not for long: what was done when a call
//! says that it could not do all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use chaski_zmq::{
    Dealer, Message, Misuse, Pull, Push, RecvError, Rep, Req, Scatter, SendFailure, Socket,
};

/// Longer than anything takes that is going to happen.
const LONG: Duration = Duration::from_secs(60);

/// Long enough for what should not happen to be seen now and then.
const MOMENT: Duration = Duration::from_millis(20);

/// An endpoint of each transport, which nobody else uses.
fn endpoints() -> [String; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let near = |transport: &str| format!("{transport}://zmq-batch-{}-{next}", std::process::id());
    ["tcp://127.0.0.1:*".to_owned(), "ipc://*".to_owned(), near("inproc"), near("shm")]
}

/// A message of one to three frames, the last of which is its number.
fn numbered(n: u32) -> Message {
    let frames = (0..n % 3).map(|_| "before".to_owned()).chain([n.to_string()]);
    frames.collect()
}

#[test]
fn all_of_a_batch_arrive_whole_and_in_order_through_a_short_queue() {
    const COUNT: u32 = 2_000;
    for endpoint in endpoints() {
        let pull = Pull::builder().rcvhwm(3).build().unwrap();
        let push = Push::builder().sndhwm(3).build().unwrap();
        push.connect(pull.bind(endpoint).unwrap()).unwrap();
        let sending = thread::spawn(move || {
            push.send_all((0..COUNT).map(numbered)).unwrap();
            push.close(None);
        });
        let mut received = Vec::new();
        while received.len() < COUNT as usize {
            let before = received.len();
            let count = pull.recv_many(&mut received, 7).unwrap();
            assert!((1..=7).contains(&count) && received.len() == before + count);
        }
        assert!(received.into_iter().eq((0..COUNT).map(numbered)));
        sending.join().unwrap();
    }
}

#[test]
fn a_batch_that_finds_no_room_says_where_it_stopped() {
    for timeout in [Duration::ZERO, MOMENT] {
        let push = Push::builder().sndhwm(5).sndtimeo(timeout).build().unwrap();
        push.connect("tcp://127.0.0.1:9").unwrap();
        let mut batch = (0..10).map(numbered);
        let stopped = push.send_all(batch.by_ref()).unwrap_err();
        assert_eq!(*stopped.failure(), SendFailure::Timeout);
        // Those before it wait to be sent, it is given back, and those behind were not touched.
        assert_eq!(push.peers()[0].queued, 5);
        assert_eq!(stopped.into_message(), Some(numbered(5)));
        assert_eq!(batch.next(), Some(numbered(6)));
    }
}

#[test]
fn a_batch_goes_on_where_it_stopped() {
    for endpoint in endpoints() {
        let pull = Pull::builder().rcvhwm(2).build().unwrap();
        let push = Push::builder().sndhwm(2).sndtimeo(Duration::ZERO).build().unwrap();
        push.connect(pull.bind(endpoint).unwrap()).unwrap();
        let mut batch = (0..200).map(numbered);
        let (mut given_back, mut received) = (None, Vec::new());
        while received.len() < 200 {
            let rest = given_back.take().into_iter().chain(batch.by_ref());
            given_back = push.send_all(rest).err().and_then(|error| error.into_message());
            while pull.try_recv_many(&mut received, 3).unwrap() > 0 {}
        }
        assert!(received.into_iter().eq((0..200).map(numbered)));
    }
}

#[test]
fn a_batch_stops_at_what_the_pattern_does_not_allow() {
    let scatter = Scatter::new();
    scatter.connect("tcp://127.0.0.1:9").unwrap();
    let two = Message::from_iter(["one", "two"]);
    let mut batch = [Message::from("first"), two.clone(), Message::from("last")].into_iter();
    let stopped = scatter.send_all(batch.by_ref()).unwrap_err();
    assert!(matches!(stopped.failure(), SendFailure::Misuse(Misuse::Shape(_))));
    assert_eq!(stopped.into_message(), Some(two));
    assert_eq!((scatter.peers()[0].queued, batch.len()), (1, 1));

    let req = Req::new();
    req.connect("tcp://127.0.0.1:9").unwrap();
    let stopped = req.send_all(["question", "another"]).unwrap_err();
    assert!(matches!(stopped.failure(), SendFailure::Misuse(Misuse::OutOfTurn(_))));
    assert_eq!(req.peers()[0].queued, 1);
}

#[test]
fn a_batch_that_is_received_ends_where_the_pattern_has_its_turn() {
    for endpoint in endpoints() {
        let rep = Rep::new();
        let at = rep.bind(endpoint).unwrap();
        let requesters: Vec<Req> = (0..2).map(|_| Req::new()).collect();
        for req in &requesters {
            req.connect(&at).unwrap();
            req.send("question").unwrap();
        }
        let mut requests = Vec::new();
        for answered in 1..=2 {
            assert_eq!(rep.recv_many(&mut requests, 10), Ok(1));
            assert_eq!(requests.len(), answered);
            let again = rep.recv_many(&mut requests, 10);
            assert!(matches!(again, Err(RecvError::Misuse(Misuse::OutOfTurn(_)))));
            rep.send("answer").unwrap();
        }
        for req in &requesters {
            assert_eq!(req.recv_timeout(LONG).unwrap(), Message::from("answer"));
        }
    }
}

#[test]
fn what_is_received_is_added_and_no_more_than_was_asked_for() {
    for endpoint in endpoints() {
        let (pull, push) = (Pull::new(), Push::new());
        push.connect(pull.bind(endpoint).unwrap()).unwrap();
        let mut messages = vec![Message::from("was there")];
        assert_eq!(pull.try_recv_many(&mut messages, 9), Ok(0));
        assert_eq!(pull.recv_many(&mut messages, 0), Ok(0));
        push.send_all((0..10).map(numbered)).unwrap();
        while messages.len() < 5 {
            let rest = 5 - messages.len();
            assert!(pull.recv_many(&mut messages, rest).unwrap() <= rest);
        }
        assert_eq!(messages.len(), 5);
        assert_eq!(messages[0], Message::from("was there"));
        assert!(messages[1..].iter().cloned().eq((0..4).map(numbered)));
        for n in 4..10 {
            assert_eq!(pull.recv_timeout(LONG).unwrap(), numbered(n));
        }
    }
}

#[test]
fn calls_that_do_not_wait_or_not_for_long_say_so_and_leave_all_as_it_was() {
    let pull = Pull::builder().rcvtimeo(MOMENT).build().unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut messages = Vec::new();
    assert_eq!(pull.try_recv(), Err(RecvError::Empty));
    assert_eq!(pull.recv_timeout(Duration::ZERO), Err(RecvError::Timeout));
    assert_eq!(pull.recv(), Err(RecvError::Timeout));
    assert_eq!(pull.recv_many(&mut messages, 3), Err(RecvError::Timeout));
    let push = Push::builder().sndtimeo(MOMENT).build().unwrap();
    let refusals = [
        (push.try_send("kept"), SendFailure::Full),
        (push.send_timeout("kept", Duration::ZERO), SendFailure::Timeout),
        (push.send("kept"), SendFailure::Timeout),
    ];
    for (refused, failure) in refusals {
        let refused = refused.unwrap_err();
        assert!(refused.is_full() && *refused.failure() == failure);
    }
    let given = push.try_send(String::from("given")).unwrap_err();
    assert_eq!(given.into_message(), Some(Message::from("given")));
    push.flush();
    for socket in [Socket::from(pull), Socket::from(push)] {
        socket.close(Duration::ZERO);
        socket.flush();
        assert!(
            matches!(socket.recv_many(&mut messages, 3), Err(error) if error != RecvError::Empty)
        );
        assert!(messages.is_empty());
    }
}

#[test]
fn what_is_flushed_is_given_to_the_system() {
    for endpoint in endpoints().into_iter().take(2) {
        let (one, other) = (Dealer::new(), Dealer::new());
        other.connect(one.bind(endpoint).unwrap()).unwrap();
        other.send("hello").unwrap();
        one.recv_timeout(LONG).unwrap();
        for n in 0..500 {
            one.send(format!("{n}")).unwrap();
        }
        // Another thread may be at it; then that one gives it to the system.
        while one.peers()[0].queued > 0 {
            one.flush();
        }
        assert_eq!(one.peers()[0].sent, 500);
        let mut received = Vec::new();
        while received.len() < 500 {
            other.recv_many(&mut received, 500).unwrap();
        }
    }
}
