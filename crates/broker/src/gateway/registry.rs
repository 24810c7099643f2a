//! The gateways of a broker while it runs: their threads, and what becomes of one that fails.
//!
//! ```text
//!   start --> starting --> running --> stopped
//!                 |           |            ^
//!                 +--> failed <--+         |   after 100 ms, 200 ms, .. 10 s: again
//!                        |  +------------> |
//!                        +--> running
//! ```

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use chaski_zmq::Socket;

use super::gate::{Gate, Halt};
use super::limits::{BACKOFF_MAX, BACKOFF_MIN, STOP};
use super::open::{self, Opened};
use super::security::Doors;
use super::spec::{Direction, GatewayKind, GatewaySpec};
use super::stats::{Counters, GatewaySource, GatewayState, GatewayStatus};
use super::{intake, publish, push, router};
use crate::Broker;
use crate::client::Client;

/// How long a socket that is closed goes on sending what waits.
const LINGER: Duration = Duration::from_millis(200);

/// All gateways of a broker. What a gateway's thread holds keeps the broker's memory; so they end
/// before it does.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) doors: Arc<Doors>,
    table: Mutex<Table>,
    /// Held while one is added or removed: looking for loops, opening and keeping are one step.
    changing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    closed: bool,
    by_name: BTreeMap<String, Arc<Entry>>,
}

/// One gateway.
pub(super) struct Entry {
    pub(super) spec: GatewaySpec,
    pub(super) source: GatewaySource,
    pub(super) counters: Counters,
    halt: Halt,
    place: Mutex<Place>,
    /// Says nothing, and ends with the thread. None: there is none.
    ended: Mutex<Option<mpsc::Receiver<()>>>,
}

#[derive(Default)]
struct Place {
    socket: Option<Arc<Socket>>,
    bound: Vec<String>,
}

impl Registry {
    pub(super) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.table).by_name.values().cloned().collect()
    }

    /// All of them as they are now, by name.
    pub(crate) fn statuses(&self, broker: &Broker) -> Vec<GatewayStatus> {
        self.all().iter().map(|entry| entry.status(broker)).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Entry>> {
        lock(&self.table).by_name.get(name).cloned()
    }

    /// Takes a gateway in; it has no thread yet. None: the broker stops.
    pub(super) fn insert(&self, entry: Entry) -> Option<Arc<Entry>> {
        let mut table = lock(&self.table);
        if table.closed {
            return None;
        }
        let entry = Arc::new(entry);
        table.by_name.insert(entry.spec.name.clone(), entry.clone());
        Some(entry)
    }

    /// Stops one and forgets it.
    pub(super) fn remove(&self, name: &str) {
        let entry = lock(&self.table).by_name.remove(name);
        if let Some(entry) = entry {
            entry.halt.set();
            entry.wait_for_end(Instant::now() + STOP);
            self.doors.close(name);
        }
    }

    /// Stops all of them, at the same time; none is let in afterwards.
    pub(crate) fn stop(&self) {
        let entries = {
            let mut table = lock(&self.table);
            table.closed = true;
            std::mem::take(&mut table.by_name)
        };
        entries.values().for_each(|entry| entry.halt.set());
        let deadline = Instant::now() + STOP;
        entries.values().for_each(|entry| entry.wait_for_end(deadline));
    }
}

impl Entry {
    pub(super) fn new(spec: GatewaySpec, source: GatewaySource) -> Entry {
        Entry {
            spec,
            source,
            counters: Counters::default(),
            halt: Halt::default(),
            place: Mutex::default(),
            ended: Mutex::new(None),
        }
    }

    /// One that may not run, shown with the reason.
    pub(super) fn refused(spec: GatewaySpec, source: GatewaySource, why: &str) -> Entry {
        let entry = Entry::new(spec, source);
        entry.counters.enter(GatewayState::Failed);
        entry.counters.fail(&why);
        entry
    }

    /// Where it is bound; as it was asked for if it never was.
    pub(super) fn bound(&self) -> Vec<String> {
        let place = lock(&self.place);
        if place.bound.is_empty() { self.spec.bind.clone() } else { place.bound.clone() }
    }

    pub(super) fn status(&self, broker: &Broker) -> GatewayStatus {
        let socket = lock(&self.place).socket.clone();
        let counters = &self.counters;
        let peers = socket.map(|socket| counters.look(&socket, self.spec.hwm)).unwrap_or_default();
        let direction = self.spec.kind.direction();
        GatewayStatus {
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            direction,
            endpoints: self.bound().into_iter().chain(self.spec.connect.iter().cloned()).collect(),
            topic: self.spec.topic.clone(),
            group: self.spec.group.clone(),
            state: counters.state(),
            messages: counters.messages.get(),
            bytes: counters.bytes.get(),
            drops: match direction {
                Direction::In => counters.drops.get(),
                Direction::Out => counters.drops.get() + counters.dropped(),
            },
            malformed: counters.malformed.get(),
            resent: counters.resent.get(),
            unanswered: counters.unanswered.get(),
            errors: counters.errors.get(),
            lag: match direction {
                Direction::In => i64::try_from(counters.held()).ok(),
                Direction::Out => self.lag(broker),
            },
            last_error: counters.last_error(),
            peers,
            source: self.source,
            latency: counters.latency.read(),
        }
    }

    /// Records between where it is and the end of its topic; None: not known.
    fn lag(&self, broker: &Broker) -> Option<i64> {
        let positions = self.counters.positions();
        let topic = self.spec.topic.as_deref().filter(|_| !positions.is_empty())?;
        let cluster = broker.cluster.load();
        let topic = cluster.by_name.get(topic)?;
        let behind = |(partition, at): &(i32, i64)| {
            let offsets = broker.store.offsets(topic.partition(*partition)?).ok()?;
            Some((offsets.high_watermark - at).max(0))
        };
        positions.iter().map(behind).sum()
    }

    fn wait_for_end(&self, deadline: Instant) {
        let Some(ended) = lock(&self.ended).take() else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        if ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(gateway = self.spec.name, "its thread is late, and ends by itself");
        }
    }

    /// Starts its thread, with a socket that is open, or the reason why it is not.
    pub(super) fn spawn(
        self: &Arc<Entry>,
        client: &Client,
        doors: &Arc<Doors>,
        first: Result<Opened, String>,
    ) -> io::Result<()> {
        if let Ok(opened) = &first {
            lock(&self.place).bound.clone_from(&opened.bound);
        }
        let (entry, client, doors) = (self.clone(), client.clone(), doors.clone());
        let (end, ended) = mpsc::channel();
        let live = move || {
            entry.live(&client, &doors, first);
            // What it held of the broker is gone before others are told.
            drop((entry, client, doors));
            drop::<mpsc::Sender<()>>(end);
        };
        thread::Builder::new().name(format!("gw-{}", self.spec.name)).spawn(live)?;
        *lock(&self.ended) = Some(ended);
        Ok(())
    }

    /// A gateway's life: it works, and when that fails it is opened again.
    fn live(&self, client: &Client, doors: &Doors, first: Result<Opened, String>) {
        let mut opened = first;
        let mut wait = BACKOFF_MIN;
        loop {
            let began = Instant::now();
            let why = match opened.and_then(|opened| self.work(client, opened)) {
                Ok(()) => "it has ended without a reason".to_owned(),
                Err(why) => why,
            };
            if self.halt.is_set() || client.has_stopped() {
                break;
            }
            self.counters.enter(GatewayState::Failed);
            self.counters.fail(&why);
            tracing::warn!(
                gateway = self.spec.name,
                why,
                "it has failed, and will be opened again"
            );
            if began.elapsed() > BACKOFF_MAX {
                wait = BACKOFF_MIN;
            }
            self.halt.sleep(wait);
            wait = (wait * 2).min(BACKOFF_MAX);
            if self.halt.is_set() || client.has_stopped() {
                break;
            }
            opened = open::open(&self.spec, doors.context(), &lock(&self.place).bound.clone());
        }
        self.counters.enter(GatewayState::Stopped);
    }

    /// One run, from an open socket to its end.
    fn work(&self, client: &Client, opened: Opened) -> Result<(), String> {
        let Opened { socket, bound } = opened;
        let socket = Arc::new(socket);
        *lock(&self.place) = Place { socket: Some(socket.clone()), bound: bound.clone() };
        self.counters.enter(GatewayState::Running);
        let gate = Gate {
            spec: &self.spec,
            client,
            counters: &self.counters,
            halt: &self.halt,
            socket: &socket,
            bound: &bound,
        };
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(&gate)));
        self.counters.look(&socket, self.spec.hwm);
        lock(&self.place).socket = None;
        socket.close(LINGER);
        self.counters.drop_messages(self.counters.held() as usize, &"the gateway has failed");
        outcome.unwrap_or_else(|panic| Err(format!("it panicked: {}", words_of(&*panic))))
    }
}

fn run(gate: &Gate<'_>) -> Result<(), String> {
    match gate.spec.kind {
        GatewayKind::Pull | GatewayKind::Sub => intake::run(gate),
        GatewayKind::Router => router::run(gate),
        GatewayKind::Pub => publish::run(gate),
        GatewayKind::Push => push::run(gate),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("spec", &self.spec).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use chaski_zmq::{Message, Push};

    use super::*;
    use crate::Builder;
    use crate::client::Position;

    /// Longest a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// What a gateway trips over.
    const STONE: &str = "a stone";

    /// The defect that gateways have in tests.
    pub(in crate::gateway) fn trip(message: &Message) {
        assert!(message.first().is_none_or(|frame| frame != STONE), "on purpose");
    }

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "never came to pass: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_panic_is_told_and_counted_and_the_gateway_and_the_broker_go_on() {
        let server = Builder::new().in_memory().start().expect("started");
        let client = server.client();
        let spec = GatewaySpec::new("g", GatewayKind::Pull, "t").bind("tcp://127.0.0.1:*");
        let endpoint = client.gateways().add(spec).expect("added").endpoints.remove(0);
        let status = || client.gateways().get("g").expect("there");
        let push = Push::builder().sndtimeo(PATIENCE).build().expect("a socket");
        push.connect(&endpoint).expect("connecting");
        push.send("before").expect("sent");
        eventually("it is stored", || status().messages == 1);
        push.send(STONE).expect("sent");
        push.flush();
        eventually("it has failed", || status().errors == 1);
        let told = status().last_error.expect("a reason");
        assert!(told.contains("panicked") || told.contains("has failed"), "{told}");
        eventually("it works again", || status().state == GatewayState::Running);
        eventually("its peer is back", || status().peers.iter().any(|peer| peer.connected));
        push.send("after").expect("sent");
        push.flush();
        eventually("it is stored", || status().messages == 2);
        let after = status();
        assert_eq!((after.drops, after.lag), (1, Some(0)), "what it tripped over is counted");
        let mut reader = client.reader("t", 0, Position::Earliest).expect("a reader");
        let mut count = 0;
        while let Some(records) = reader.next(1 << 20).expect("readable") {
            records.for_each(|_| count += 1).expect("well formed");
        }
        assert_eq!(count, 2);
    }
}
