//! Arbitrary programs, against a plain queue and on arbitrary contents.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Stage(usize),
    Parts(usize, usize),
    Loan(usize, usize),
    Publish,
    Receive,
    ReceiveSlice(usize),
    ReceiveMany(usize),
    Peek,
    Skip,
    GiveBack,
    ResumeProducer,
    ResumeConsumer,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || 0..140_usize;
    prop_oneof![
        6 => len().prop_map(Step::Send),
        3 => len().prop_map(Step::Stage),
        3 => (len(), len()).prop_map(|(len, at)| Step::Parts(len, at)),
        3 => (len(), len()).prop_map(|(len, less)| Step::Loan(len, less)),
        2 => Just(Step::Publish),
        6 => Just(Step::Receive),
        2 => len().prop_map(Step::ReceiveSlice),
        2 => (0..4_usize).prop_map(Step::ReceiveMany),
        2 => Just(Step::Peek),
        1 => Just(Step::Skip),
        1 => Just(Step::GiveBack),
        1 => Just(Step::ResumeProducer),
        1 => Just(Step::ResumeConsumer),
    ]
}

/// A ring beside a plain queue that does the same.
struct Model {
    producer: Producer<Heap>,
    consumer: Consumer<Heap>,
    heap: Heap,
    layout: Layout,
    staged: VecDeque<Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
    count: u8,
}

impl Model {
    fn new() -> Self {
        let ((producer, consumer), heap, layout) = ring(256);
        let (staged, queue) = (VecDeque::new(), VecDeque::new());
        Model { producer, consumer, heap, layout, staged, queue, count: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(len) => {
                if self.send(len, |producer, payload| producer.try_send(payload)) {
                    self.published();
                }
            }
            Step::Stage(len) => {
                self.send(len, |producer, payload| producer.stage(0, payload));
            }
            Step::Parts(len, at) => {
                self.send(len, |producer, payload| {
                    let (head, tail) = payload.split_at(at.min(payload.len()));
                    producer.stage_parts(0, &[head, tail])
                });
            }
            Step::Loan(len, less) => self.loan(len, less),
            Step::Publish => {
                self.producer.publish();
                self.published();
            }
            Step::Receive => {
                let mut payload = Vec::new();
                let got = self.consumer.try_recv(&mut payload).unwrap().map(|_| payload);
                assert_eq!(got, self.queue.pop_front());
            }
            Step::ReceiveSlice(len) => {
                let mut slice = vec![0; len];
                match self.consumer.try_recv_slice(&mut slice) {
                    Ok(Some(record)) => {
                        assert_eq!(slice[..record.len], self.queue.pop_front().unwrap());
                    }
                    Ok(None) => assert!(self.queue.is_empty()),
                    Err(RecvError::TooLong { len, .. }) => assert_eq!(len, self.queue[0].len()),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::ReceiveMany(max) => {
                let (queue, mut buffer) = (&mut self.queue, Vec::new());
                let there = queue.len().min(max);
                let got = self.consumer.try_recv_many(max, &mut buffer, |_, payload| {
                    assert_eq!(payload, queue.pop_front().unwrap());
                });
                assert_eq!(got, Ok(there));
            }
            Step::Peek => {
                // SAFETY: both sides keep the protocol, on this thread.
                match unsafe { self.consumer.peek() }.unwrap() {
                    Some(record) => {
                        assert_eq!(*record, self.queue.pop_front().unwrap()[..]);
                        record.release();
                    }
                    None => assert!(self.queue.is_empty()),
                }
            }
            Step::Skip => {
                assert_eq!(self.consumer.skip(), Ok(self.queue.pop_front().is_some()));
            }
            Step::GiveBack => self.consumer.publish(),
            Step::ResumeProducer => {
                self.staged.clear();
                let heap = self.heap.clone();
                self.producer = Producer::resume(heap, self.layout, Fence::Both).unwrap();
            }
            Step::ResumeConsumer => {
                self.consumer.publish();
                let heap = self.heap.clone();
                self.consumer = Consumer::resume(heap, self.layout, Fence::Both).unwrap();
            }
        }
    }

    fn published(&mut self) {
        self.queue.append(&mut self.staged);
    }

    /// Whether it was taken.
    fn send(
        &mut self,
        len: usize,
        send: impl FnOnce(&mut Producer<Heap>, &[u8]) -> Result<(), SendError>,
    ) -> bool {
        self.count = self.count.wrapping_add(1);
        let payload = vec![self.count; len];
        let sent = send(&mut self.producer, &payload);
        match sent {
            Ok(()) => self.staged.push_back(payload),
            Err(error) => self.refused(error, len),
        }
        sent.is_ok()
    }

    fn loan(&mut self, len: usize, less: usize) {
        self.count = self.count.wrapping_add(1);
        // SAFETY: both sides keep the protocol, on this thread.
        match unsafe { self.producer.reserve(len) } {
            Ok(mut room) => {
                room.fill(self.count);
                room.commit(0, len.min(less));
                self.staged.push_back(vec![self.count; len.min(less)]);
                self.published();
            }
            Err(error) => self.refused(error, len),
        }
    }

    /// A ring is full if what is not given back, the pad and the record do not fit.
    fn refused(&mut self, error: SendError, len: usize) {
        match error {
            SendError::TooLarge { max, .. } => assert!(len > max),
            SendError::Full => {
                self.published();
                let in_use = Observer::attach(self.heap.clone()).unwrap().stats().bytes_in_use;
                let size = 8 + len.next_multiple_of(8);
                assert!(in_use as usize + size + size - 8 + 8 > 256, "{in_use} in use, {len} more");
            }
            error => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn does_what_a_queue_does(steps in proptest::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
        model.producer.publish();
        model.published();
        assert_eq!(VecDeque::from(drain(&mut model.consumer)), model.queue);
        let stats = Observer::attach(model.heap).unwrap().stats();
        assert_eq!(stats.bytes_in_use, 0);
    }

    /// What the fuzz target does, on sound rings with some bytes changed.
    #[test]
    fn bears_whatever_it_finds(
        seed in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..24),
        program in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut input = exercise::seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(input.len());
            input[at] = value;
        }
        input.extend(program);
        exercise::region(&input);
    }
}
