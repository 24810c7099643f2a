//! The thread's own steps, taken by hand: what no peer can bring about when a test wants it.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use chaski_zmtp::pattern::{Attach, Outgoing, Peer};
use mio::Poll;

use super::engine::{At, Engine, Tie};
use super::inbox::{Command, Common};
use super::{PeerKey, local};
use crate::link::{After, Clock, End, Flushed, Route, Stream};
use crate::monitor::{Lost, What};
use crate::{Kind, Monitor, Socket};

/// A STREAM, for which no hands need to be shaken, with one peer that has connected to it.
struct Bench {
    engine: Engine,
    socket: Socket,
    monitor: Monitor,
    key: PeerKey,
}

impl Bench {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let common = Arc::new(Common::new());
        common.open(mio::Waker::new(poll.registry(), super::WAKE).unwrap());
        let mut engine = Engine::new(poll, common);
        let socket = Socket::new(Kind::Stream);
        let shared = socket.shared();
        let endpoint = "tcp://127.0.0.1:1".parse().unwrap();
        let route = Arc::new(Route { endpoint, dialled: false });
        let peer = shared.attach(Attach::Accepted, Arc::clone(&route)).unwrap();
        let key = PeerKey::of(shared, peer);
        let (socket_of_it, at) = (Arc::clone(shared), At::Nothing);
        engine.tie(
            key,
            Tie {
                socket: socket_of_it,
                route,
                dial: None,
                at,
                leaving: None,
                leaving_timed: false,
            },
        );
        Bench { engine, monitor: socket.monitor(), socket, key }
    }

    /// A connection comes up; its other end.
    fn connect(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let established = local::raw().unwrap();
        self.socket.shared().up(self.peer(), established, Stream::Unix(ours), &[]).unwrap();
        theirs
    }

    fn peer(&self) -> Peer {
        self.key.peer
    }
}

#[test]
fn a_connection_that_cannot_be_watched_ends_and_is_told_of() {
    let mut bench = Bench::new();
    let _theirs = bench.connect();
    let options = bench.socket.options();
    // No descriptor has this number.
    bench.engine.begin_tending(bench.key, -1, None, &options);
    let event = bench.monitor.try_recv().unwrap();
    assert!(matches!(event.what, What::Disconnected(Lost::Io(_))), "{event:?}");
    assert!(bench.engine.peers.is_empty());
    assert!(bench.socket.shared().link(bench.peer()).is_none_or(|link| link.about().is_none()));
}

#[test]
fn the_end_of_one_connection_is_not_taken_for_that_of_the_next() {
    let mut bench = Bench::new();
    let shared = Arc::clone(bench.socket.shared());
    let (link, peer) = (shared.link(bench.peer()).unwrap(), bench.peer());
    let _first = bench.connect();
    let first = link.connection();
    shared.down(peer);
    let theirs = bench.connect();
    // Who wrote to the first one was held up, and says only now what came of it.
    let error = io::Error::from(io::ErrorKind::BrokenPipe);
    shared.flushed(&link, Flushed { messages: 0, end: End::Broken(error) });
    assert!(link.loses(link.connection()), "nobody has said that of the second");
    // The same for one that was held up on its way to the driver.
    bench.engine.begin_tending(bench.key, theirs.as_raw_fd(), None, &shared.options());
    let lost = |connection| {
        let (socket, why) = (Arc::clone(&shared), Lost::Hangup);
        Command::Lost { socket, peer, connection, why }
    };
    bench.engine.command(lost(first));
    assert!(bench.monitor.try_recv().is_none() && link.about().is_some());
    bench.engine.command(lost(link.connection()));
    let event = bench.monitor.try_recv().unwrap();
    assert_eq!(event.what, What::Disconnected(Lost::Hangup));
}

#[test]
fn without_a_thread_for_ticks_nothing_stays_gathered() {
    let bench = Bench::new();
    let _theirs = bench.connect();
    let driver = bench.socket.shared().driver();
    driver.shared.flusher.stop();
    let link = bench.socket.shared().link(bench.peer()).unwrap();
    for _ in 0..2 {
        // Held back, to be ticked for: which is asked anew each time, and refused.
        let after = link.outbox.push(&Outgoing::from("x"), true, &mut Clock::default());
        assert_eq!(after, After::Arm { driver: true });
        driver.arm(&link);
        assert_eq!(link.outbox.queued(), 0);
    }
}
