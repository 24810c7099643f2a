//! Sockets without ZMTP, and tasks without a runtime: what the driver does for both.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use chaski_zmq::{Kind, Lost, Message, Pull, Push, Socket, What};

use crate::peer::{PATIENCE, Raw, await_event};

#[test]
fn a_stream_talks_to_whoever_speaks_no_zmtp() {
    let stream = Socket::new(Kind::Stream);
    let at = stream.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    let hello = stream.recv_timeout(PATIENCE).unwrap();
    assert_eq!((hello.len(), hello[1].len()), (2, 0));
    raw.stream.write_all(b"GET /").unwrap();
    let request = stream.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&request[0], &request[1][..]), (&hello[0], &b"GET /"[..]));
    stream.send(Message::from(hello[0].clone()).with("200 OK")).unwrap();
    let mut answer = [0; 6];
    raw.stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"200 OK");
    drop(raw);
    let bye = stream.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&bye[0], bye[1].len()), (&hello[0], 0));
}

/// Reads to the end of a connection.
fn rest(raw: &mut Raw) -> Vec<u8> {
    let mut rest = Vec::new();
    raw.stream.read_to_end(&mut rest).unwrap();
    rest
}

#[test]
fn a_stream_that_closes_a_connection_sends_first_what_it_was_given() {
    let stream = Socket::builder(Kind::Stream).sndbuf(16 * 1024).build().unwrap();
    let at = stream.bind("tcp://127.0.0.1:*").unwrap();
    let mut raw = Raw::connect(&at);
    let id = stream.recv_timeout(PATIENCE).unwrap()[0].clone();
    // More than the kernel takes before the other end reads.
    let part = vec![7; 64 * 1024];
    for _ in 0..200 {
        stream.send(Message::from(id.clone()).with(&part[..])).unwrap();
    }
    stream.send(Message::from(id.clone()).with("")).unwrap();
    assert!(stream.send(Message::from(id).with("late")).is_err());
    assert_eq!(rest(&mut raw).len(), 200 * part.len());
}

#[test]
fn a_connection_that_a_stream_made_and_closed_is_not_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = Socket::builder(Kind::Stream)
        .connect_routing_id("web")
        .reconnect_ivl(Duration::from_millis(1))
        .build()
        .unwrap();
    let monitor = stream.monitor();
    stream.connect(format!("tcp://{}", listener.local_addr().unwrap()).as_str()).unwrap();
    let mut raw = Raw::accept(&listener);
    stream.send(Message::from("web").with("bye")).unwrap();
    stream.send(Message::from("web").with("")).unwrap();
    assert_eq!(rest(&mut raw), b"bye");
    await_event(&monitor, |what| *what == What::Disconnected(Lost::Closed));
    stream.close(None);
    let rest: Vec<What> = std::iter::from_fn(|| monitor.recv()).map(|event| event.what).collect();
    assert!(rest.iter().all(|what| *what == What::Closed), "{rest:?}");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

#[test]
fn a_task_of_any_executor_is_woken() {
    let pull = Pull::new();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let sending = thread::spawn(move || {
        let push = Push::new();
        push.connect(&at).unwrap();
        for n in 0..200 {
            push.send(format!("{n}")).unwrap();
            // So that the receiver goes to sleep now and then.
            if n % 20 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        }
        block_on(push.close_async(None));
    });
    for n in 0..200 {
        assert_eq!(block_on(pull.recv_async()).unwrap()[0], format!("{n}"));
    }
    sending.join().unwrap();
}

#[test]
fn a_sending_task_is_woken_when_there_is_room() {
    let push = Push::builder().sndhwm(1).sndbuf(4096).build().unwrap();
    let at = push.bind("tcp://127.0.0.1:*").unwrap();
    let receiving = thread::spawn(move || {
        let pull = Pull::builder().rcvhwm(1).rcvbuf(4096).build().unwrap();
        pull.connect(&at).unwrap();
        for _ in 0..300 {
            assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0].len(), 5000);
        }
    });
    let body = vec![9; 5000];
    for _ in 0..300 {
        block_on(push.send_async(&body[..])).unwrap();
    }
    receiving.join().unwrap();
}
