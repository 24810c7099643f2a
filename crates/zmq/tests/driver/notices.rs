//! What a pattern has to say of a peer that is gone reaches whoever waits for it, and so does that
//! nobody can be sent to any more: however the steps in which a peer goes fall between the looks of
//! who waits.

use std::future::Future;
use std::io::{Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_zmq::{Kind, Message, Misuse, Pull, Push, SendFailure, Server, Socket, Xpub};

use crate::peer::{PATIENCE, Raw, monitored};

/// How often a peer comes and goes beside a thread that keeps a core busy.
const ROUNDS: usize = 100;

/// A waker that returns when who is woken has looked: so there is a look after each wake-up, and
/// none later.
struct Prompt {
    woken: SyncSender<()>,
    looked: Mutex<Receiver<()>>,
}

impl Wake for Prompt {
    fn wake(self: Arc<Self>) {
        let _ = self.woken.send(());
        // Who is woken by its own thread looks afterwards.
        let _ = self.looked.lock().unwrap().recv_timeout(Duration::from_millis(50));
    }
}

/// Runs a future that looks once for each time that it is woken.
///
/// # Panics
/// If it is woken no more.
fn run_promptly<T>(future: impl Future<Output = T>) -> T {
    let (woken, wakes) = sync_channel(64);
    let (looks, looked) = sync_channel(64);
    let waker = Waker::from(Arc::new(Prompt { woken, looked: Mutex::new(looked) }));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        let _ = looks.try_send(());
        wakes.recv_timeout(PATIENCE).expect("a wake-up was lost");
    }
}

/// A bare program connects, is told to have come, speaks, is answered.
fn talk_to_stream(stream: &Socket, raw: &mut Raw) -> Message {
    let opened = stream.recv_timeout(PATIENCE).unwrap();
    assert_eq!((opened.len(), opened[1].len()), (2, 0));
    raw.stream.write_all(b"question").unwrap();
    assert_eq!(stream.recv_timeout(PATIENCE).unwrap()[1], "question");
    stream.send(Message::from(opened[0].clone()).with("answer")).unwrap();
    raw.stream.read_exact(&mut [0; 6]).unwrap();
    opened
}

#[test]
fn a_stream_that_waits_is_told_that_a_peer_went() {
    let busy = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            while busy.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let rounds = scope.spawn(|| {
            for _ in 0..ROUNDS {
                let (stream, _monitor, at) = monitored(Kind::Stream);
                let mut raw = Raw::connect(&at);
                let opened = talk_to_stream(&stream, &mut raw);
                drop(raw);
                assert_eq!(stream.recv_timeout(PATIENCE).unwrap(), opened);
            }
        });
        let done = rounds.join();
        busy.store(false, Ordering::Relaxed);
        done.unwrap();
    });
}

#[test]
fn the_goodbye_of_a_peer_comes_after_the_last_look() {
    let (stream, _monitor, at) = monitored(Kind::Stream);
    for _ in 0..10 {
        let mut raw = Raw::connect(&at);
        let opened = talk_to_stream(&stream, &mut raw);
        drop(raw);
        assert_eq!(run_promptly(stream.recv_async()).unwrap(), opened);
    }
}

#[test]
fn the_end_of_a_subscription_comes_after_the_last_look() {
    let xpub = Xpub::new();
    let at = xpub.bind("tcp://127.0.0.1:*").unwrap();
    for _ in 0..10 {
        let mut raw = Raw::connect(&at);
        raw.meet("SUB");
        raw.stream.write_all(b"\x04\x0a\x09SUBSCRIBE").unwrap();
        assert_eq!(run_promptly(xpub.recv_async()).unwrap()[0], "\x01");
        drop(raw);
        assert_eq!(run_promptly(xpub.recv_async()).unwrap()[0], "\0");
    }
}

#[test]
fn another_who_waits_gets_the_goodbye_when_the_last_bytes_are_taken() {
    let (stream, _monitor, at) = monitored(Kind::Stream);
    let mut raw = Raw::connect(&at);
    let opened = talk_to_stream(&stream, &mut raw);
    thread::scope(|scope| {
        let both: Vec<_> =
            (0..2).map(|_| scope.spawn(|| stream.recv_timeout(PATIENCE).unwrap())).collect();
        raw.stream.write_all(b"last").unwrap();
        drop(raw);
        let mut got: Vec<Message> = both.into_iter().map(|one| one.join().unwrap()).collect();
        got.sort_by_key(|message| message[1].len());
        assert_eq!((&got[0], &got[1][1][..]), (&opened, &b"last"[..]));
    });
}

#[test]
fn a_server_that_waits_for_room_is_told_that_its_peer_is_gone() {
    let server = Server::builder().sndhwm(1).linger(Duration::ZERO).build().unwrap();
    // Nobody is there, so that one message is all there is room for.
    let at = "tcp://127.0.0.1:9";
    let peer = server.connect_peer(at).unwrap();
    let to_peer = || {
        let mut message = Message::from("to nobody");
        message.set_routing_id(peer);
        message
    };
    server.send(to_peer()).unwrap();
    let gone = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            server.disconnect(at).unwrap();
        });
        run_promptly(server.send_async(to_peer())).unwrap_err()
    });
    assert!(matches!(gone.failure(), SendFailure::Misuse(Misuse::Unroutable)), "{gone}");
}

#[test]
fn a_message_that_waited_for_any_peer_goes_by_the_way_that_was_laid() {
    let shm = format!("shm://notices-{}", std::process::id());
    for at in ["inproc://notices", &shm] {
        let pull = Pull::new();
        pull.bind(at).unwrap();
        let push = Push::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                push.connect(at).unwrap();
            });
            run_promptly(push.send_async("early")).unwrap();
        });
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "early", "{at}");
    }
}
