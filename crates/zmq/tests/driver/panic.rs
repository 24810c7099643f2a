//! What the user's own code does on the driver's thread costs nobody else their service.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Wake, Waker};
use std::thread;

use chaski_zmq::auth::{Answer, Request};
use chaski_zmq::{Context, HandshakeFailure, Pull, Push, What};

use crate::peer::{PATIENCE, await_event};

fn sockets(context: &Context) -> (Pull, Push) {
    let pull = Pull::builder().context(context).build().unwrap();
    let push = Push::builder().context(context).build().unwrap();
    push.connect(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    (pull, push)
}

fn are_served(pull: &Pull, push: &Push) {
    push.send("served").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "served");
}

#[test]
fn an_authenticator_that_panics_refuses_one_peer_and_others_are_served() {
    let context = Context::new();
    context.authenticator(|request: &Request, answer: Answer| {
        assert!(request.credentials[0] != "mallory", "a panic that the test is about");
        answer.grant("somebody");
    });
    let (pull, push) = sockets(&context);
    let guarded = Pull::builder().context(&context).plain_server(true).build().unwrap();
    let monitor = guarded.monitor();
    let at = guarded.bind("tcp://127.0.0.1:*").unwrap();
    let client = |name: &str| {
        let client = Push::builder().plain_username(name).build().unwrap();
        client.connect(&at).unwrap();
        client
    };
    let _mallory = client("mallory");
    let refused = What::HandshakeFailed(HandshakeFailure::Auth(500));
    await_event(&monitor, |what| *what == refused);
    are_served(&pull, &push);
    are_served(&guarded, &client("alice"));
}

#[test]
fn a_waker_that_panics_costs_nobody_else_anything() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            // Who receives wakes others, too.
            let driver = thread::current().name() == Some("chaski-zmq");
            assert!(!driver, "a panic that the test is about");
        }
    }
    let context = Context::new();
    let (pull, push) = sockets(&context);
    let (other_pull, other_push) = sockets(&context);
    are_served(&pull, &push);
    let waker = Waker::from(Arc::new(Bomb));
    for _ in 0..3 {
        // Nobody but the driver watches for this task.
        let mut receiving = pin!(pull.recv_async());
        assert!(receiving.as_mut().poll(&mut Task::from_waker(&waker)).is_pending());
        push.send("tick").unwrap();
        push.flush();
        are_served(&other_pull, &other_push);
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "tick");
    }
}
