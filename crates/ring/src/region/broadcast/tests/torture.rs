//! Threads: subscribers that are lapped while they copy, and some that may lose nothing.

use std::thread;

use super::*;

/// Small under miri, which runs a few thousand times slower.
const COUNT: u64 = if cfg!(miri) { 16 } else { 60_000 };

/// A payload each of whose words tells its number, of a length that tells it too.
fn payload(n: u64) -> Vec<u8> {
    let words = 1 + (n * n % 50) as usize;
    (0..words).flat_map(|at| (n * 64 + at as u64).to_ne_bytes()).collect()
}

/// Reads to the end; records received and lost. With `pause` it goes on after each so many.
fn read(mut subscriber: In, pause: u64) -> (u64, u64) {
    let (mut received, mut lost, mut buffer) = (0, 0, Vec::new());
    while received + lost < COUNT {
        match subscriber.try_recv(&mut buffer) {
            Ok(Some(record)) => {
                assert_eq!(record.sequence, received + lost, "each once, in order");
                assert_eq!(buffer, payload(record.sequence), "torn");
                assert_eq!(record.tag, record.sequence as u16);
                received += 1;
            }
            Ok(None) => thread::yield_now(),
            Err(RecvError::Lagged { lost: some }) => {
                assert!(some > 0);
                lost += some;
            }
            Err(error) => panic!("{error}"),
        }
        if received % pause == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(subscriber.lost(), lost);
    (received, lost)
}

fn publish(out: &mut Out, n: u64) {
    let payload = payload(n);
    loop {
        let published = match n % 3 {
            0 => out.try_publish(n as u16, &payload),
            1 => out.try_publish_parts(n as u16, &[&payload[..5], &payload[5..]]),
            _ => out.stage(n as u16, &payload),
        };
        match published {
            Ok(()) => return,
            Err(PublishError::Full) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Publishes all, while each of the readers reads.
fn lap(pauses: &[u64]) {
    let (mut out, area) = publisher(1024, 0);
    let readers: Vec<_> = pauses
        .iter()
        .map(|pause| (subscribe(&mut out, &area, Policy::DropOldest, 0).1, *pause))
        .map(|(subscriber, pause)| thread::spawn(move || read(subscriber, pause)))
        .collect();
    for n in 0..COUNT {
        publish(&mut out, n);
        if n % 512 == 0 {
            // So that the readers are there, and in the middle of something.
            thread::yield_now();
        }
    }
    out.publish();
    for reader in readers {
        let (received, lost) = reader.join().unwrap();
        assert_eq!(received + lost, COUNT);
    }
}

/// The reader is always at the oldest record, the next to be written over.
#[test]
fn one_that_is_lapped_while_it_copies_sees_whole_records() {
    lap(&[u64::MAX]);
}

// More of the same to miri, which takes half a minute for it.
#[cfg(not(miri))]
#[test]
fn several_that_are_lapped_count_what_they_lose() {
    lap(&[1, 16, u64::MAX]);
}

#[test]
fn subscribers_that_are_waited_for_get_all() {
    let (mut out, area) = publisher(1024, 0);
    let waited_for: Vec<_> = (0..2)
        .map(|_| subscribe(&mut out, &area, Policy::Block, 0).1)
        .map(|subscriber| thread::spawn(move || read(subscriber, u64::MAX)))
        .collect();
    let dropping = subscribe(&mut out, &area, Policy::DropOldest, 0).1;
    let dropping = thread::spawn(move || read(dropping, 16));
    for n in 0..COUNT {
        publish(&mut out, n);
    }
    out.publish();
    for reader in waited_for {
        assert_eq!(reader.join().unwrap(), (COUNT, 0));
    }
    let (received, lost) = dropping.join().unwrap();
    assert_eq!(received + lost, COUNT);
}
