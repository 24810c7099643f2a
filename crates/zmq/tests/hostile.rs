//! Peers that want the process's memory, or its time: what they may take is bounded, others are
//! served meanwhile, and a monitor tells what they did. Each test has the process to itself while
//! it looks at its memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_zmq::{Dish, Endpoint, Kind, Lost, Message, Monitor, Push, Socket, Sub, What};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

    /// The same with a socket of one's own.
    fn of(socket: Socket) -> Self {
        let mut scene = Scene::new(socket.kind());
        scene.monitor = socket.monitor();
        scene.at = socket.bind("tcp://127.0.0.1:*").unwrap();
        scene.socket = socket;
        scene
    }

    /// A peer that has said nothing.
    fn stranger(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at.as_str().trim_start_matches("tcp://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// All that a peer says in its handshake.
    fn handshake(kind: &str) -> Vec<u8> {
        let mut bytes = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL".to_vec();
        bytes.resize(64, 0);
        let ready = [b"\x05READY\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()];
        let ready = ready.concat();
        bytes.extend_from_slice(&[4, ready.len() as u8]);
        bytes.extend_from_slice(&ready);
        bytes
    }

    /// A peer that has shaken hands as a socket of that kind.
    fn peer(&self, kind: &str) -> TcpStream {
        let mut stream = self.stranger();
        stream.write_all(&Scene::handshake(kind)).unwrap();
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
            // An honest peer that was served goes as well, sooner or later.
            if let What::Disconnected(lost @ Lost::Protocol(_)) = event.what {
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
        // What a hostile one sent that looks like a message is one.
        while self.socket.recv_timeout(PATIENCE).unwrap()[0] != *"honest" {}
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

#[test]
fn a_thousand_handshakes_that_stop_half_way_take_little_and_others_are_served() {
    // Both ends of each are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let thousand = limit.maximum.map_or(1000, |most| (most / 4).min(1000) as usize);
    let scene = Scene::new(Kind::Pull);
    let handshake = Scene::handshake("PUSH");
    // Some stop within the greeting, some behind it, some in the middle of a command, and some
    // announce one of 64 KiB.
    let mut stops: Vec<&[u8]> = [0, 5, 10, 12, 64, 66, 80].map(|at| &handshake[..at]).to_vec();
    let long = [&handshake[..64], b"\x06\0\0\0\0\0\0\xff\xff"].concat();
    stops.push(&long);
    let half: Vec<TcpStream> = (0..thousand)
        .map(|n| {
            let mut peer = scene.stranger();
            peer.write_all(stops[n % stops.len()]).unwrap();
            peer
        })
        .collect();
    scene.serves();
    scene.has_not_grown();
    drop(half);
    scene.serves();
}

#[test]
fn a_greeting_byte_by_byte_gets_no_more_time_than_another() {
    let ivl = Duration::from_millis(100);
    let scene = Scene::of(Socket::builder(Kind::Pull).handshake_ivl(ivl).build().unwrap());
    let mut slow = scene.stranger();
    let greeting = Scene::handshake("PUSH");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The last byte of the greeting never comes; the others, one after another, as long as
            // they are taken.
            for byte in &greeting[..63] {
                if slow.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(ivl / 10);
            }
        });
        scene.serves();
    });
    let late = |what: &What| {
        matches!(what, What::HandshakeFailed(why)
        if why.to_string().contains("handshake_ivl"))
    };
    while !late(&scene.monitor.recv_timeout(PATIENCE).expect("it is given up").what) {}
}

#[test]
fn noise_behind_a_handshake_hurts_nobody_else() {
    let scene = Scene::new(Kind::Pull);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    for _ in 0..100 {
        let mut peer = scene.peer("PUSH");
        let bytes: Vec<u8> = (0..2048).map(|_| noise()).collect();
        // It may be cut off in the middle.
        let _ = peer.write_all(&bytes);
    }
    // Each ends by what it said, or because it went.
    for _ in 0..100 {
        let ended = |what: &What| matches!(what, What::Disconnected(_));
        while !ended(&scene.monitor.recv_timeout(PATIENCE).expect("it ended").what) {
            while scene.socket.try_recv().is_ok() {}
        }
    }
    scene.serves();
    scene.has_not_grown();
}

#[test]
fn commands_out_of_place_are_passed_over_unless_they_are_malformed() {
    let scene = Scene::new(Kind::Pull);
    let mut peer = scene.peer("PUSH");
    let commands: [&[u8]; 7] = [
        b"\x09SUBSCRIBEa",
        b"\x06CANCELa",
        b"\x04JOINgroup",
        b"\x05LEAVEgroup",
        b"\x05READY\x0bSocket-Type\0\0\0\x03SUB",
        b"\x05HELLO\x01a\x01b",
        b"\x04PONG",
    ];
    for command in commands {
        peer.write_all(&[&[4, command.len() as u8], command].concat()).unwrap();
    }
    // They may come between the frames of a message, too.
    peer.write_all(b"\x01\x01a\x04\x05\x04PONG\x00\x01b").unwrap();
    let message = scene.socket.recv_timeout(PATIENCE).unwrap();
    assert_eq!(message, Message::from("a").with("b"));
    peer.write_all(b"\x04\x06\x04PING\0").unwrap();
    scene.serves();
    assert!(scene.breach().contains("PING"));
    // No command goes on in another frame.
    let mut peer = scene.peer("PUSH");
    peer.write_all(b"\x05\x05\x04PONG").unwrap();
    scene.serves();
    assert!(scene.breach().contains("flags 0x05"));
}

#[test]
fn groups_without_end_are_ended() {
    let scene = Scene::new(Kind::Radio);
    let dish = Dish::new();
    dish.join("news").unwrap();
    dish.connect(&scene.at).unwrap();
    let mut peer = scene.peer("DISH");
    let mut joins = Vec::new();
    let mut ended = false;
    for n in 0..600_000_u32 {
        joins.extend_from_slice(b"\x04\xcd\x04JOIN");
        joins.extend_from_slice(format!("{n:0200}").as_bytes());
        if joins.len() > 1 << 20 {
            ended = ended || peer.write_all(&joins).is_err();
            joins.clear();
        }
    }
    assert!(ended, "114 MiB of groups were taken");
    assert!(scene.breach().contains("groups"));
    let news = || Message::from("news").with("is anybody there");
    let start = Instant::now();
    loop {
        scene.socket.send(news()).unwrap();
        if dish.recv_timeout(Duration::from_millis(5)).is_ok() {
            break;
        }
        assert!(start.elapsed() < PATIENCE);
    }
    let grown = resident().saturating_sub(scene.resident_before);
    assert!(grown < 320 << 20, "by {} MiB", grown >> 20);
}
