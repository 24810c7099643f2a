//! What every backend of the reactor must do, said through the public interface alone.
//!
//! The tests are generic over [`Backend`]; `conformance!` at the end runs them all on one. Nothing
//! here depends on how long a thing takes: waits end when what is waited for has happened, and a
//! test that would wait for ever is ended by the read timeout of its sockets or by [`eventually`].

mod backend;
mod services;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use backend::{Backend, Mio, Running, eventually};
use chaski_reactor::{Closed, Limits, Output};
use services::{Command, Event, Framed, Script, frame};

/// Bytes that differ everywhere, so that what is lost, doubled or moved shows.
fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let mut bytes = vec![0; len.next_multiple_of(8)];
    bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&next().to_le_bytes()));
    bytes.truncate(len);
    bytes
}

/// A file of these bytes that has no name.
fn file_of(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

fn read_exact(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Small enough that every bound is met by a few kilobytes.
fn tight() -> Limits {
    Limits { turn_bytes: 4 << 10, unsent_bytes_max: 64 << 10, ..Limits::default() }
}

fn echo_in_odd_pieces<B: Backend>() {
    for limits in [Limits::default(), tight()] {
        let running = Running::<B, _>::start(limits, Framed::default());
        for (n, len) in
            [0, 1, 2, 100, 4093, 4096, 65_531, 65_536, 1 << 20, 8 << 20].into_iter().enumerate()
        {
            let stream = running.connect();
            let sent = frame(&pattern(len, n as u64));
            let answer = thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut rest, mut step) = (&sent[..], 1);
                    while !rest.is_empty() {
                        let (piece, later) = rest.split_at(rest.len().min(step));
                        (&stream).write_all(piece).unwrap();
                        (rest, step) = (later, step * 3 + 1);
                    }
                });
                read_exact(&mut stream.try_clone().unwrap(), sent.len())
            });
            assert!(answer == sent, "{len} bytes came back changed");
        }
        running.stop();
    }
}

fn byte_by_byte<B: Backend>() {
    let running = Running::<B, _>::start(tight(), Framed::default());
    let mut stream = running.connect();
    let sent = frame(b"one byte after the other");
    for byte in &sent {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_exact(&mut stream, sent.len()), sent);
    running.stop();
}

fn pipelining_keeps_order<B: Backend>() {
    let running = Running::<B, _>::start(tight(), Framed::default());
    let stream = running.connect();
    let sent: Vec<u8> = (0..5000u64).flat_map(|n| frame(&pattern(n as usize % 300, n))).collect();
    let answer = thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&sent).unwrap());
        read_exact(&mut stream.try_clone().unwrap(), sent.len())
    });
    assert!(answer == sent);
    running.stop();
}

/// A connection that never stops sending is served a bounded number of bytes in each turn, and so
/// keeps nobody from being answered.
fn a_firehose_starves_nobody<B: Backend>() {
    let limits = tight();
    let turn = limits.turn_bytes;
    let running = Running::<B, _>::start(limits, Framed { sink_first: true, ..Framed::default() });
    let firehose = running.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let block = vec![0; 1 << 20];
            while (&firehose).write_all(&block).is_ok() {}
        });
        running.wait_for(|stats| stats.bytes_in.load(Ordering::Relaxed) > 4 << 20);
        let mut quiet = running.connect();
        let sent = frame(b"am I heard?");
        for _ in 0..200 {
            quiet.write_all(&sent).unwrap();
            assert_eq!(read_exact(&mut quiet, sent.len()), sent);
        }
        firehose.shutdown(Shutdown::Both).unwrap();
    });
    let service = running.stop();
    assert!(service.sink_turn_max <= turn, "{} bytes in one turn", service.sink_turn_max);
}

fn files_are_sent_byte_exact<B: Backend>() {
    let bytes = pattern(3 << 20, 1);
    let file = file_of(&bytes);
    let range = |position: usize, len| Output::File {
        file: Arc::clone(&file),
        position: position as u64,
        len,
    };
    // Headers, ranges short and long, at odd places, in every order of neighbours.
    let parts =
        [(0, 1), (5, 100), (1000, 16 << 10), (1, (16 << 10) - 1), (777, 2 << 20), (9, 70_000)];
    let mut expected = Vec::new();
    let mut outputs = Vec::new();
    for (n, &(position, len)) in parts.iter().cycle().take(30).enumerate() {
        let header = pattern(n * 37 % 200, n as u64);
        expected.extend_from_slice(&header);
        expected.extend_from_slice(&bytes[position..position + len]);
        outputs.push(if n % 2 == 0 {
            Output::Bytes(header)
        } else {
            Output::Shared(header.into())
        });
        outputs.push(range(position, len));
    }
    outputs.push(Output::Bytes(Vec::new()));
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let mut stream = running.connect();
    let id = running.opened();
    for output in outputs {
        running.handle.send_quietly(Command::Send(id, output));
    }
    running.handle.send(Command::Close(id));
    // A slow reader: small reads, with pauses, until the socket's buffers have been full for long.
    let mut got = Vec::new();
    let mut buffer = vec![0; 50_000];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buffer[..n]),
        }
        if got.len() < 4 << 20 {
            thread::sleep(Duration::from_micros(300));
        }
    }
    assert_eq!(got.len(), expected.len());
    assert!(got == expected);
    running.closed(id, |why| matches!(why, Closed::Service));
    running.stop();
}

fn many_small_outputs_leave_in_order<B: Backend>() {
    let bytes = pattern(10_000, 4);
    let file = file_of(&bytes);
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let mut stream = running.connect();
    let id = running.opened();
    let mut expected = Vec::new();
    for n in 0..5000usize {
        let len = n % 71;
        let output = if n % 3 == 0 {
            expected.extend_from_slice(&bytes[n..n + len]);
            Output::File { file: Arc::clone(&file), position: n as u64, len }
        } else {
            let bytes = pattern(len, n as u64);
            expected.extend_from_slice(&bytes);
            Output::Bytes(bytes)
        };
        running.handle.send_quietly(Command::Send(id, output));
    }
    running.handle.wake();
    assert!(read_exact(&mut stream, expected.len()) == expected);
    running.stop();
}

/// A file that is shorter than what was promised of it ends the connection, whichever way it is
/// sent.
fn a_short_file_ends_the_connection<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    for len in [100, 1 << 20] {
        let file = file_of(&pattern(len - 1, 2));
        let mut stream = running.connect();
        let id = running.opened();
        running.handle.send(Command::Send(id, Output::File { file, position: 0, len }));
        running.closed(id, |why| {
            matches!(why, Closed::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
        });
        let mut got = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut got);
        assert!(got.len() < len);
    }
    running.stop();
}

/// A peer that asks and does not read: what is held for it stays bounded, and all of it comes once
/// the peer reads.
fn unread_answers_push_back<B: Backend>() {
    let limits = tight();
    let running = Running::<B, _>::start(limits.clone(), Framed::default());
    let stream = running.connect();
    // More than both sockets' buffers can take in.
    let sent: Vec<u8> = (0..1000).flat_map(|n| frame(&pattern(64 << 10, n))).collect();
    let mut unsent_max = 0;
    thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&sent).unwrap());
        let unsent = || running.stats.unsent_bytes.load(Ordering::Relaxed) as usize;
        // What is choked stays so down to half of the limit.
        eventually("output piles up", || unsent() > limits.unsent_bytes_max / 2);
        assert!(running.stats.bytes_in.load(Ordering::Relaxed) < sent.len() as u64 / 2);
        let mut got = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        while got.len() < sent.len() {
            unsent_max = unsent_max.max(unsent());
            let n = (&stream).read(&mut buffer).unwrap();
            assert_ne!(n, 0);
            got.extend_from_slice(&buffer[..n]);
        }
        assert!(got == sent);
    });
    // Past the limit by no more than what one turn's input makes.
    let slack = (64 << 10) + 2 * limits.turn_bytes;
    assert!(unsent_max <= limits.unsent_bytes_max + slack, "{unsent_max} bytes held");
    eventually("all is sent", || running.stats.unsent_bytes.load(Ordering::Relaxed) == 0);
    running.stop();
}

/// Frames that are announced and do not come cost what has come of them.
fn announced_frames_cost_what_came<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Framed::default());
    let mut streams: Vec<TcpStream> = (0..200).map(|_| running.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&(90u32 << 20).to_be_bytes()).unwrap();
        stream.write_all(&[1; 1000]).unwrap();
    }
    running.wait_for(|stats| stats.bytes_in.load(Ordering::Relaxed) == 200 * 1004);
    let held = running.stats.input_bytes.load(Ordering::Relaxed);
    assert!(held <= 33 * (256 << 10) + 200 * 4 * 1004, "{held} bytes held");
    drop(streams);
    running.wait_for(|stats| stats.input_bytes.load(Ordering::Relaxed) == 0);
    running.stop();
}

/// The peer shuts down its side after its last request, and still gets all its answers.
fn half_close_still_answers<B: Backend>() {
    let running = Running::<B, _>::start(tight(), Framed::default());
    for len in [10, 40_000, 1 << 20] {
        let mut stream = running.connect();
        let sent: Vec<u8> = (0..3).flat_map(|n| frame(&pattern(len, n))).collect();
        let mut writer = stream.try_clone().unwrap();
        let bytes = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(read_to_end(&mut stream) == sent);
        writing.join().unwrap();
    }
    running.wait_for(|stats| stats.connections.load(Ordering::Relaxed) == 0);
    let service = running.stop();
    assert_eq!((service.opened, service.closed), (3, 3));
}

fn a_reset_is_told_once<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    for paused in [false, true] {
        let mut stream = running.connect();
        let id = running.opened();
        stream.write_all(b"x").unwrap();
        assert_eq!(running.received(id), b"x");
        running.handle.send(Command::Pause(id, paused));
        // To close with unread input makes the kernel send a reset.
        running.handle.send(Command::Send(id, Output::Bytes(vec![1; 10])));
        let mut one = [0];
        stream.read_exact(&mut one).unwrap();
        drop(stream);
        running.closed(id, |why| matches!(why, Closed::Io(_)));
    }
    assert_eq!(running.stop().closed, 2);
}

/// A paused connection is given nothing, not even what came before; on resumption it is all there.
fn pause_holds_input_and_resume_offers_it<B: Backend>() {
    let running = Running::<B, _>::start(tight(), Script { consume: Some(3), ..Script::default() });
    let mut stream = running.connect();
    let id = running.opened();
    stream.write_all(b"abcdef").unwrap();
    assert_eq!(running.received(id), b"abcdef");
    running.handle.send(Command::Pause(id, true));
    stream.write_all(b"ghi").unwrap();
    // The other connection's echo shows that turns went by.
    let mut other = running.connect();
    let other_id = running.opened();
    other.write_all(b"123").unwrap();
    assert_eq!(running.received(other_id), b"123");
    running.handle.send(Command::Pause(id, false));
    // What was left is offered at once, and then with what came since.
    let mut all = running.received(id);
    assert_eq!(&all[..3], b"def");
    if all == b"def" {
        all = running.received(id);
        assert_eq!(all, b"ghi");
    } else {
        assert_eq!(all, b"defghi");
    }
    running.stop();
}

fn refused_connections_end<B: Backend>() {
    let running =
        Running::<B, _>::start(Limits::default(), Framed { refuse: true, ..Framed::default() });
    for _ in 0..10 {
        let mut stream = running.connect();
        assert_eq!(read_to_end(&mut stream), b"no");
    }
    let service = running.stop();
    assert_eq!((service.opened, service.closed), (10, 0));
}

fn one_connection_too_many_is_closed<B: Backend>() {
    let limits = Limits { connections_max: 3, ..Limits::default() };
    let running = Running::<B, _>::start(limits, Framed::default());
    let hello = frame(b"hello");
    let mut inside: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = running.connect();
            stream.write_all(&hello).unwrap();
            assert_eq!(read_exact(&mut stream, hello.len()), hello);
            stream
        })
        .collect();
    assert_eq!(read_to_end(&mut running.connect()), b"");
    inside.pop();
    running.wait_for(|stats| stats.connections.load(Ordering::Relaxed) == 2);
    let mut stream = running.connect();
    stream.write_all(&hello).unwrap();
    assert_eq!(read_exact(&mut stream, hello.len()), hello);
    running.stop();
}

fn a_frame_too_large_is_refused<B: Backend>() {
    let limits = Limits { frame_bytes_max: 10_000, ..Limits::default() };
    let running = Running::<B, _>::start(limits, Script::default());
    let mut stream = running.connect();
    let id = running.opened();
    running.handle.send(Command::Need(10_001));
    running.handle.send(Command::Send(id, Output::Bytes(b"queued before".to_vec())));
    assert_eq!(read_exact(&mut stream, 13), b"queued before");
    stream.write_all(b"x").unwrap();
    running.closed(id, |why| matches!(why, Closed::FrameTooLarge(10_001)));
    assert_eq!(read_to_end(&mut stream), b"");
    running.stop();
}

fn idle_connections_are_closed<B: Backend>() {
    let limits = Limits { idle_max: Some(Duration::from_millis(50)), ..Limits::default() };
    let running = Running::<B, _>::start(limits, Script::default());
    let mut stream = running.connect();
    let id = running.opened();
    running.closed(id, |why| matches!(why, Closed::Idle));
    assert_eq!(read_to_end(&mut stream), b"");
    running.stop();
}

/// A peer that never reads does not keep a closed connection for ever.
fn a_closing_connection_lingers_only_so_long<B: Backend>() {
    let limits = Limits { linger_max: Duration::from_millis(50), ..Limits::default() };
    let running = Running::<B, _>::start(limits, Script::default());
    let stream = running.connect();
    let id = running.opened();
    running.handle.send(Command::Send(id, Output::Bytes(vec![0; 64 << 20])));
    running.handle.send(Command::Close(id));
    running.closed(id, |why| matches!(why, Closed::Idle));
    running.wait_for(|stats| stats.unsent_bytes.load(Ordering::Relaxed) == 0);
    drop(stream);
    running.stop();
}

fn messages_of_four_threads_all_arrive<B: Backend>() {
    const EACH: u64 = 20_000;
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let handle = running.handle.clone();
            thread::spawn(move || {
                for n in 0..EACH {
                    match n % 5 {
                        0 => handle.send_quietly(Command::Count(sender, n)),
                        1 => {
                            handle.send_quietly(Command::Count(sender, n));
                            handle.wake();
                        }
                        _ => handle.send(Command::Count(sender, n)),
                    }
                    if n % 1000 == 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                }
                handle.wake();
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let service = running.stop();
    assert_eq!(service.counted, [EACH; 4], "in order, each once");
}

/// One message at a time, each awaited: every one of them finds the reactor asleep or nearly so.
fn a_lone_message_always_wakes<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let (reply, replies) = mpsc::channel();
    for n in 0..3000 {
        running.handle.send(Command::Echo(n, reply.clone()));
        assert_eq!(replies.recv_timeout(backend::PATIENCE), Ok(n));
    }
    running.stop();
}

/// A service that sends to its own reactor is heard in a later turn.
fn messages_from_within_arrive<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let (reply, replies) = mpsc::channel();
    let own = running.handle.clone();
    running.handle.send(Command::Relay(own, 100, reply));
    assert_eq!(replies.recv_timeout(backend::PATIENCE), Ok(0));
    running.stop();
}

fn timers_fire_in_order<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let timers = [(30, 5), (10, 2), (20, 3), (20, 4), (0, 1), (60, 6)];
    running.handle.send(Command::Timers(timers.map(|(ms, key)| (at(ms), key)).to_vec()));
    for (ms, expected) in [(0, 1), (10, 2), (20, 3), (20, 4), (30, 5), (60, 6)] {
        let (key, when) = running.event(|event| match event {
            Event::Timer(key, when) => Some((*key, *when)),
            _ => None,
        });
        assert_eq!(key, expected);
        assert!(when >= at(ms), "timer {key} came before its time");
    }
    running.stop();
}

fn stop_sends_what_is_queued<B: Backend>() {
    let bytes = pattern(20 << 20, 3);
    let file = file_of(&bytes);
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let mut stream = running.connect();
    let id = running.opened();
    stream.write_all(b"unread input must not turn the end into a reset").unwrap();
    running.received(id);
    running.handle.send_quietly(Command::Send(id, Output::Bytes(bytes.clone())));
    running
        .handle
        .send_quietly(Command::Send(id, Output::File { file, position: 0, len: bytes.len() }));
    running.handle.send(Command::Stop(backend::PATIENCE));
    let got = read_to_end(&mut stream);
    assert_eq!(got.len(), 2 * bytes.len());
    assert!(got[..bytes.len()] == bytes && got[bytes.len()..] == bytes);
    running.join();
}

/// A peer that does not read keeps the end waiting for its grace, and no longer.
fn stop_does_not_wait_for_ever<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    let stream = running.connect();
    let id = running.opened();
    running.handle.send_quietly(Command::Send(id, Output::Bytes(vec![0; 64 << 20])));
    running.handle.send(Command::Stop(Duration::from_millis(20)));
    running.join();
    drop(stream);
}

fn a_thousand_connections<B: Backend>() {
    backend::raise_descriptor_limit();
    let running = Running::<B, _>::start(Limits::default(), Framed::default());
    let mut streams: Vec<TcpStream> = (0..1000).map(|_| running.connect()).collect();
    for round in 0..3 {
        for (n, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&frame(&pattern(200, n as u64 + round))).unwrap();
        }
        for (n, stream) in streams.iter_mut().enumerate() {
            let expected = frame(&pattern(200, n as u64 + round));
            assert_eq!(read_exact(stream, expected.len()), expected);
        }
    }
    running.wait_for(|stats| stats.input_bytes.load(Ordering::Relaxed) == 0);
    assert_eq!(running.stats.connections.load(Ordering::Relaxed), 1000);
    drop(streams);
    running.wait_for(|stats| stats.connections.load(Ordering::Relaxed) == 0);
    let service = running.stop();
    assert_eq!((service.opened, service.closed), (1000, 1000));
}

/// Connections that one reactor accepts for another, and those that came from elsewhere.
fn connections_are_handed_over<B: Backend>() {
    let first = Running::<B, _>::start(Limits::default(), Framed::default());
    let second = Running::<B, _>::start_behind(
        Limits::default(),
        Framed::default(),
        vec![first.handle.clone()],
    );
    let hello = frame(b"hello");
    let mut streams: Vec<TcpStream> = (0..10).map(|_| second.connect()).collect();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    streams.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    first.handle.adopt(listener.accept().unwrap().0);
    for stream in &mut streams {
        stream.write_all(&hello).unwrap();
        assert_eq!(read_exact(stream, hello.len()), hello);
    }
    let shares = [first.stop().opened, second.stop().opened];
    assert_eq!(shares, [6, 5]);
}

/// `turn_ended` comes after all calls of a turn and before its output: what a service gathers is
/// answered in the same turn.
fn turns_end_after_their_calls<B: Backend>() {
    let running =
        Running::<B, _>::start(Limits::default(), Framed { gather: true, ..Framed::default() });
    let mut stream = running.connect();
    for n in 0..100 {
        let sent = frame(&pattern(n, n as u64));
        stream.write_all(&sent).unwrap();
        assert_eq!(read_exact(&mut stream, sent.len()), sent);
    }
    running.stop();
}

fn spinning_changes_nothing<B: Backend>() {
    let limits = Limits { spin: Duration::from_micros(200), ..Limits::default() };
    let running = Running::<B, _>::start(limits, Framed::default());
    let mut stream = running.connect();
    for n in 0..500 {
        let sent = frame(&pattern(n, n as u64));
        stream.write_all(&sent).unwrap();
        assert_eq!(read_exact(&mut stream, sent.len()), sent);
        if n % 100 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    running.stop();
}

/// Ids of connections that are gone are harmless.
fn old_ids_do_nothing<B: Backend>() {
    let running = Running::<B, _>::start(Limits::default(), Script::default());
    drop(running.connect());
    let old = running.opened();
    running.closed(old, |why| matches!(why, Closed::Peer));
    let mut stream = running.connect();
    let new = running.opened();
    assert_ne!(old, new);
    running.handle.send_quietly(Command::Send(old, Output::Bytes(b"for the dead".to_vec())));
    running.handle.send_quietly(Command::Pause(old, true));
    running.handle.send_quietly(Command::Close(old));
    running.handle.send(Command::Send(new, Output::Bytes(b"for the living".to_vec())));
    assert_eq!(read_exact(&mut stream, 14), b"for the living");
    running.stop();
}

/// Runs every test on one backend.
macro_rules! conformance {
    ($name:ident, $backend:ty, [$($test:ident),* $(,)?]) => {
        mod $name {
            $(#[test] fn $test() { super::$test::<$backend>(); })*
        }
    };
}

conformance!(
    mio,
    super::Mio,
    [
        a_closing_connection_lingers_only_so_long,
        a_firehose_starves_nobody,
        a_frame_too_large_is_refused,
        a_lone_message_always_wakes,
        a_reset_is_told_once,
        a_short_file_ends_the_connection,
        a_thousand_connections,
        announced_frames_cost_what_came,
        byte_by_byte,
        connections_are_handed_over,
        echo_in_odd_pieces,
        files_are_sent_byte_exact,
        half_close_still_answers,
        idle_connections_are_closed,
        many_small_outputs_leave_in_order,
        messages_from_within_arrive,
        messages_of_four_threads_all_arrive,
        old_ids_do_nothing,
        one_connection_too_many_is_closed,
        pause_holds_input_and_resume_offers_it,
        pipelining_keeps_order,
        refused_connections_end,
        spinning_changes_nothing,
        stop_does_not_wait_for_ever,
        stop_sends_what_is_queued,
        timers_fire_in_order,
        turns_end_after_their_calls,
        unread_answers_push_back,
    ]
);
