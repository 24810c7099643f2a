//! CURVE with somebody on the wire between the two: who splits what is sent anywhere, says it
//! twice, cuts it short or changes it.
//!
//! The intruder knows frames, and which of them are of the handshake: those that are commands.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chaski_zmq::keys::KeyPair;
use chaski_zmq::{Breach, CipherError, DecodeError, Lost, Monitor, Pull, Push, What};

use crate::peer::{PATIENCE, await_event};

/// What the client sent, frame by frame: the number of the frame and its bytes, head included. What
/// it writes goes to the server.
type Tamper = Box<dyn FnMut(&mut TcpStream, usize, Vec<u8>) + Send>;

/// Two who speak CURVE by way of an intruder.
struct Scene {
    pull: Pull,
    monitor: Monitor,
    push: Push,
    intruder: JoinHandle<()>,
}

impl Scene {
    fn new(tamper: Tamper) -> Self {
        let (server, client) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let pull = Pull::builder().curve_server(true).curve_secretkey(server.secret());
        let pull = pull.build().unwrap();
        let monitor = pull.monitor();
        let at = pull.bind("tcp://127.0.0.1:*").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = format!("tcp://{}", listener.local_addr().unwrap());
        let intruder = thread::spawn(move || {
            let (from, _) = listener.accept().unwrap();
            let to = TcpStream::connect(at.as_str().trim_start_matches("tcp://")).unwrap();
            stand_between(from, to, tamper);
        });
        let push = Push::builder().curve_serverkey(server.public());
        let push = push.curve_secretkey(client.secret()).reconnect_ivl(None);
        // Where the handshake fails nobody is ever there to send to.
        let push = push.sndtimeo(PATIENCE).build().unwrap();
        push.connect(&between).unwrap();
        Scene { pull, monitor, push, intruder }
    }

    /// The connection ends, and this is said of it.
    fn catches(self, by: CipherError) {
        let what = What::Disconnected(Lost::Protocol(Breach::Decode(DecodeError::Cipher(by))));
        let (start, mut seen) = (Instant::now(), Vec::new());
        while !seen.contains(&what) {
            assert!(start.elapsed() < PATIENCE, "not {what:?}, but {seen:?}");
            // What was read already is looked at when somebody receives.
            let forged = self.pull.recv_timeout(Duration::from_millis(10));
            assert!(forged.is_err(), "nothing of what was forged is received");
            seen.extend(std::iter::from_fn(|| self.monitor.try_recv()).map(|event| event.what));
        }
        drop((self.push, self.pull));
        self.intruder.join().unwrap();
    }
}

/// Passes on what both say: the greeting as it is, and frames of the client by way of `tamper`.
fn stand_between(mut client: TcpStream, mut server: TcpStream, mut tamper: Tamper) {
    server.set_nodelay(true).unwrap();
    let (mut answers, mut answered) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut answered);
        // The client is to learn that it is over.
        let _ = answered.shutdown(std::net::Shutdown::Both);
    });
    let mut greeting = [0; 64];
    client.read_exact(&mut greeting).unwrap();
    server.write_all(&greeting).unwrap();
    let mut traffic = 0;
    while let Some(frame) = read_frame(&mut client) {
        if frame[0] & 4 != 0 {
            server.write_all(&frame).unwrap();
            continue;
        }
        tamper(&mut server, traffic, frame);
        traffic += 1;
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame).ok()?;
    let mut len = usize::from(frame[1]);
    if frame[0] & 2 != 0 {
        frame.resize(9, 0);
        from.read_exact(&mut frame[2..]).ok()?;
        len = u64::from_be_bytes(frame[1..].try_into().unwrap()) as usize;
    }
    let head = frame.len();
    frame.resize(head + len, 0);
    from.read_exact(&mut frame[head..]).ok()?;
    Some(frame)
}

#[test]
fn traffic_is_understood_wherever_the_wire_splits() {
    const BODY: usize = 200;
    // Message n goes in two parts, split before byte n; and each byte of some goes alone.
    let splits = |server: &mut TcpStream, n: usize, frame: Vec<u8>| {
        let (first, second) = frame.split_at((n + 1).min(frame.len()));
        for part in [first, second] {
            let step = if n.is_multiple_of(16) { 1 } else { part.len().max(1) };
            for piece in part.chunks(step) {
                server.write_all(piece).unwrap();
                thread::yield_now();
            }
        }
    };
    let scene = Scene::new(Box::new(splits));
    for n in 0..BODY + 40 {
        let body = vec![n as u8; if n.is_multiple_of(3) { 3 * BODY } else { BODY }];
        scene.push.send(&body[..]).unwrap();
        assert_eq!(scene.pull.recv_timeout(PATIENCE).unwrap()[0], body);
    }
}

#[test]
fn a_box_that_comes_twice_is_a_replay() {
    let scene = Scene::new(Box::new(|server, _, frame| {
        server.write_all(&frame).unwrap();
        let _ = server.write_all(&frame);
    }));
    scene.push.send("once").unwrap();
    assert_eq!(scene.pull.recv_timeout(PATIENCE).unwrap()[0], "once");
    scene.catches(CipherError::Replay);
}

#[test]
fn a_box_that_is_cut_short_is_found_out() {
    // The length says what is left of it.
    let cut = |left: usize| {
        move |server: &mut TcpStream, _: usize, mut frame: Vec<u8>| {
            frame.truncate(2 + left);
            frame[1] = left as u8;
            let _ = server.write_all(&frame);
        }
    };
    let whole = 8 + 8 + 16 + 1 + "four".len();
    for (left, by) in [(whole - 1, CipherError::Forged), (20, CipherError::Short(20))] {
        let scene = Scene::new(Box::new(cut(left)));
        scene.push.send("four").unwrap();
        scene.catches(by);
    }
}

#[test]
fn a_box_that_was_changed_anywhere_is_forged() {
    for at in [2 + 16, 2 + 20, 2 + 8 + 8 + 16 + 1] {
        let scene = Scene::new(Box::new(move |server, _, mut frame| {
            frame[at] ^= 1;
            let _ = server.write_all(&frame);
        }));
        scene.push.send("changed").unwrap();
        scene.catches(CipherError::Forged);
    }
}

#[test]
fn a_frame_in_the_clear_is_no_traffic_of_theirs() {
    let scene = Scene::new(Box::new(|server, _, _| {
        let _ = server.write_all(b"\x00\x28a message that was never sealed by them!");
    }));
    scene.push.send("sealed").unwrap();
    scene.catches(CipherError::Clear);
}

#[test]
fn who_has_another_servers_key_does_not_get_in_and_others_do() {
    let (server, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let pull = Pull::builder().curve_server(true).curve_secretkey(server.secret());
    let pull = pull.build().unwrap();
    let monitor = pull.monitor();
    let at = pull.bind("tcp://127.0.0.1:*").unwrap();
    let client = |key| {
        let push = Push::builder().curve_serverkey(key).curve_secretkey(other.secret());
        let push = push.reconnect_ivl(None).sndtimeo(PATIENCE).build().unwrap();
        push.connect(&at).unwrap();
        push
    };
    let wrong = client(other.public());
    // Refused before or after this, and for good: a call that waits could wait for ever.
    let _ = wrong.try_send("let me in");
    await_event(&monitor, |what| matches!(what, What::HandshakeFailed(_)));
    let right = client(server.public());
    right.send("let me in").unwrap();
    assert_eq!(pull.recv_timeout(PATIENCE).unwrap()[0], "let me in");
    assert!(pull.try_recv().is_err());
}
