//! A process out of file descriptors: those who connect wait, the loop does not spin, and all is
//! well once there is room. Alone in its process, for it takes every descriptor there is.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use chaski_reactor::{Closed, ConnId, Io, Limits, Output, Progress, Reactor, Service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sends back what comes; any message stops it.
struct Echo;

impl Service for Echo {
    type Message = ();

    fn opened(&mut self, _io: &mut Io<'_>, _id: ConnId, _peer: SocketAddr) -> bool {
        true
    }

    fn received(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        io.send(id, Output::Bytes(input.to_vec()));
        Progress { consumed: input.len(), need: 0 }
    }

    fn closed(&mut self, _io: &mut Io<'_>, _id: ConnId, _why: Closed) {}

    fn timer(&mut self, _io: &mut Io<'_>, _key: u64) {}

    fn message(&mut self, io: &mut Io<'_>, _message: ()) {
        io.stop(Duration::ZERO);
    }
}

fn read_hello(stream: &mut TcpStream) {
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn without_descriptors_connections_wait() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connect = || {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    let mut reactor = Reactor::new(Limits::default()).unwrap();
    let (handle, stats) = (reactor.handle(), reactor.stats());
    reactor.listen(listener, Vec::new()).unwrap();
    let thread = thread::spawn(move || reactor.run(Echo).map(drop));
    let mut early = connect();
    early.write_all(b"hello").unwrap();
    read_hello(&mut early);

    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(hoard.pop().is_some(), "one for the client, none for the server");
    let mut late = connect();
    late.write_all(b"hello").unwrap();

    let turns = || stats.turns.load(Ordering::Relaxed);
    let (before, since) = (turns(), Instant::now());
    thread::sleep(Duration::from_millis(350));
    let tried = turns() - before;
    // It tries again ten times a second. A loop that spins has many thousand turns.
    let most = 50 + since.elapsed().as_millis() as u64 / 10;
    assert!(tried < most, "{tried} turns without work");
    assert_eq!(stats.accepted.load(Ordering::Relaxed), 1);
    early.write_all(b"hello").unwrap();
    read_hello(&mut early);

    drop(hoard);
    read_hello(&mut late);
    handle.send(());
    thread.join().unwrap().unwrap();
}
