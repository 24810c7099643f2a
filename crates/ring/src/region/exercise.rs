//! Both sides of a ring on arbitrary contents, under an arbitrary program: the body of a fuzz
//! target and of the tests that mutate sound rings. It panics where a promise is broken and never
//! otherwise.

use super::layout::CURSOR;
use super::memory::Words;
use super::record::WORD;
use super::*;

/// Small, so that a few hundred bytes fill it and many laps are made.
const CAPACITY: usize = 256;

/// The least that a program may find the longest payload taken to be.
const LIMIT: usize = 100;

/// Fills a ring with the first bytes, takes it up from both sides, and runs the rest as a program.
pub fn region(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut run = Run::new();
    for position in (0..CAPACITY).step_by(WORD) {
        run.records.store(run.layout.index(position as u64), input.word());
    }
    run.records.store(CURSOR, input.word());
    run.heads.store(CURSOR, input.word());
    run.resume_producer();
    run.resume_consumer();
    while let Some(step) = input.byte() {
        run.step(step, &mut input);
    }
}

/// Inputs of sound rings in several states, each with a program that goes on.
pub fn seeds() -> Vec<Vec<u8>> {
    let program: Vec<u8> = (0..STEPS).flat_map(|step| [step, 40, 0, 3, 0, 4, 4]).collect();
    [0, 1, 3, 40].map(|laps| [sound(laps), program.clone()].concat()).into()
}

/// The contents of a ring after some traffic, with two records in it.
fn sound(rounds: usize) -> Vec<u8> {
    let mut run = Run::new();
    run.resume_producer();
    run.resume_consumer();
    let (producer, consumer) = (run.producer.as_mut().unwrap(), run.consumer.as_mut().unwrap());
    let mut payload = Vec::new();
    for round in 0..rounds {
        producer.try_send(&vec![1; round * 7 % LIMIT]).expect("there is room");
        while consumer.try_recv(&mut payload).expect("all is sound").is_some() {}
    }
    producer.try_send(b"one").expect("there is room");
    producer.try_send_parts(2, &[b"tw", b"o"]).expect("there is room");
    (0..CAPACITY)
        .step_by(WORD)
        .map(|position| run.records.load(run.layout.index(position as u64)))
        .chain([run.records.load(CURSOR), run.heads.load(CURSOR)])
        .flat_map(u64::to_le_bytes)
        .collect()
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

/// How many kinds of step there are.
const STEPS: u8 = 14;

struct Run {
    layout: Layout,
    heap: Heap,
    /// The two areas, for whoever scribbles.
    records: Words,
    heads: Words,
    producer: Option<Producer<Heap>>,
    consumer: Option<Consumer<Heap>>,
    /// What each side once said about the other; it must stay with it.
    blamed_consumer: Option<Corrupt>,
    blamed_producer: Option<Corrupt>,
    payload: Vec<u8>,
}

impl Run {
    fn new() -> Self {
        let layout = Layout::new(CAPACITY).expect("a power of two");
        let heap = Heap::new(layout);
        let (records, heads) = layout.open(&heap).expect("a new ring");
        Run {
            layout,
            heap,
            records,
            heads,
            producer: None,
            consumer: None,
            blamed_consumer: None,
            blamed_producer: None,
            payload: Vec::new(),
        }
    }

    fn resume_producer(&mut self) {
        self.producer = Producer::resume(self.heap.clone(), self.layout, Fence::Both).ok();
        self.blamed_consumer = None;
    }

    fn resume_consumer(&mut self) {
        let consumer = Consumer::resume(self.heap.clone(), self.layout, Fence::Both).ok();
        self.consumer = consumer.map(|consumer| consumer.limit(LIMIT));
        self.blamed_producer = None;
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        match step % STEPS {
            0 => self.send(|producer, payload| producer.try_send(payload), input),
            1 => self.send(|producer, payload| producer.stage(1, payload), input),
            2 => self.send(
                |producer, payload| {
                    let (head, tail) = payload.split_at(payload.len() / 3);
                    producer.try_send_parts(2, &[head, b"", tail])
                },
                input,
            ),
            3 => {
                if let Some(producer) = &mut self.producer {
                    producer.publish();
                    let _ = producer.must_wake();
                }
            }
            4..=6 => self.receive(step % STEPS),
            7 => {
                let skipped = self.consumer.as_mut().map(Consumer::skip);
                self.judge_producer(skipped.and_then(Result::err));
            }
            8 => {
                let looked = self.consumer.as_mut().map(|consumer| {
                    let _ = consumer.announce();
                    let looked = consumer.is_ready();
                    let _ = consumer.must_wake();
                    consumer.awake();
                    looked
                });
                self.judge_producer(looked.and_then(Result::err));
            }
            9 => {
                let looked = self.producer.as_mut().map(|producer| {
                    let _ = producer.announce();
                    let looked = producer.has_room(LIMIT);
                    producer.awake();
                    let released = producer.released()?;
                    assert!(released <= producer.position());
                    looked
                });
                self.judge_consumer(looked.and_then(Result::err));
            }
            10 => self.resume_producer(),
            11 => self.resume_consumer(),
            12 => scribble(&self.records, input, (self.layout.producer_len()) / WORD),
            _ => scribble(&self.heads, input, CURSOR + 1),
        }
    }

    fn send(
        &mut self,
        send: impl FnOnce(&mut Producer<Heap>, &[u8]) -> Result<(), SendError>,
        input: &mut Input<'_>,
    ) {
        let Some(producer) = &mut self.producer else { return };
        let payload = [0xA5; CAPACITY];
        let len = usize::from(input.byte().unwrap_or(0));
        let sent = send(producer, &payload[..len]);
        if self.blamed_consumer.is_none() {
            let too_large = matches!(sent, Err(SendError::TooLarge { .. }));
            assert_eq!(too_large, len > self.layout.payload_max());
        }
        self.judge_consumer(sent.err());
    }

    fn receive(&mut self, how: u8) {
        let Some(consumer) = &mut self.consumer else { return };
        let received = match how {
            4 => consumer.try_recv(&mut self.payload).map(|record| record.is_some()),
            5 => {
                let payload = &mut self.payload;
                consumer
                    .try_recv_many(3, payload, |record, payload| {
                        assert_eq!(record.len, payload.len());
                        assert!(record.len <= LIMIT);
                    })
                    .map(|count| count > 0)
            }
            _ => consumer.try_recv_slice(&mut [0; 20]).map(|record| {
                assert!(record.is_none_or(|record| record.len <= 20));
                record.is_some()
            }),
        };
        if let Err(RecvError::TooLong { len, limit }) = received {
            assert!(limit < len && len <= self.layout.payload_max());
        }
        assert!(self.payload.len() <= LIMIT);
        self.judge_producer(received.err());
    }

    fn judge_consumer(&mut self, error: Option<SendError>) {
        let corrupt = match error {
            Some(SendError::Corrupt(corrupt)) => Some(corrupt),
            _ => None,
        };
        if self.blamed_consumer.is_some() {
            assert_eq!(corrupt, self.blamed_consumer, "what is corrupt stays so");
        }
        self.blamed_consumer = corrupt;
    }

    fn judge_producer(&mut self, error: Option<RecvError>) {
        let corrupt = match error {
            Some(RecvError::Corrupt(corrupt)) => Some(corrupt),
            _ => None,
        };
        if self.blamed_producer.is_some() {
            assert_eq!(corrupt, self.blamed_producer, "what is corrupt stays so");
        }
        self.blamed_producer = corrupt;
    }
}

fn scribble(words: &Words, input: &mut Input<'_>, count: usize) {
    let at = input.byte().map_or(0, usize::from);
    // The header's first words and the records: what lies between is not used.
    let at = if at < 64 { at } else { 512 + at % 64 };
    let value = input.word();
    if at < count {
        words.store(at, value);
    }
}
