//! Peers that want the process's memory, or its time: what they may take is bounded, others are
//! served meanwhile, and a monitor tells what they did. Each test has the process to itself while
//! it looks at its memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_zmq::{Endpoint, Kind, Lost, Monitor, Push, Socket, Sub, What};

/// How long anything may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// By how much the process may grow for one hostile peer: pages, buffers and an allocator that
/// keeps what it was given back. What the peers send is several times that.
const GROWTH_BYTES_MAX: usize = 48 << 20;

/// A bound socket that is attacked.
struct Scene {
    socket: Socket,
    monitor: Monitor,
    at: Endpoint,
    resident_before: usize,
    _alone: MutexGuard<'static, ()>,
}

/// How much memory the process has, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

impl Scene {
    fn new(kind: Kind) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = Socket::new(kind);
        let monitor = socket.monitor();
        let at = socket.bind("tcp://127.0.0.1:*").unwrap();
        Scene { socket, monitor, at, resident_before: resident(), _alone: alone }
    }

    /// A peer that has shaken hands as a socket of that kind.
    fn peer(&self, kind: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at.as_str().trim_start_matches("tcp://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL".to_vec();
        bytes.resize(64, 0);
        let ready = [b"\x05READY\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()];
        let ready = ready.concat();
        bytes.extend_from_slice(&[4, ready.len() as u8]);
        bytes.extend_from_slice(&ready);
        stream.write_all(&bytes).unwrap();
        let mut said = [0; 66];
        stream.read_exact(&mut said).unwrap();
        let mut ready = vec![0; usize::from(said[65])];
        stream.read_exact(&mut ready).unwrap();
        stream
    }

    /// Sends until the other side has had enough, or so many bytes; whether it had.
    fn flood(stream: &mut TcpStream, bytes: &[u8], most: usize) -> bool {
        (0..most / bytes.len()).any(|_| stream.write_all(bytes).is_err())
    }

    /// Waits for the end of a connection that broke a rule; what the monitor says of it.
    fn breach(&self) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Some(event) = self.monitor.recv_timeout(PATIENCE) else { break };
            if let What::Disconnected(lost) = event.what {
                assert!(matches!(lost, Lost::Protocol(_)), "{lost}");
                return lost.to_string();
            }
        }
        panic!("nobody was cut off");
    }

    /// An honest peer of a PULL is served.
    fn serves(&self) {
        let push = Push::new();
        push.connect(&self.at).unwrap();
        push.send("honest").unwrap();
        assert_eq!(self.socket.recv_timeout(PATIENCE).unwrap()[0], *"honest");
    }

    fn has_not_grown(&self) {
        let grown = resident().saturating_sub(self.resident_before);
        assert!(grown < GROWTH_BYTES_MAX, "by {} MiB", grown >> 20);
    }
}

#[test]
fn a_length_that_is_only_announced_takes_no_memory() {
    let scene = Scene::new(Kind::Pull);
    // Just below the limit of 1 GiB, by several peers, of which little comes.
    let mut peers: Vec<TcpStream> = (0..20).map(|_| scene.peer("PUSH")).collect();
    for peer in &mut peers {
        peer.write_all(b"\x02\0\0\0\0\x3f\xff\xff\xffa little").unwrap();
    }
    scene.serves();
    scene.has_not_grown();
    // Above it.
    peers[0] = scene.peer("PUSH");
    peers[0].write_all(b"\x02\x3f\xff\xff\xff\xff\xff\xff\xff").unwrap();
    scene.serves();
    assert!(!scene.breach().is_empty());
}

#[test]
fn a_message_without_end_is_ended() {
    let scene = Scene::new(Kind::Pull);
    let mut peer = scene.peer("PUSH");
    let ended = Scene::flood(&mut peer, &b"\x01\0".repeat(4096), 256 << 20);
    assert!(ended, "it took all of 256 MiB");
    scene.serves();
    assert!(scene.breach().contains("65536"), "the limit is named");
    scene.has_not_grown();
}

#[test]
fn pings_whose_answers_are_not_read_take_no_memory() {
    let scene = Scene::new(Kind::Pull);
    let mut peer = scene.peer("PUSH");
    peer.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let pings = b"\x04\x17\x04PING\0\0a context of 16 ".repeat(1000);
    // They are read, or stay in the kernel; either is well.
    Scene::flood(&mut peer, &pings, 128 << 20);
    scene.serves();
    scene.has_not_grown();
    let mut pong = [0; 23];
    peer.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\x04\x15\x04PONGa context of 16 ");
}

#[test]
fn a_subscriber_that_does_not_read_loses_its_own_messages_only() {
    const COUNT: u64 = 5_000;
    let scene = Scene::new(Kind::Pub);
    let mut slow = scene.peer("SUB");
    slow.write_all(b"\x04\x0b\x09SUBSCRIBEa").unwrap();
    let sub = Sub::new();
    sub.subscribe("a").unwrap();
    sub.connect(&scene.at).unwrap();
    let is_known = || scene.socket.peers().iter().filter(|peer| peer.connected).count() == 2;
    let start = Instant::now();
    while !is_known() || sub.recv_timeout(Duration::from_millis(5)).is_err() {
        assert!(start.elapsed() < PATIENCE);
        scene.socket.send("a: is anybody there").unwrap();
    }
    // Whoever reads gets each of them, in turn, before the next is sent.
    for n in 0..COUNT {
        let mut message = format!("a{n} ").into_bytes();
        message.resize(8 * 1024, b'.');
        scene.socket.send(&message[..]).unwrap();
        while sub.recv_timeout(PATIENCE).unwrap()[0] != *message {}
    }
    let peers = scene.socket.peers();
    let quick = peers.iter().find(|peer| peer.dropped == 0).expect("one lost nothing");
    let slow = peers.iter().find(|peer| peer.dropped > 0).expect("one lost some");
    assert!(quick.sent >= COUNT && slow.queued <= 1000);
    assert!(slow.sent + slow.queued + slow.dropped >= COUNT, "{slow:?}");
    scene.has_not_grown();
}

#[test]
fn topics_without_end_are_ended_and_a_hundred_thousand_are_not() {
    let scene = Scene::new(Kind::Pub);
    let mut peer = scene.peer("SUB");
    let mut bytes = Vec::new();
    for n in 0..100_000 {
        bytes.extend_from_slice(b"\x04\x12\x09SUBSCRIBE");
        bytes.extend_from_slice(format!("{n:08}").as_bytes());
    }
    peer.write_all(&bytes).unwrap();
    let start = Instant::now();
    while scene.socket.topics_count() < 100_000 {
        assert!(start.elapsed() < PATIENCE, "{} are known", scene.socket.topics_count());
        std::thread::sleep(Duration::from_millis(5));
    }
    // 64 MiB of topics is the limit; these have 60 KiB each.
    let mut ended = false;
    for n in 0..8_000_u32 {
        let mut command = b"\x06\0\0\0\0\0\0\xf0\x0a\x09SUBSCRIBE".to_vec();
        command.extend_from_slice(format!("{n:08}").as_bytes());
        command.resize(9 + 0xf00a, b'.');
        ended = ended || peer.write_all(&command).is_err();
    }
    assert!(ended, "480 MiB of topics were taken");
    assert!(scene.breach().contains("topics") || scene.socket.topics_count() == 0);
    // Others have their topics still.
    let publisher: &Socket = &scene.socket;
    let sub = Sub::new();
    sub.subscribe("news").unwrap();
    sub.connect(&scene.at).unwrap();
    let start = Instant::now();
    loop {
        publisher.send("news: ok").unwrap();
        if sub.recv_timeout(Duration::from_millis(5)).is_ok() {
            break;
        }
        assert!(start.elapsed() < PATIENCE);
    }
    let grown = resident().saturating_sub(scene.resident_before);
    assert!(grown < 320 << 20, "by {} MiB", grown >> 20);
}
