//! A peer that is a TCP stream and some bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use chaski_zmq::{Endpoint, Kind, Monitor, Socket, What};

/// How long anything may take before a test is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    /// Connects to a socket's endpoint.
    pub(crate) fn connect(at: &Endpoint) -> Raw {
        let address = at.as_str().strip_prefix("tcp://").unwrap();
        Raw::of(TcpStream::connect(address).unwrap())
    }

    /// Takes the next connection.
    pub(crate) fn accept(listener: &TcpListener) -> Raw {
        Raw::of(listener.accept().unwrap().0)
    }

    fn of(stream: TcpStream) -> Raw {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream }
    }

    /// All that a NULL peer of ZMTP 3.1 says before its traffic.
    pub(crate) fn handshake(kind: &str) -> Vec<u8> {
        Raw::handshake_of(3, 1, kind)
    }

    /// The same for another version.
    pub(crate) fn handshake_of(major: u8, minor: u8, kind: &str) -> Vec<u8> {
        let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, minor];
        bytes.extend_from_slice(b"NULL");
        bytes.resize(64, 0);
        let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
        ready.extend_from_slice(&(kind.len() as u32).to_be_bytes());
        ready.extend_from_slice(kind.as_bytes());
        bytes.extend_from_slice(&[4, ready.len() as u8]);
        bytes.extend_from_slice(&ready);
        bytes
    }

    /// Shakes hands, and takes what the other side says in its turn.
    pub(crate) fn meet(&mut self, kind: &str) {
        self.stream.write_all(&Raw::handshake(kind)).unwrap();
        let mut greeting = [0; 64];
        self.stream.read_exact(&mut greeting).unwrap();
        let (flags, _ready) = self.frame();
        assert_eq!(flags, 4);
    }

    /// The next short frame: its flags and its body.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; usize::from(head[1])];
        self.stream.read_exact(&mut body).unwrap();
        (head[0], body)
    }
}

/// A socket that is bound to TCP, with its monitor.
pub(crate) fn monitored(kind: Kind) -> (Socket, Monitor, Endpoint) {
    let socket = Socket::new(kind);
    let monitor = socket.monitor();
    let at = socket.bind("tcp://127.0.0.1:*").unwrap();
    (socket, monitor, at)
}

/// Waits for an event.
///
/// # Panics
/// If it does not come.
pub(crate) fn await_event(monitor: &Monitor, meant: impl Fn(&What) -> bool) -> u64 {
    let mut seen = Vec::new();
    while let Some(event) = monitor.recv_timeout(PATIENCE) {
        if meant(&event.what) {
            return monitor.missed();
        }
        seen.push(event.what);
    }
    panic!("what was awaited did not happen, but {seen:?}");
}

/// The next events, as many as there are names for them.
pub(crate) fn next_events(monitor: &Monitor, count: usize) -> Vec<What> {
    (0..count).map(|_| monitor.recv_timeout(PATIENCE).expect("an event").what).collect()
}
