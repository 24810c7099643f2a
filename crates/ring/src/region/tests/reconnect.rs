//! A server that dies between any two of its stores, and another that takes its place with memory
//! of its own: each request was taken by the one, or is received by the other.

use super::super::memory::trace;
use super::*;

/// The client's requests lie in its own memory, the server's head in that of the server.
#[derive(Clone)]
struct Joined {
    client: Heap,
    server: Heap,
}

// SAFETY: areas of two heaps, which both live as long as this value.
unsafe impl Memory for Joined {
    fn areas(&self) -> Areas {
        Areas { producer: self.client.areas().producer, consumer: self.server.areas().consumer }
    }
}

/// A server whose stores reach the client until a given number of them is done.
struct Mortal {
    consumer: Consumer<Joined>,
    /// Where it thinks to write.
    scratch: usize,
    /// What the client sees.
    seen: Words,
    stores_left: usize,
}

impl Mortal {
    fn new(joined: &Joined, layout: Layout, stores_left: usize) -> Mortal {
        let scratch = Joined { client: joined.client.clone(), server: Heap::new(layout) };
        let (_, seen) = layout.open(joined).unwrap();
        let base = scratch.areas().consumer.base.as_ptr().addr();
        let consumer = Consumer::attach(scratch, layout, Fence::Both).unwrap().publish_every(0);
        Mortal { consumer, scratch: base, seen, stores_left }
    }

    /// Takes up to `max` requests; `None` if it died on the way.
    fn serve(&mut self, max: usize) -> Option<Vec<Vec<u8>>> {
        let mut got = Vec::new();
        for _ in 0..max {
            let mut payload = Vec::new();
            let mut received = None;
            let stores = trace::of(|| received = self.consumer.try_recv(&mut payload).unwrap());
            for (base, at, value) in stores {
                assert_eq!(base, self.scratch);
                self.stores_left = self.stores_left.checked_sub(1)?;
                self.seen.store(at, value);
            }
            if received.is_some() {
                got.push(payload);
            }
        }
        Some(got)
    }
}

/// Requests that each tell their number.
const REQUESTS: usize = 30;

fn request(n: usize) -> Vec<u8> {
    let mut payload = vec![n as u8; n * 37 % 60];
    payload.insert(0, n as u8);
    payload
}

struct Client {
    producer: Producer<Joined>,
    /// The number of the next request.
    next: usize,
    /// Of each request that was sent or staged, where it ends.
    ends: Vec<u64>,
}

impl Client {
    /// Stages up to `count` requests; how many there was room for.
    fn stage(&mut self, count: usize) -> usize {
        let until = REQUESTS.min(self.next + count);
        let before = self.next;
        while self.next < until && self.producer.stage(0, &request(self.next)).is_ok() {
            self.ends.push(self.producer.position());
            self.next += 1;
        }
        self.next - before
    }
}

/// One life of a server that ends after `stores`, and the life of its successor. Whether there
/// were that many stores to make.
fn round(stores: usize) -> bool {
    let layout = Layout::new(256).unwrap();
    let joined = Joined { client: Heap::new(layout), server: Heap::new(layout) };
    let mut server = Mortal::new(&joined, layout, stores);
    let producer = Producer::attach(joined.clone(), layout, Fence::Both).unwrap();
    let mut client = Client { producer, next: 0, ends: Vec::new() };

    let (mut answered, mut died) = (0, false);
    while answered < REQUESTS && !died {
        client.stage(1 + answered % 4);
        client.producer.publish();
        match server.serve(1 + client.next % 3) {
            Some(got) => answered += got.len(),
            None => died = true,
        }
    }
    // The client has not noticed yet.
    client.stage(stores % 3);

    let released = client.producer.released().unwrap();
    let taken = client.ends.iter().filter(|end| **end <= released).count();
    assert!(taken >= answered, "what was answered had been taken");
    assert!(taken <= answered + 3, "no more than one call takes");

    let joined = Joined { client: joined.client, server: Heap::new(layout) };
    layout.format_consumer(&joined, released).unwrap();
    client.producer = Producer::resume(joined.clone(), layout, Fence::Both).unwrap();
    let consumer = Consumer::resume(joined, layout, Fence::Both).unwrap();
    let mut successor = consumer.publish_every(0);

    // What was staged is gone and is sent again.
    client.ends.retain(|end| *end <= client.producer.position());
    client.next = client.ends.len();
    let mut received = Vec::new();
    let mut payload = Vec::new();
    while taken + received.len() < REQUESTS {
        client.stage(2);
        client.producer.publish();
        if successor.try_recv(&mut payload).unwrap().is_some() {
            received.push(payload.clone());
        }
    }
    let expected: Vec<_> = (taken..REQUESTS).map(request).collect();
    assert_eq!(received, expected, "all that was not taken, once, in order; {taken} were");
    assert_eq!(client.producer.released(), Ok(client.producer.position()));
    died
}

#[test]
fn a_server_may_die_between_any_two_stores_and_another_brings_new_memory() {
    let deaths = (0..).take_while(|stores| round(*stores)).count();
    // Two counters and a head for each request.
    assert_eq!(deaths, 3 * REQUESTS);
}

/// Death with the ring full, records on both sides of its end.
#[test]
fn what_was_not_taken_survives_wherever_the_ring_ends() {
    for lead in 0..40 {
        let layout = Layout::new(256).unwrap();
        let joined = Joined { client: Heap::new(layout), server: Heap::new(layout) };
        let mut producer = Producer::attach(joined.clone(), layout, Fence::Both).unwrap();
        let consumer = Consumer::attach(joined.clone(), layout, Fence::Both).unwrap();
        let mut consumer = consumer.publish_every(0);
        for _ in 0..lead {
            producer.try_send(&[0; 5]).unwrap();
            assert_eq!(consumer.skip(), Ok(true));
        }
        let mut sent: Vec<u8> =
            (0..).take_while(|n| producer.try_send(&[*n; 20]).is_ok()).collect();
        assert!(sent.len() >= 6);
        assert_eq!(consumer.skip(), Ok(true));
        drop(consumer);

        let released = producer.released().unwrap();
        let position = producer.position();
        let joined = Joined { client: joined.client, server: Heap::new(layout) };
        layout.format_consumer(&joined, released).unwrap();
        let mut producer = Producer::resume(joined.clone(), layout, Fence::Both).unwrap();
        assert_eq!(producer.position(), position);
        let mut consumer = Consumer::resume(joined, layout, Fence::Both).unwrap();
        let _ = consumer.announce();
        producer.try_send(&[99; 8]).unwrap();
        assert!(producer.must_wake(), "the new doze is not one that the old producer answered");
        sent.push(99);
        let mut payload = Vec::new();
        for n in &sent[1..] {
            assert!(consumer.try_recv(&mut payload).unwrap().is_some());
            assert_eq!(payload[0], *n);
        }
        assert_eq!(consumer.skip(), Ok(false));
    }
}

/// Each side makes the area that it writes before it has seen the other's.
#[test]
fn each_side_formats_its_own_area() {
    struct Alone(Heap, bool);
    // SAFETY: one area of the heap, the other is not to be looked at.
    unsafe impl Memory for Alone {
        fn areas(&self) -> Areas {
            let nothing = Area { base: std::ptr::NonNull::dangling(), len: 0 };
            let Areas { producer, consumer } = self.0.areas();
            if self.1 {
                return Areas { producer, consumer: nothing };
            }
            Areas { producer: nothing, consumer }
        }
    }
    let layout = Layout::new(128).unwrap();
    let joined = Joined { client: Heap::new(layout), server: Heap::new(layout) };
    let (client, server) =
        (Alone(joined.client.clone(), true), Alone(joined.server.clone(), false));
    let mut producer = Producer::attach(joined.clone(), layout, Fence::Both).unwrap();
    producer.try_send(b"gone").unwrap();
    drop(producer);
    layout.format_producer(&client).unwrap();
    let mut producer = Producer::attach(joined.clone(), layout, Fence::Both).unwrap();
    producer.try_send(b"new").unwrap();
    layout.format_consumer(&server, 0).unwrap();
    let mut consumer = Consumer::attach(joined, layout, Fence::Both).unwrap();
    let mut payload = Vec::new();
    assert_eq!(consumer.try_recv(&mut payload), Ok(Some(Record { len: 3, tag: 0 })));

    assert!(layout.format_producer(&server).is_err(), "not this one's to format");
    for head in [4, u64::MAX - 7, 1 << 63] {
        let found = layout.format_consumer(&server, head);
        assert_eq!(found, Err(AttachError::Corrupt(Corrupt::Cursor { position: head })));
    }
}

#[test]
fn a_released_position_that_can_be_none_is_found_out() {
    let ((mut producer, mut consumer), heap, layout) = ring(64);
    producer.try_send(b"one").unwrap();
    assert_eq!((producer.released(), producer.position()), (Ok(0), 16));
    drain(&mut consumer);
    assert_eq!(producer.released(), Ok(16));
    producer.stage(0, b"two").unwrap();
    let (_, heads) = words(&heap, layout);
    heads.store(CURSOR, 32);
    let lied = Corrupt::Head { head: 32, from: 16, to: 16 };
    assert_eq!(producer.released(), Err(lied), "what was not published cannot have been taken");
    heads.store(CURSOR, 16);
    assert_eq!(producer.released(), Err(lied));
}
