//! The outbox against a model, over a stream that takes little at a time; and by many threads.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::thread;

use chaski_zmtp::{Decoder, Incoming, Limits};
use proptest::prelude::*;
use socket2::SockRef;

use super::*;

/// A stream whose kernel buffers are as small as may be, and its other end.
fn narrow() -> (Arc<Stream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    for end in [&ours, &theirs] {
        SockRef::from(end).set_send_buffer_size(1).unwrap();
        end.set_nonblocking(true).unwrap();
    }
    (Arc::new(Stream::Unix(ours)), theirs)
}

/// Sends as a socket does, without the patience to hold anything back.
fn send(outbox: &Outbox, body: &[u8]) -> After {
    let message = Outgoing::from(body);
    let after = outbox.push(&message, false, &mut Clock::default());
    match after {
        After::Flush => drop(outbox.flush()),
        After::Through => drop(outbox.write_through(&message)),
        After::Rest | After::Arm { .. } | After::Close => {}
    }
    after
}

/// The other end: what it has read, and the messages in that.
struct Reader {
    stream: UnixStream,
    decoder: Decoder,
}

impl Reader {
    fn new(stream: UnixStream) -> Self {
        let decoder = Decoder::new(Limits::default(), Version::V3_1, None);
        Reader { stream, decoder }
    }

    /// Reads at most so many bytes, and adds the numbers of the messages that are whole now.
    fn read(&mut self, count: usize, numbers: &mut Vec<u32>) -> usize {
        let mut bytes = vec![0; count];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        self.decoder.feed(&bytes[..count]);
        while let Some(Incoming::Message(message)) = self.decoder.next().unwrap() {
            let (number, fill) = message[0].split_first_chunk().unwrap();
            let number = u32::from_le_bytes(*number);
            assert!(fill.iter().all(|byte| *byte == number as u8));
            numbers.push(number);
        }
        count
    }
}

fn body(number: u32, size: usize) -> Vec<u8> {
    let mut body = vec![number as u8; 4 + size];
    body[..4].copy_from_slice(&number.to_le_bytes());
    body
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Flush,
    Read(usize),
    Tick,
    /// The connection breaks, and another comes.
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop::sample::select(vec![0, 30, 300, 4092, 9000, 70_000]);
    prop_oneof![
        8 => size.prop_map(Step::Send),
        2 => Just(Step::Flush),
        6 => (1..9000_usize).prop_map(Step::Read),
        1 => Just(Step::Tick),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every message arrives once and in order, over any number of connections, if the peer reads
    /// each to its end: what a broken connection had taken in part goes whole by the next.
    #[test]
    fn messages_arrive_in_order_however_little_is_taken(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let outbox = Outbox::new(0, Framing::Zmtp);
        let (stream, end) = narrow();
        outbox.connect(stream, Version::V3_1, None, []);
        let (mut reader, mut sent, mut got) = (Reader::new(end), 0, Vec::new());
        for step in steps {
            match step {
                Step::Send(size) => {
                    let _ = send(&outbox, &body(sent, size));
                    sent += 1;
                }
                Step::Flush => drop(outbox.flush()),
                Step::Read(count) => {
                    reader.read(count, &mut got);
                    drop(outbox.flush_stuck());
                }
                Step::Tick => drop(outbox.tick(false, false)),
                Step::Reconnect => {
                    let queued = outbox.queued();
                    outbox.disconnect();
                    prop_assert_eq!(outbox.queued(), queued);
                    // What lies in the kernel is lost, unless it is read now.
                    while reader.read(9000, &mut got) > 0 {}
                    let (stream, end) = narrow();
                    outbox.connect(stream, Version::V3_1, None, []);
                    reader = Reader::new(end);
                }
            }
        }
        let mut rounds = 0;
        while reader.read(9000, &mut got) > 0 || outbox.queued() > 0 {
            drop(outbox.flush_stuck());
            rounds += 1;
            prop_assert!(rounds < 100_000, "{} messages are stuck", outbox.queued());
        }
        prop_assert_eq!(got, (0..sent).collect::<Vec<_>>());
    }
}

#[test]
fn many_threads_append_while_one_writes() {
    const EACH: u32 = 3_000;
    const THREADS: u32 = 4;
    let outbox = Outbox::new(0, Framing::Zmtp);
    let (stream, end) = narrow();
    outbox.connect(stream, Version::V3_1, None, []);
    let mut got = Vec::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let outbox = &outbox;
            scope.spawn(move || {
                for number in 0..EACH {
                    let number = thread * EACH + number;
                    let _ = send(
                        outbox,
                        &body(number, if number.is_multiple_of(97) { 5000 } else { 20 }),
                    );
                }
            });
        }
        // Reads, and turns the outbox loose as the writable edge would.
        let mut reader = Reader::new(end);
        while got.len() < (THREADS * EACH) as usize {
            reader.read(9000, &mut got);
            drop(outbox.flush_stuck());
        }
    });
    assert_eq!(outbox.queued(), 0);
    for thread in 0..THREADS {
        let range = thread * EACH..(thread + 1) * EACH;
        let numbers: Vec<u32> = got.iter().copied().filter(|n| range.contains(n)).collect();
        assert_eq!(numbers, range.collect::<Vec<_>>());
    }
}

#[test]
fn a_lone_send_is_written_and_a_burst_is_gathered() {
    let outbox = Outbox::new(0, Framing::Zmtp);
    let (stream, _end) = narrow();
    outbox.connect(stream, Version::V3_1, None, []);
    let message = Outgoing::from("x");
    let mut now = Clock(Some(Instant::now()));
    assert_eq!(outbox.push(&message, false, &mut now), After::Flush);
    let _ = outbox.flush();
    // The user has received messages left to take: this one waits for the next.
    assert_eq!(outbox.push(&message, true, &mut now), After::Arm { driver: true });
    assert_eq!(outbox.push(&message, false, &mut now), After::Rest);
    assert_eq!(outbox.queued(), 2);
    let _ = outbox.flush();
    assert_eq!(outbox.queued(), 0);
    // Enough for one write is written, whatever the pace.
    assert_eq!(outbox.push(&message, true, &mut now), After::Arm { driver: false });
    let large = Outgoing::from(vec![0; GATHER_BYTES]);
    assert_eq!(outbox.push(&large, true, &mut now), After::Flush);
}

#[test]
fn a_tick_takes_what_is_left_lying_and_then_retires() {
    let outbox = Outbox::new(0, Framing::Zmtp);
    let (stream, _end) = narrow();
    outbox.connect(stream, Version::V3_1, None, []);
    let message = Outgoing::from("x");
    let mut now = Clock::default();
    assert_eq!(outbox.push(&message, true, &mut now), After::Arm { driver: true });
    // What keeps growing is left alone, for a few ticks.
    assert_eq!(outbox.tick(false, false).0, Tick::Left);
    assert_eq!(outbox.tick(false, false).0, Tick::Flushed);
    assert_eq!(outbox.queued(), 0);
    assert_eq!(outbox.tick(false, false).0, Tick::Left);
    assert_eq!(outbox.tick(true, false).0, Tick::Retired);
    assert_eq!(outbox.push(&message, true, &mut now), After::Arm { driver: true });
}

#[test]
fn a_message_whose_connection_changes_before_it_is_written_counts_once() {
    let outbox = Outbox::new(1, Framing::Zmtp);
    let body = body(0, SHARED_BYTES_MIN);
    let message = Outgoing::from(&body[..]);
    for clears in [false, true] {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        outbox.connect(Arc::new(Stream::Unix(ours)), Version::V3_1, None, []);
        assert_eq!(outbox.push(&message, false, &mut Clock::default()), After::Through);
        outbox.disconnect();
        if clears {
            outbox.clear();
        }
        let (ours, _theirs) = UnixStream::pair().unwrap();
        outbox.connect(Arc::new(Stream::Unix(ours)), Version::V3_1, None, []);
        assert_eq!((outbox.queued(), outbox.has_room()), (1, false));
        assert_eq!(outbox.write_through(&message).messages, 1);
        assert_eq!((outbox.queued(), outbox.has_room()), (0, true));
    }
}
