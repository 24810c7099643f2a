//! A waker may call the sockets that wake it: it is called when no lock is held.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Instant;

use chaski_zmq::{Kind, Socket, SocketOption};

use crate::peer::PATIENCE;

/// A waker that calls whatever takes a lock of these sockets.
struct Curious {
    sockets: Arc<OnceLock<[Socket; 2]>>,
    woken: SyncSender<()>,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        for socket in self.sockets.get().into_iter().flatten() {
            let _ = socket.try_recv();
            let _ = socket.try_send("one more");
            let _ = socket.monitor();
            let _ = socket.bind(format!("inproc://curious-{:p}", &raw const *socket));
            socket.set(SocketOption::Linger(None)).unwrap();
            assert!(socket.peers().len() < 10);
        }
        let _ = self.woken.try_send(());
    }
}

/// Two that talk, and what wakes a task there.
struct Scene {
    sockets: Arc<OnceLock<[Socket; 2]>>,
    waker: Waker,
    woken: Receiver<()>,
}

impl Scene {
    fn new(at: &str) -> Self {
        let sockets = Arc::new(OnceLock::new());
        let (woken, wakes) = sync_channel(64);
        let waker = Waker::from(Arc::new(Curious { sockets: Arc::clone(&sockets), woken }));
        let few = |kind| {
            Socket::builder(kind).sndhwm(2).rcvhwm(2).sndbuf(4096).rcvbuf(4096).build().unwrap()
        };
        let (one, other) = (few(Kind::Pair), few(Kind::Pair));
        let at = one.bind(at).unwrap();
        other.connect(&at).unwrap();
        other.send("hello").unwrap();
        assert_eq!(one.recv_timeout(PATIENCE).unwrap()[0], "hello");
        let _ = sockets.set([one, other]);
        Scene { sockets, waker, woken: wakes }
    }

    fn pair(&self) -> &[Socket; 2] {
        self.sockets.get().unwrap()
    }

    /// Whether a future waits, having left the waker.
    fn waits<T>(&self, future: Pin<&mut impl Future<Output = T>>) -> bool {
        while self.woken.try_recv().is_ok() {}
        future.poll(&mut Context::from_waker(&self.waker)).is_pending()
    }

    /// Does this until the waker was called.
    fn until_woken(&self, mut act: impl FnMut()) {
        let start = Instant::now();
        while self.woken.try_recv().is_err() {
            assert!(start.elapsed() < PATIENCE, "nobody was woken");
            act();
            thread::yield_now();
        }
    }

    fn run(&self) {
        let [one, other] = self.pair();
        // By a message.
        let mut received = pin!(one.recv_async());
        assert!(self.waits(received.as_mut()));
        other.send("wakes").unwrap();
        self.until_woken(|| {});
        // By room.
        let large = vec![0; 64 * 1024];
        while other.try_send(&large[..]).is_ok() {}
        let mut sent = pin!(other.send_async(&large[..]));
        if self.waits(sent.as_mut()) {
            self.until_woken(|| drop(one.try_recv()));
        }
        // By an event.
        let monitor = one.monitor();
        // What a wake-up from before is still about may be told first.
        let mut told = Box::pin(monitor.recv_async());
        while !self.waits(told.as_mut()) {
            told = Box::pin(monitor.recv_async());
        }
        one.bind("inproc://*").map_or_else(|_| one.bind("tcp://127.0.0.1:*"), Ok).unwrap();
        self.until_woken(|| {});
    }
}

#[test]
fn a_waker_may_call_the_sockets_that_wake_it() {
    let shm = format!("shm://wakers-{}", std::process::id());
    for at in ["tcp://127.0.0.1:*", "ipc://*", "inproc://wakers", &shm] {
        let at = at.to_owned();
        let (done, is_done) = sync_channel(1);
        let named = at.clone();
        thread::spawn(move || {
            Scene::new(&at).run();
            done.send(()).unwrap();
        });
        is_done.recv_timeout(3 * PATIENCE).unwrap_or_else(|_| panic!("{named}: nobody goes on"));
    }
}
