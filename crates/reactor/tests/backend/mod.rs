//! What is tested, and how the tests drive it.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chaski_reactor::{Closed, ConnId, Handle, Limits, Reactor, Service, Stats};

use crate::services::{Command, Event, Tested};

/// How long a test waits for what must come before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A kind of reactor.
pub(crate) trait Backend: 'static {
    /// Runs a reactor on a thread of its own, with this listener for itself and the reactors `to`.
    fn start<S>(
        limits: Limits,
        listener: TcpListener,
        to: Vec<Handle<S::Message>>,
        service: S,
    ) -> Started<S>
    where
        S: Service + Send + 'static;
}

/// A reactor that runs.
pub(crate) struct Started<S: Service> {
    pub(crate) handle: Handle<S::Message>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) thread: JoinHandle<S>,
}

/// The readiness backend.
pub(crate) struct Mio;

impl Backend for Mio {
    fn start<S>(
        limits: Limits,
        listener: TcpListener,
        mut to: Vec<Handle<S::Message>>,
        service: S,
    ) -> Started<S>
    where
        S: Service + Send + 'static,
    {
        let mut reactor = Reactor::new(limits).unwrap();
        let (handle, stats) = (reactor.handle(), reactor.stats());
        if !to.is_empty() {
            to.push(handle.clone());
        }
        reactor.listen(listener, to).unwrap();
        let thread = thread::spawn(move || reactor.run(service).unwrap());
        Started { handle, stats, thread }
    }
}

/// A reactor under test, its address, and what its service tells of.
pub(crate) struct Running<B, S> {
    pub(crate) handle: Handle<Command>,
    pub(crate) stats: Arc<Stats>,
    addr: SocketAddr,
    thread: JoinHandle<S>,
    events: mpsc::Receiver<Event>,
    /// Events that came while another one was waited for.
    kept: Mutex<VecDeque<Event>>,
    _backend: PhantomData<B>,
}

impl<B: Backend, S: Tested> Running<B, S> {
    pub(crate) fn start(limits: Limits, service: S) -> Self {
        Self::start_behind(limits, service, Vec::new())
    }

    /// One that deals its connections out to `others` and itself.
    pub(crate) fn start_behind(
        limits: Limits,
        mut service: S,
        others: Vec<Handle<Command>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, events) = mpsc::channel();
        service.tell(tell);
        let Started { handle, stats, thread } = B::start(limits, listener, others, service);
        let kept = Mutex::default();
        Running { handle, stats, addr, thread, events, kept, _backend: PhantomData }
    }

    /// A blocking connection to it, which fails rather than wait for ever.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Stops it and returns its service.
    pub(crate) fn stop(self) -> S {
        self.handle.send(Command::Stop(PATIENCE));
        self.join()
    }

    /// Waits until it has stopped.
    pub(crate) fn join(self) -> S {
        self.thread.join().unwrap()
    }

    pub(crate) fn wait_for(&self, what: impl Fn(&Stats) -> bool) {
        eventually("the counts are as expected", || what(&self.stats));
    }

    /// The first event, of those not taken yet, that `pick` takes.
    pub(crate) fn event<T>(&self, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let mut kept = self.kept.lock().unwrap();
        for at in 0..kept.len() {
            if let Some(picked) = pick(&kept[at]) {
                kept.remove(at);
                return picked;
            }
        }
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("an event of the service");
            match pick(&event) {
                Some(picked) => return picked,
                None => kept.push_back(event),
            }
        }
    }

    /// The next connection that was opened.
    pub(crate) fn opened(&self) -> ConnId {
        self.event(|event| match event {
            Event::Opened(id) => Some(*id),
            _ => None,
        })
    }

    /// The next input offered of a connection.
    pub(crate) fn received(&self, id: ConnId) -> Vec<u8> {
        self.event(|event| match event {
            Event::Received(of, bytes) if *of == id => Some(bytes.clone()),
            _ => None,
        })
    }

    /// Waits until a connection is closed, for the reason expected.
    pub(crate) fn closed(&self, id: ConnId, expected: impl Fn(&Closed) -> bool) {
        self.event(|event| match event {
            Event::Closed(of, why) if *of == id => {
                assert!(expected(why), "closed with {why:?}");
                Some(())
            }
            _ => None,
        });
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "still waiting: {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Allows this process as many descriptors as it may have: a connection within it costs two.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
