//! Two threads.

use std::thread;

use super::*;

/// Small under miri, which runs a few thousand times slower.
const STREAM: u64 = if cfg!(miri) { 60 } else { 50_000 };

/// How many ways to send there are. Under miri, none that borrows: it (1.97 nightly) fails an
/// assertion of its own where plain and atomic accesses to the same bytes alternate for long.
const SENDS: u64 = if cfg!(miri) { 2 } else { 3 };

/// Records of all lengths, by all the ways to send and to receive, over many laps.
#[test]
fn a_stream_between_two_threads_is_whole_and_in_order() {
    let ((mut producer, mut consumer), ..) = ring(1024);
    let sender = thread::spawn(move || {
        for n in 0..STREAM {
            let payload = vec![n as u8; 8 + (n * n % 300) as usize];
            let number = n.to_ne_bytes();
            loop {
                let sent = match n % SENDS {
                    0 => producer.try_send_parts(n as u16, &[&number, &payload[8..]]),
                    1 => producer.stage_parts(n as u16, &[&number, &payload[8..]]),
                    // SAFETY: the consumer below keeps the protocol.
                    _ => unsafe { producer.reserve(payload.len()) }.map(|mut room| {
                        room.copy_from_slice(&payload);
                        room[..8].copy_from_slice(&number);
                        room.commit(n as u16, payload.len());
                    }),
                };
                match sent {
                    Ok(()) => break,
                    Err(SendError::Full) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        producer.publish();
    });
    let mut payload = Vec::new();
    for n in 0..STREAM {
        let tag = loop {
            let received = if cfg!(miri) || n % 2 == 0 {
                consumer.try_recv(&mut payload).unwrap().map(|record| record.tag)
            } else {
                // SAFETY: the producer above keeps the protocol.
                unsafe { consumer.peek() }.unwrap().map(|record| {
                    payload.clear();
                    payload.extend_from_slice(&record);
                    let tag = record.tag();
                    record.release();
                    tag
                })
            };
            match received {
                Some(tag) => break tag,
                None => thread::yield_now(),
            }
        };
        assert_eq!((tag, &payload[..8]), (n as u16, &n.to_ne_bytes()[..]));
        assert_eq!(payload.len(), 8 + (n * n % 300) as usize);
        assert!(payload[8..].iter().all(|byte| *byte == n as u8));
    }
    sender.join().unwrap();
    assert_eq!(consumer.is_ready(), Ok(false));
}
