//! PUSH: the records of a topic, each to one worker, as a consumer group.
//!
//! Workers take turns as ZeroMQ has it; a worker whose queue is full is passed over, and when all
//! are full the gateway waits. An offset is committed when the message has left the socket and no
//! worker's connection was lost for `settle_ms` after: see [`super::drain`]. What is not committed
//! is sent again, to whoever is there, when a worker is lost or the broker starts again: each
//! message arrives at least once, and those of the last moments perhaps more often.
//!
//! What can be lost: what has been in a worker's queues (its RCVHWM, the kernel's buffers) for
//! longer than `settle_ms` when the worker dies, for nothing tells a worker's queue from its work.
//! So `settle_ms` has to be longer than a message may wait there; workers with long work set a
//! small RCVHWM.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chaski_zmq::{Monitor, What};

use super::drain::{Drain, Positions, Queue};
use super::gate::Gate;
use super::limits::{NAP, READ_BYTES_MAX};
use super::outlet::{self, Shape};
use crate::client::{Position, TopicReader};

/// How often peers are looked at while something is not settled.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How often offsets are committed at most.
const COMMIT_EVERY: Duration = Duration::from_millis(250);

/// Sends until it is told to stop.
pub(super) fn run(gate: &Gate<'_>) -> Result<(), String> {
    let reader = outlet::reader(gate)?;
    let positions: BTreeMap<i32, i64> = reader.positions().collect();
    let settled: Positions = positions.iter().map(|(p, at)| (*p, *at)).collect();
    let monitor = gate.socket.monitor();
    let missed = monitor.missed();
    let now = Instant::now();
    let mut push = Push {
        gate,
        shape: Shape::new(gate),
        reader,
        monitor,
        missed,
        drain: Drain::new(Duration::from_millis(gate.spec.settle_ms), settled),
        positions,
        handed: 0,
        marked: 0,
        look_at: now,
        commit_at: now,
        committed: Positions::new(),
    };
    while !gate.halted() {
        push.turn()?;
    }
    push.look()?;
    push.commit();
    Ok(())
}

struct Push<'a> {
    gate: &'a Gate<'a>,
    shape: Shape<'a>,
    reader: TopicReader,
    monitor: Monitor,
    /// Events that the monitor had no room for.
    missed: u64,
    drain: Drain,
    /// Offset of the next record to be handed to the socket.
    positions: BTreeMap<i32, i64>,
    /// Messages handed to the socket in this run, and how many there were at the last mark.
    handed: u64,
    marked: u64,
    look_at: Instant,
    commit_at: Instant,
    committed: Positions,
}

impl Push<'_> {
    fn turn(&mut self) -> Result<(), String> {
        let idle = !self.send_some()?;
        if Instant::now() >= self.look_at {
            self.look()?;
        }
        if Instant::now() >= self.commit_at {
            self.commit();
        }
        if idle {
            let settled = self.drain.is_settled() && self.marked == self.handed;
            self.reader.wait(if settled { NAP } else { LOOK_EVERY });
        }
        Ok(())
    }

    /// Sends a read's worth of records. Whether there were any.
    fn send_some(&mut self) -> Result<bool, String> {
        let records = match self.reader.next(READ_BYTES_MAX) {
            Ok(None) => return Ok(false),
            Ok(Some(records)) => records,
            Err((partition, error)) => {
                outlet::recover(self.gate, &mut self.reader, partition, &error)?;
                self.positions = self.reader.positions().collect();
                return Ok(true);
            }
        };
        let began = Instant::now();
        let (gate, shape) = (self.gate, &self.shape);
        let (mut count, mut bytes, mut failure) = (0, 0, None);
        let partition = records.partition();
        let next = outlet::each(gate, &records, |record| {
            let message = shape.message(partition, record);
            let len = outlet::byte_len(&message);
            match gate.socket.send(message) {
                Ok(()) => (count, bytes) = (count + 1, bytes + len),
                // All workers are full: there is time to look what they have done.
                Err(error) if error.is_full() => return false,
                Err(error) => {
                    failure = Some(error.to_string());
                    return false;
                }
            }
            true
        });
        let is_cut = next < records.next_offset();
        gate.socket.flush();
        gate.counters.messages.add(count);
        gate.counters.bytes.add(bytes);
        gate.counters.latency.record(began.elapsed());
        self.handed += count;
        self.positions.insert(partition, next);
        if is_cut {
            let to = Position::Offset(next);
            self.reader.seek(partition, to).map_err(|error| error.to_string())?;
        }
        failure.map_or(Ok(true), Err)
    }

    /// Looks what has left, what is settled, and whether a worker was lost.
    fn look(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.look_at = now + LOOK_EVERY;
        self.adopt_partitions();
        let peers = self.gate.socket.peers();
        let queues = peers.iter().map(Queue::from).collect();
        let stayed = self.drain.look(now, queues);
        // Asked last: an event about a peer that the look did not find is here by now.
        if heard_of_loss(&self.monitor) || !stayed || self.has_missed_events() {
            return self.rewind();
        }
        if self.marked < self.handed {
            let positions = self.positions.iter().map(|(p, at)| (*p, *at)).collect();
            if self.drain.mark(positions, self.handed) {
                self.marked = self.handed;
            }
        }
        self.gate.counters.set_positions(self.drain.settled().iter().copied());
        Ok(())
    }

    /// Partitions that the topic has got are read from their beginning.
    fn adopt_partitions(&mut self) {
        let known = self.drain.settled();
        let new: Vec<i32> = self
            .reader
            .positions()
            .map(|(partition, _)| partition)
            .filter(|partition| known.iter().all(|(known, _)| known != partition))
            .collect();
        for partition in new {
            let bounds = self.gate.client.offsets(self.gate.topic(), partition);
            self.drain.adopt(partition, bounds.map_or(0, |bounds| bounds.log_start));
        }
    }

    fn has_missed_events(&mut self) -> bool {
        let missed = self.monitor.missed();
        std::mem::replace(&mut self.missed, missed) != missed
    }

    /// Goes back to what is settled.
    fn rewind(&mut self) -> Result<(), String> {
        let again = self.drain.rewind(self.handed);
        self.marked = self.handed;
        self.gate.counters.resent.add(again);
        for &(partition, offset) in self.drain.settled() {
            let to = Position::Offset(offset);
            self.reader.seek(partition, to).map_err(|error| error.to_string())?;
            self.positions.insert(partition, offset);
        }
        Ok(())
    }

    fn commit(&mut self) {
        self.commit_at = Instant::now() + COMMIT_EVERY;
        let settled = self.drain.settled();
        if *settled == self.committed {
            return;
        }
        let topic = self.gate.topic();
        let group = self.gate.spec.group.as_deref().unwrap_or_default();
        let offsets: Vec<(&str, i32, i64)> =
            settled.iter().map(|(partition, at)| (topic, *partition, *at)).collect();
        match self.gate.client.commit(group, &offsets) {
            Ok(()) => self.committed.clone_from(settled),
            Err(error) => self.gate.counters.fail(&error),
        }
    }
}

/// Whether a connection that was up has ended, as far as was told until now.
fn heard_of_loss(monitor: &Monitor) -> bool {
    let events = std::iter::from_fn(|| monitor.try_recv());
    // All of them are taken, so that there is room for more.
    events.filter(|event| matches!(event.what, What::Disconnected(_))).count() > 0
}
