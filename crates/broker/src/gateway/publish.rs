//! PUB: the records of a topic, to all who have subscribed.
//!
//! A subscriber that is slower than the topic loses what its queue has no room for; nobody else
//! waits for it, and the loss is counted. Who has to know of it has `position` in the gateway's
//! `frames`, and asks for what is missing: see [`super::history`].
//!
//! With a `group`, positions are committed once a second and when the gateway stops, so that it
//! goes on behind them after a restart: a second's messages may then go out twice.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use chaski_zmq::Message;

use super::gate::Gate;
use super::history::Histories;
use super::limits::{NAP, READ_BYTES_MAX};
use super::outlet::{self, Shape};
use crate::client::{Records, TopicReader};

/// How often positions are committed, and drops looked for.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// Publishes until it is told to stop.
pub(super) fn run(gate: &Gate<'_>) -> Result<(), String> {
    let reader = outlet::reader(gate)?;
    let histories = gate.spec.history.then(|| Histories::new(gate));
    let mut publisher = Publisher {
        gate,
        shape: Shape::new(gate),
        reader,
        histories,
        tend_at: Instant::now() + TEND_EVERY,
        committed: Vec::new(),
    };
    while !gate.halted() {
        publisher.turn()?;
    }
    publisher.commit();
    Ok(())
}

struct Publisher<'a> {
    gate: &'a Gate<'a>,
    shape: Shape<'a>,
    reader: TopicReader,
    histories: Option<Histories<'a>>,
    tend_at: Instant,
    /// Positions as they were committed last.
    committed: Vec<(i32, i64)>,
}

impl Publisher<'_> {
    fn turn(&mut self) -> Result<(), String> {
        let idle = match self.reader.next(READ_BYTES_MAX) {
            Ok(Some(records)) => {
                publish(self.gate, &self.shape, &records);
                self.gate.counters.set_positions(self.reader.positions());
                false
            }
            Ok(None) => true,
            Err((partition, error)) => {
                outlet::recover(self.gate, &mut self.reader, partition, &error)?;
                false
            }
        };
        let nap = match &mut self.histories {
            Some(histories) => histories.turn(&self.shape)?,
            None => NAP,
        };
        if Instant::now() >= self.tend_at {
            self.tend_at = Instant::now() + TEND_EVERY;
            self.commit();
            self.gate.counters.look(self.gate.socket, self.gate.spec.hwm);
        }
        if idle {
            self.wait(nap);
        }
        Ok(())
    }

    /// Sleeps until there are records, or somebody asks for history.
    fn wait(&mut self, at_most: Duration) {
        let Some(histories) = &mut self.histories else {
            self.reader.wait(at_most);
            return;
        };
        if let Some(wish) = wait_for_either(&self.reader, self.gate.socket, at_most) {
            histories.hear(&wish);
        }
    }

    fn commit(&mut self) {
        let Some(group) = self.gate.spec.group.as_deref() else { return };
        let positions: Vec<(i32, i64)> = self.reader.positions().collect();
        if positions == self.committed {
            return;
        }
        let topic = self.gate.topic();
        let offsets: Vec<(&str, i32, i64)> =
            positions.iter().map(|(partition, at)| (topic, *partition, *at)).collect();
        match self.gate.client.commit(group, &offsets) {
            Ok(()) => self.committed = positions,
            Err(error) => self.gate.counters.fail(&error),
        }
    }
}

fn publish(gate: &Gate<'_>, shape: &Shape<'_>, records: &Records<'_>) {
    let began = Instant::now();
    let (mut count, mut bytes) = (0, 0);
    let partition = records.partition();
    outlet::each(gate, records, |record| {
        let mut message = Message::new();
        shape.write(partition, record, &mut message);
        bytes += message.byte_len() as u64;
        // A publisher never waits, and what a subscriber does not get is counted there.
        match gate.socket.send(message) {
            Ok(()) => count += 1,
            Err(error) => gate.counters.fail(&error),
        }
        true
    });
    gate.socket.flush();
    gate.counters.messages.add(count);
    gate.counters.bytes.add(bytes);
    gate.counters.latency.record(began.elapsed());
}

/// Sleeps until a reader has something to be seen, or the socket a message, which it returns.
fn wait_for_either(
    reader: &TopicReader,
    socket: &chaski_zmq::Socket,
    at_most: Duration,
) -> Option<Message> {
    let deadline = Instant::now() + at_most;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut received = pin!(socket.recv_async());
    loop {
        if let Poll::Ready(received) = received.as_mut().poll(&mut context) {
            return received.ok();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || reader.poll_wait(&mut context).is_ready() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// Wakes a thread that has parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
