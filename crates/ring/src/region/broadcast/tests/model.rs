//! Arbitrary programs, against plain lists and on arbitrary contents.

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 512;

#[derive(Debug, Clone)]
enum Step {
    Publish(usize),
    Stage(usize),
    Parts(usize, usize),
    Flush,
    Subscribe(u8, usize),
    Unsubscribe(prop::sample::Index),
    Receive(prop::sample::Index, usize),
    ReceiveSlice(prop::sample::Index, usize),
    Skip(prop::sample::Index),
    GiveBack(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let (len, any) = (|| 0..270_usize, any::<prop::sample::Index>);
    prop_oneof![
        8 => len().prop_map(Step::Publish),
        3 => len().prop_map(Step::Stage),
        3 => (len(), len()).prop_map(|(len, at)| Step::Parts(len, at)),
        2 => Just(Step::Flush),
        2 => (0..3_u8, 0..9_usize).prop_map(|(policy, history)| Step::Subscribe(policy, history)),
        1 => any().prop_map(Step::Unsubscribe),
        8 => (any(), 1..4_usize).prop_map(|(at, count)| Step::Receive(at, count)),
        2 => (any(), len()).prop_map(|(at, len)| Step::ReceiveSlice(at, len)),
        1 => any().prop_map(Step::Skip),
        1 => any().prop_map(Step::GiveBack),
    ]
}

/// A subscriber, and the number of the record that is next for it.
struct Reader {
    key: Key,
    policy: Policy,
    subscriber: In,
    next: usize,
    cut_off: bool,
}

impl Reader {
    /// What it got is the next record, or a loss that it may have.
    fn judge(&mut self, got: Result<Option<(Record, &[u8])>, RecvError>, published: &[Vec<u8>]) {
        match got {
            Ok(None) => assert_eq!(self.next, published.len()),
            Ok(Some((record, payload))) => {
                assert_eq!(record.sequence, self.next as u64);
                assert_eq!(payload, &published[self.next][..record.len]);
                assert_eq!(record.len, published[self.next].len());
                self.next += 1;
            }
            Err(RecvError::Lagged { lost }) => {
                let may_lose = self.policy == Policy::DropOldest || self.cut_off;
                assert!(may_lose && lost > 0);
                self.next += lost as usize;
                assert!(self.next <= published.len());
            }
            Err(RecvError::TooLong { len, .. }) => assert_eq!(len, published[self.next].len()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A broadcast beside a list of all that was published.
struct Model {
    out: Out,
    area: HeapExtent,
    published: Vec<Vec<u8>>,
    staged: Vec<Vec<u8>>,
    readers: Vec<Reader>,
}

impl Model {
    fn new() -> Self {
        let (out, area) = publisher(CAPACITY, 6);
        let (published, staged, readers) = (Vec::new(), Vec::new(), Vec::new());
        Model { out, area, published, staged, readers }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish(len) => {
                if self.publish(len, |out, payload| out.try_publish(0, payload)) {
                    self.flushed();
                }
            }
            Step::Stage(len) => {
                self.publish(len, |out, payload| out.stage(0, payload));
            }
            Step::Parts(len, at) => {
                self.publish(len, |out, payload| {
                    let (head, tail) = payload.split_at(at.min(payload.len()));
                    out.stage_parts(0, &[head, tail])
                });
            }
            Step::Flush => {
                self.out.publish();
                self.flushed();
            }
            Step::Subscribe(policy, history) => self.subscribe(policy, history),
            Step::Unsubscribe(at) => {
                if !self.readers.is_empty() {
                    let reader = self.readers.swap_remove(at.index(self.readers.len()));
                    assert_eq!(self.out.unsubscribe(reader.key), !reader.cut_off);
                }
            }
            Step::Receive(at, count) => {
                let mut payload = Vec::new();
                self.receive(at, count, |subscriber| {
                    let got = subscriber.try_recv(&mut payload)?;
                    Ok(got.map(|record| (record, payload.clone())))
                });
            }
            Step::ReceiveSlice(at, len) => {
                let mut slice = vec![0; len];
                self.receive(at, 1, |subscriber| {
                    let got = subscriber.try_recv_slice(&mut slice)?;
                    Ok(got.map(|record| (record, slice[..record.len].to_vec())))
                });
            }
            Step::Skip(at) => {
                self.receive(at, 1, |subscriber| {
                    let next = subscriber.sequence();
                    let skipped = subscriber.skip()?;
                    assert_eq!(subscriber.sequence(), next + u64::from(skipped));
                    let mut again = Vec::new();
                    assert!(skipped || subscriber.try_recv(&mut again) == Ok(None));
                    Err(RecvError::TooLong { len: usize::MAX, limit: usize::from(skipped) })
                });
            }
            Step::GiveBack(at) => {
                if !self.readers.is_empty() {
                    let at = at.index(self.readers.len());
                    self.readers[at].subscriber.publish();
                }
            }
        }
    }

    fn receive(
        &mut self,
        at: prop::sample::Index,
        count: usize,
        mut receive: impl FnMut(&mut In) -> Result<Option<(Record, Vec<u8>)>, RecvError>,
    ) {
        if self.readers.is_empty() {
            return;
        }
        let at = at.index(self.readers.len());
        let reader = &mut self.readers[at];
        for _ in 0..count {
            match receive(&mut reader.subscriber) {
                // Skipped, or nothing to be skipped.
                Err(RecvError::TooLong { len: usize::MAX, limit }) => reader.next += limit,
                Ok(got) => {
                    let got = got.as_ref().map(|(record, payload)| (*record, &payload[..]));
                    reader.judge(Ok(got), &self.published);
                }
                Err(error) => reader.judge(Err(error), &self.published),
            }
        }
    }

    fn subscribe(&mut self, policy: u8, history: usize) {
        let policy = [Policy::Block, Policy::DropOldest, Policy::Disconnect][usize::from(policy)];
        let (key, subscriber) = subscribe(&mut self.out, &self.area, policy, history);
        self.flushed();
        let next = subscriber.sequence() as usize;
        assert!(self.published.len() - next <= history.min(6));
        let reader = Reader { key, policy, subscriber, next, cut_off: false };
        self.readers.push(reader);
    }

    /// What was staged is published now.
    fn flushed(&mut self) {
        self.published.append(&mut self.staged);
    }

    /// Whether it was taken.
    fn publish(
        &mut self,
        len: usize,
        publish: impl FnOnce(&mut Out, &[u8]) -> Result<(), PublishError>,
    ) -> bool {
        let count = self.published.len() + self.staged.len();
        let payload = vec![count as u8; len];
        let room = self.out.has_room(len);
        let result = publish(&mut self.out, &payload);
        if self.out.stats().records > self.published.len() as u64 {
            self.flushed();
        }
        match result {
            Ok(()) => {
                assert_eq!(self.out.sequence(), count as u64 + 1);
                if self.out.stats().records <= self.published.len() as u64 {
                    self.staged.push(payload);
                } else {
                    self.published.push(payload);
                }
            }
            Err(PublishError::TooLarge { max, .. }) => assert!(len > max),
            Err(PublishError::Full) => {
                assert_eq!(room, Ok(false));
                assert!(self.staged.is_empty(), "shown, so that room can be made");
                self.is_full(len);
            }
        }
        while let Some((key, why)) = self.out.cut_off() {
            let reader = self.readers.iter_mut().find(|reader| reader.key == key).unwrap();
            assert_eq!((reader.policy, why), (Policy::Disconnect, CutOff::Slow));
            reader.cut_off = true;
        }
        result.is_ok()
    }

    /// Somebody must be waited for: one who has not shown to have read what would be written over,
    /// up to the next record that is known to begin at a segment or behind.
    fn is_full(&self, len: usize) {
        let size = 16 + len.next_multiple_of(8);
        let tail = self.out.stats().tail as usize;
        let waited_for = self.readers.iter().filter(|reader| reader.policy == Policy::Block);
        let cursor = waited_for.map(|reader| {
            // Read up to here and shown, or less than an eighth more and not shown.
            let read: usize = self.published[reader.next..].iter().map(|p| 24 + p.len()).sum();
            tail.saturating_sub(read + CAPACITY / 8 + 272)
        });
        let least = cursor.min().expect("one who is waited for");
        assert!(least <= tail + 2 * size + 8 + CAPACITY / 64 + 272 - CAPACITY, "{least} {tail}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_gets_what_it_is_due(steps in proptest::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
        model.out.publish();
        model.flushed();
        let Model { out, mut readers, published, .. } = model;
        for reader in &mut readers {
            for got in drain(&mut reader.subscriber) {
                match got {
                    Ok(payload) => {
                        assert_eq!(payload, published[reader.next]);
                        reader.next += 1;
                    }
                    Err(lost) => {
                        assert!(reader.policy == Policy::DropOldest || reader.cut_off);
                        reader.next += lost as usize;
                    }
                }
            }
            assert_eq!(reader.next, published.len());
        }
        assert_eq!(out.stats().records, published.len() as u64);
        let connected = readers.iter().filter(|reader| !reader.cut_off).count();
        assert_eq!(out.stats().subscribers, connected as u64);
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
        exercise::broadcast(&input);
    }
}
