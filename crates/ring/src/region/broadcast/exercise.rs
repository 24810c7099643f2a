//! A broadcast on arbitrary contents, under an arbitrary program: the body of a fuzz target and of
//! the tests that mutate sound rings. It panics where a promise is broken and never otherwise.

use super::super::memory::Words;
use super::super::record::WORD;
use super::super::{Corrupt, Fence, HeapExtent};
use super::layout::{OLDEST, OVERWRITTEN, POSITION};
use super::*;

/// Small, so that a few hundred bytes fill it and many laps are made.
const CAPACITY: usize = 256;

/// The longest payload taken.
const LIMIT: usize = 80;

/// Subscribers: of each policy one.
const POLICIES: [Policy; 3] = [Policy::Block, Policy::DropOldest, Policy::Disconnect];

/// Two programs on one input: subscribers on a ring filled with its first bytes, and a publisher
/// among subscribers whose pages are written over.
pub fn broadcast(bytes: &[u8]) {
    subscriber(bytes);
    publisher(bytes);
}

/// Inputs of sound rings in several states, each with a program that goes on.
pub fn seeds() -> Vec<Vec<u8>> {
    let program: Vec<u8> = (0..9).flat_map(|step| [step, 40, 0, 3, 0, 4, 4]).collect();
    [0, 1, 5, 40].map(|rounds| [sound(rounds), program.clone()].concat()).into()
}

/// The contents of a ring after some traffic, and its positions.
fn sound(rounds: usize) -> Vec<u8> {
    let (layout, area) = memory();
    let mut publisher = Publisher::new(area.clone(), layout, 0, Fence::Both).expect("heap");
    for round in 0..rounds {
        publisher.try_publish(1, &vec![1; round * 7 % LIMIT]).expect("there is room");
    }
    let words = layout.open_publisher(&area).expect("just made");
    let records = (0..CAPACITY).step_by(WORD).map(|at| layout.index(at as u64));
    records
        .chain([OLDEST, OVERWRITTEN])
        .map(|at| words.load(at))
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn memory() -> (Layout, HeapExtent) {
    let layout = Layout::new(CAPACITY).expect("a power of two");
    (layout, HeapExtent::new(layout.publisher_len()))
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte().unwrap_or(0)))
    }
}

/// A subscriber that reads what a hostile publisher wrote, and goes on writing.
fn subscriber(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (layout, area) = memory();
    let words = layout.format_publisher(&area).expect("heap");
    for position in (0..CAPACITY).step_by(WORD) {
        words.store(layout.index(position as u64), input.word());
    }
    words.store(OLDEST, input.word());
    words.store(OVERWRITTEN, input.word());
    let page = HeapExtent::new(layout.subscriber_len());
    layout.format_subscriber(&page).expect("heap");
    let start = Start { position: 0, sequence: 0 };
    let subscriber = Subscriber::attach(area, page, layout, start, Fence::Both).expect("sound");
    let mut run = Reader { subscriber: subscriber.limit(LIMIT), blamed: None };
    while let Some(step) = input.byte() {
        match step % 9 {
            0..=5 => run.step(step % 9),
            6 => words.store(OLDEST, input.word()),
            7 => words.store(OVERWRITTEN, input.word()),
            _ => {
                let position = input.byte().map_or(0, u64::from) * WORD as u64;
                words.store(layout.index(position), input.word());
            }
        }
    }
}

struct Reader {
    subscriber: Subscriber<HeapExtent>,
    /// What it once said about the publisher; it must stay with it.
    blamed: Option<Corrupt>,
}

impl Reader {
    fn step(&mut self, how: u8) {
        let (mut payload, mut slice) = (b"kept".to_vec(), [0; 20]);
        let before = self.subscriber.sequence();
        let error = match how {
            0..=2 => match self.subscriber.try_append(&mut payload) {
                Ok(Some(record)) => {
                    assert_eq!(payload.len(), 4 + record.len);
                    assert!(record.len <= LIMIT);
                    assert_eq!(record.sequence, before);
                    None
                }
                other => {
                    assert_eq!(payload, b"kept");
                    other.err()
                }
            },
            3 => self.subscriber.try_recv_slice(&mut slice).err(),
            4 => self.subscriber.skip().err(),
            _ => {
                let _ = self.subscriber.announce();
                let looked = self.subscriber.is_ready().err();
                let _ = self.subscriber.must_wake();
                self.subscriber.awake();
                looked
            }
        };
        let corrupt = match error {
            Some(RecvError::Corrupt(corrupt)) => Some(corrupt),
            Some(RecvError::Lagged { lost }) => {
                assert!(lost > 0 && self.subscriber.sequence() == before.wrapping_add(lost));
                None
            }
            Some(RecvError::TooLong { len, limit }) => {
                assert!(limit < len && len <= self.subscriber.layout().payload_max());
                None
            }
            None => None,
        };
        if self.blamed.is_some() {
            assert_eq!(corrupt, self.blamed, "what is corrupt stays so");
        }
        self.blamed = corrupt;
    }
}

/// A publisher whose subscribers write anything on their pages.
fn publisher(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (layout, area) = memory();
    let mut publisher = Publisher::new(area.clone(), layout, 9, Fence::Both).expect("heap");
    let honest = HeapExtent::new(layout.subscriber_len());
    layout.format_subscriber(&honest).expect("heap");
    let (key, start) = publisher.subscribe(honest.clone(), Policy::DropOldest, 0).expect("sound");
    let honest = Subscriber::attach(area, honest, layout, start, Fence::Both).expect("sound");
    let mut honest = honest.publish_every(0);
    let mut hostile: Vec<(Key, Policy, Words)> = Vec::new();
    let mut counted = 0;
    while let Some(step) = input.byte() {
        match step % 6 {
            0 | 1 => {
                let len = input.byte().map_or(0, usize::from);
                let published = publisher.try_publish(1, &[0xA5; CAPACITY][..len]);
                match published {
                    Ok(()) => assert!(len <= layout.payload_max()),
                    Err(PublishError::TooLarge { .. }) => assert!(len > layout.payload_max()),
                    Err(PublishError::Full) => {
                        assert!(hostile.iter().any(|(_, policy, _)| *policy == Policy::Block));
                    }
                }
            }
            2 => {
                let policy = POLICIES[input.byte().map_or(0, usize::from) % POLICIES.len()];
                let page = HeapExtent::new(layout.subscriber_len());
                layout.format_subscriber(&page).expect("heap");
                let history = input.byte().map_or(0, usize::from);
                let (key, _) = publisher.subscribe(page.clone(), policy, history).expect("sound");
                hostile.push((key, policy, layout.open_subscriber(&page).expect("sound")));
            }
            3 => {
                if let Some((_, _, words)) = hostile.last() {
                    words.store(POSITION, input.word());
                }
            }
            4 => {
                if let Some((key, _, _)) = hostile.pop() {
                    let _ = publisher.must_wake(key);
                    assert!(publisher.unsubscribe(key));
                    assert!(!publisher.unsubscribe(key) && !publisher.must_wake(key));
                }
            }
            _ => {
                publisher.announce();
                let _ = publisher.has_room(LIMIT);
                publisher.awake();
                let _ = publisher.must_wake(key);
            }
        }
        while let Some((cut, _)) = publisher.cut_off() {
            let before = hostile.len();
            hostile.retain(|(key, policy, _)| *key != cut || *policy == Policy::DropOldest);
            assert_eq!(hostile.len(), before - 1, "one that may lose nothing, once");
        }
        // The honest one is not disturbed.
        match honest.skip() {
            Ok(true) => counted += 1,
            Ok(false) => assert_eq!(counted, publisher.sequence()),
            Err(RecvError::Lagged { lost }) => counted += lost,
            Err(error) => panic!("{error}"),
        }
    }
}
