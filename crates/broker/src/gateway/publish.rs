//! PUB: the records of a topic, to all who have subscribed.
//!
//! A subscriber that is slower than the topic is waited for a little (see [`super::patience`]), and
//! then loses what its queue has no room for; the loss is counted. Who has to know of it has
//! `position` in the gateway's `frames`, and asks for what is missing: see [`super::history`].
//!
//! With a `group`, positions are committed once a second and when the gateway stops, so that it
//! goes on behind them after a restart: a second's messages may then go out twice.

use std::time::{Duration, Instant};

use super::gate::Gate;
use super::history::Histories;
use super::limits::{NAP, READ_BYTES_MAX};
use super::outlet::{self, Shape};
use super::patience::Patience;
use super::wait;
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
        patience: Patience::new(gate),
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
    patience: Patience,
    tend_at: Instant,
    /// Positions as they were committed last.
    committed: Vec<(i32, i64)>,
}

impl Publisher<'_> {
    fn turn(&mut self) -> Result<(), String> {
        let backlog = u64::try_from(self.reader.lag()).unwrap_or(0);
        let idle = match self.reader.next(READ_BYTES_MAX) {
            Ok(Some(records)) => {
                let count = records.next_offset().abs_diff(records.first_offset());
                self.patience.begin(self.gate, count, backlog.saturating_sub(count))?;
                publish(self.gate, &self.shape, &records, &mut self.patience);
                self.patience.rest(self.gate)?;
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
        let socket = self.gate.socket;
        if let Some(wish) = wait::for_message(socket, at_most, |cx| self.reader.poll_wait(cx)) {
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

fn publish(gate: &Gate<'_>, shape: &Shape<'_>, records: &Records<'_>, patience: &mut Patience) {
    let began = Instant::now();
    let (mut count, mut bytes) = (0, 0);
    let partition = records.partition();
    outlet::each(gate, records, |record| {
        let message = || shape.message(partition, record);
        // What a subscriber does not get is counted there.
        match patience.send(gate, message) {
            Ok(len) => (count, bytes) = (count + 1, bytes + len),
            Err(error) => gate.counters.fail(&error),
        }
        true
    });
    gate.socket.flush();
    gate.counters.messages.add(count);
    gate.counters.bytes.add(bytes);
    gate.counters.latency.record(began.elapsed());
}
