//! The oneshot: both ends at once, in every way to end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc as Counted;
use std::task::{Context, Poll, Wake, Waker};

use chaski_ring::select::{self, Source};
use chaski_ring::{RecvError, oneshot};
use loom::sync::Arc;
use loom::thread;

use crate::kit::{block_on, check, poll_once};

type Message = Arc<()>;

/// Runs both ends at once; then the message must be in what was given back or received, once, or
/// dropped.
fn model(
    send: fn(oneshot::Sender<Message>, Message) -> Option<Message>,
    receive: fn(oneshot::Receiver<Message>) -> Option<Message>,
) {
    check(3, move || {
        let message = Arc::new(());
        let (tx, rx) = oneshot::channel();
        let sent = Arc::clone(&message);
        let other = thread::spawn(move || send(tx, sent));
        let received = receive(rx);
        let returned = other.join().unwrap();
        assert!(received.is_none() || returned.is_none(), "received and given back");
        let held = usize::from(received.is_some()) + usize::from(returned.is_some());
        assert_eq!(Arc::strong_count(&message), 1 + held, "leaked or dropped twice");
    });
}

fn send(tx: oneshot::Sender<Message>, message: Message) -> Option<Message> {
    tx.send(message).err().map(|error| error.into_inner())
}

#[test]
fn a_blocked_receiver_is_woken() {
    model(send, |rx| Some(rx.recv().unwrap()));
}

#[test]
fn an_awaiting_receiver_is_woken() {
    model(send, |rx| Some(block_on(rx).unwrap()));
}

#[test]
fn a_receiver_that_polls_with_another_waker_is_woken_by_that() {
    model(send, |mut rx| {
        if let Poll::Ready(result) = poll_once(Pin::new(&mut rx)) {
            return Some(result.unwrap());
        }
        Some(block_on(rx).unwrap())
    });
}

#[test]
fn a_receiver_that_goes_while_it_waits() {
    model(send, |mut rx| {
        let polled = poll_once(Pin::new(&mut rx));
        match polled {
            Poll::Ready(result) => Some(result.unwrap()),
            Poll::Pending => None,
        }
    });
}

#[test]
fn a_close_races_a_send() {
    model(send, |mut rx| {
        rx.close();
        rx.recv().ok()
    });
}

#[test]
fn a_sender_that_goes_wakes_the_receiver() {
    model(
        |tx, message| {
            drop(tx);
            Some(message)
        },
        |rx| {
            assert_eq!(rx.recv().err(), Some(RecvError));
            None
        },
    );
}

#[test]
fn a_sender_that_waits_for_the_close_is_woken() {
    model(
        |mut tx, message| {
            block_on(tx.closed());
            Some(tx.send(message).err().expect("closed").into_inner())
        },
        |rx| {
            drop(rx);
            None
        },
    );
}

#[test]
fn a_sender_that_waited_sends_after_all() {
    model(
        |mut tx, message| {
            let _ = poll_once(pin!(tx.closed()));
            let _ = poll_once(pin!(tx.closed()));
            send(tx, message)
        },
        |mut rx| rx.try_recv().ok(),
    );
}

/// There is one cell for a waker: a select that takes it over wakes the one it was taken from.
#[test]
fn two_that_select_it_both_learn_of_it() {
    check(2, || {
        let (tx, rx) = oneshot::channel();
        let rx = Arc::new(rx);
        let other = Arc::clone(&rx);
        let waiting = thread::spawn(move || {
            let sources: [&dyn Source; 1] = [&*other];
            assert_eq!(select::ready(&sources), 0);
        });
        let sources: [&dyn Source; 1] = [&*rx];
        let _ = poll_once(pin!(select::ready_async(&sources)));
        tx.send(()).unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn no_waker_is_left_behind() {
    struct Quiet;
    impl Wake for Quiet {
        fn wake(self: Counted<Self>) {}
    }
    check(3, || {
        let count = Counted::new(Quiet);
        let waker = Waker::from(Counted::clone(&count));
        let (tx, mut rx) = oneshot::channel();
        let sender = thread::spawn(move || tx.send(()));
        let _ = Pin::new(&mut rx).poll(&mut Context::from_waker(&waker));
        drop((rx, waker));
        let _ = sender.join().unwrap();
        assert_eq!(Counted::strong_count(&count), 1);
    });
}
