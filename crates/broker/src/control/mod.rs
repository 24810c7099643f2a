//! The control thread: the one writer of all that shards share.
//!
//! It takes requests that change topics, settings, groups or committed offsets from every shard,
//! in batches. What a batch changes is committed to the [`MetaStore`] in one transaction before
//! any of its answers leaves, so that one flush serves all who wait, and an answer is a promise.
//!
//! ```text
//!  requests --> control: check, commit --- job ---> files: make, trim, delete partitions
//!               | groups served meanwhile               |
//!  answers  <-- control: publish, commit <-- sequel ----+
//! ```
//!
//! Invariants:
//!
//! - **It waits for no partition.** Groups live by its heartbeats; of the disk it knows the
//!   MetaStore's commit alone. What a change of topics does to partitions is done by [`files`].
//! - **One change of topics at a time** ([`changes`]), in the order they came: create, delete and
//!   create of one name are three changes, each of which finds what the one before has left.
//! - **The MetaStore is the truth, the partitions follow.** A topic is there once it is committed,
//!   and gone once that is. A crash at any step leaves what the next start mends: partitions of a
//!   topic that are not there are made, directories of another topic's id are set aside when their
//!   name is used again, and those that no topic claims are named in the log.

mod admin;
mod changes;
mod configs;
mod files;
mod journal;
mod messages;
mod partitions;
mod producers;
mod round;
#[cfg(test)]
mod tests;
mod topics;

use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use chaski_kafka::{ApiKey, DecodeError};
use chaski_log::store::{Change, MetaStore, StoreError};
use chaski_reactor::Handle;

use self::changes::Changes;
pub(crate) use self::files::Files;
use self::journal::Journal;
pub(crate) use self::messages::{Asker, ToControl, Work};
use self::producers::ProducerIds;
use self::round::Round;
pub(crate) use self::topics::load;
use crate::Broker;
use crate::client::ClientError;
use crate::cluster::{Cluster, Topic};
use crate::groups::{self, Caller, Coordinator, Effects, Topics};
use crate::limits::BATCH_MAX;
use crate::settings::{self, BROKER, Given};
use crate::shard::{ToShard, now_ms};

/// Longest sleep: nothing due is noticed later than this even if the clock jumps.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How often groups are counted for the metrics, at most.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How soon a commit that failed is tried again if nobody asks for anything.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The state only this thread touches.
pub(crate) struct Control {
    journal: Journal,
    broker: Arc<Broker>,
    shards: Vec<Handle<ToShard>>,
    changes: Changes,
    coordinator: Coordinator<Asker>,
    producers: ProducerIds,
    /// The next state of the topics; published to all shards when `dirty`.
    cluster: Cluster,
    dirty: bool,
    /// Answers and changes of the batch under way.
    effects: Effects<Asker>,
    /// Who is to be told that there is no answer, which for a connection is its end: the request
    /// made no sense, or what it wants cannot be stored.
    hopeless: Vec<Asker>,
    retain_at: Instant,
    retain_every: Duration,
    retaining: Round,
    /// When the groups are to be counted again; None: nothing has happened since.
    count_at: Option<Instant>,
}

impl Control {
    /// Its state, and that of the thread which does its work on files.
    pub(crate) fn new(
        broker: Arc<Broker>,
        meta: Box<dyn MetaStore>,
        shards: Vec<Handle<ToShard>>,
    ) -> Result<(Control, Files), StoreError> {
        let limits = group_limits(&broker.settings);
        let pairs = meta.scan(groups::KEY_PREFIX)?;
        let retain_every =
            Duration::from_millis(number(&broker.settings, "log.retention.check.interval.ms"));
        let coordinator = Coordinator::restore(limits, pairs);
        broker.groups.store(Arc::new(coordinator.counts()));
        let (jobs, files) = Files::new(broker.clone());
        let control = Control {
            cluster: Cluster::clone(&broker.cluster.load()),
            coordinator,
            producers: ProducerIds::restore(&*meta)?,
            journal: Journal::new(meta),
            broker,
            shards,
            changes: Changes::new(jobs),
            dirty: false,
            effects: Effects::default(),
            hopeless: Vec::new(),
            retain_at: Instant::now() + retain_every,
            retain_every,
            retaining: Round::default(),
            count_at: None,
        };
        Ok((control, files))
    }

    /// Serves until told to stop, and until the change of topics under way is concluded. Those
    /// that wait then are not begun.
    ///
    /// # Errors
    /// If the files thread has ended first.
    pub(crate) fn run(mut self, from_all: &mpsc::Receiver<ToControl>) -> io::Result<()> {
        let mut stop = false;
        loop {
            let first = from_all.recv_timeout(self.sleep());
            stop |= match first {
                Ok(first) => self.take_batch(first, from_all),
                Err(mpsc::RecvTimeoutError::Timeout) => false,
                Err(mpsc::RecvTimeoutError::Disconnected) => true,
            };
            if !stop {
                self.begin_change();
            }
            self.coordinator.tick(Instant::now(), now_ms(), &mut self.effects);
            self.settle();
            self.retain_if_due();
            self.count_if_due();
            if stop && !self.changes.under_way() {
                self.retaining.join();
                return self.changes.check();
            }
        }
    }

    /// How long nothing is due.
    fn sleep(&self) -> Duration {
        if self.changes.is_due() {
            return Duration::ZERO;
        }
        let others = [self.coordinator.next_deadline(), self.count_at];
        let next = others.into_iter().flatten().fold(self.retain_at, Instant::min);
        let longest = if self.journal.owes() { RETRY_AFTER } else { SLEEP_MAX };
        next.saturating_duration_since(Instant::now()).min(longest)
    }

    fn take_batch(&mut self, first: ToControl, from_all: &mpsc::Receiver<ToControl>) -> bool {
        self.pay();
        let mut stop = self.take(first);
        for _ in 1..BATCH_MAX {
            match from_all.try_recv() {
                Ok(next) => stop |= self.take(next),
                Err(_) => break,
            }
        }
        stop
    }

    fn take(&mut self, message: ToControl) -> bool {
        match message {
            ToControl::Request(work) => self.take_request(work),
            ToControl::RequestAbout { work, topics } => self.take_request_about(work, &topics),
            ToControl::Gone { shard, conn } => {
                self.abandon(|asker| {
                    matches!(asker, Asker::Connection(t) if t.shard == shard && t.conn == conn)
                });
            }
            ToControl::GaveUp(caller) => {
                self.abandon(|asker| matches!(asker, Asker::Caller(id) if *id == caller));
            }
            ToControl::Keep { changes, tell } => {
                // Who has given up waiting need not be told.
                let _ = tell.try_send(self.commit(changes));
            }
            ToControl::Settled(settled) => self.conclude(settled),
            ToControl::FilesEnded => {
                self.files_ended();
                return true;
            }
            ToControl::Stop => return true,
        }
        false
    }

    /// Nobody waits for these answers any more.
    fn abandon(&mut self, gone: impl Fn(&Asker) -> bool) {
        self.abandon_changes(&gone);
        self.coordinator.abandon(Instant::now(), gone);
    }

    fn take_request(&mut self, work: Work) {
        let wants_turn = changes::are_changes(work.api) || self.wants_topics(&work);
        if wants_turn && !self.journal.owes() {
            return self.put_off(work);
        }
        self.let_go(&work);
        if self.journal.owes() || self.serve(&work).is_err() {
            self.hopeless.push(work.asker);
        }
    }

    fn take_request_about(&mut self, work: Work, topics: &[Arc<Topic>]) {
        let is_gone = |topic: &&Arc<Topic>| !self.cluster.by_id.contains_key(&topic.id);
        let (Some(gone), Asker::Caller(caller)) = (topics.iter().find(is_gone), work.asker) else {
            return self.take_request(work);
        };
        self.let_go(&work);
        let error = ClientError::UnknownTopic { topic: gone.name.to_string(), nearest: None };
        self.broker.callers.answer(caller, Err(error));
    }

    fn serve(&mut self, work: &Work) -> Result<(), DecodeError> {
        let &Work { asker, api, version, ref body, .. } = work;
        if Coordinator::<Asker>::handles(api) {
            let caller = Caller { client_id: &work.client_id, client_host: &work.client_host };
            return self.coordinator.request(
                Instant::now(),
                now_ms(),
                api,
                version,
                body,
                &caller,
                &self.cluster,
                asker,
                &mut self.effects,
            );
        }
        let answer = match api {
            ApiKey::Metadata => self.metadata(version, body)?,
            ApiKey::DescribeConfigs => self.describe_configs(version, body)?,
            ApiKey::InitProducerId => self.init_producer_id(version, body)?,
            other => return Err(DecodeError::UnknownApi(other as i16)),
        };
        self.effects.replies.push((asker, answer));
        Ok(())
    }

    /// Commits what the batch changed, publishes the topics, then answers.
    fn settle(&mut self) {
        self.publish();
        let replies = std::mem::take(&mut self.effects.replies);
        match self.commit(Vec::new()) {
            Ok(()) => replies.into_iter().for_each(|(asker, body)| self.reply(asker, Some(body))),
            // Nothing was promised: the clients lose their connections and ask again.
            Err(_) => self.hopeless.extend(replies.into_iter().map(|(asker, _)| asker)),
        }
        for asker in std::mem::take(&mut self.hopeless) {
            self.reply(asker, None);
        }
        for shard in &self.shards {
            shard.wake();
        }
    }

    /// Answers; None: there is no answer to this request.
    fn reply(&self, asker: Asker, body: Option<Vec<u8>>) {
        match asker {
            Asker::Connection(ticket) => {
                self.shards[ticket.shard].send_quietly(ToShard::Reply { ticket, body });
            }
            Asker::Caller(id) => self.broker.callers.answer(id, self.outcome(body)),
        }
    }

    /// What a caller in this process is told, who has no connection to lose.
    fn outcome(&self, body: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, ClientError> {
        match (body, self.broker.ailment.get()) {
            (None, Some(fault)) => Err(ClientError::Storage(fault)),
            (body, _) => Ok(body),
        }
    }

    /// Commits at once: `asked` must be on disk before it is acted on. What the batch has changed
    /// so far goes along, so that changes reach the disk in the order they were made.
    fn commit(&mut self, asked: Vec<Change>) -> Result<(), StoreError> {
        let owed = self.journal.owes();
        let committed = self.journal.commit(std::mem::take(&mut self.effects.changes), asked);
        // What is only asked for and refused ails nobody else; what is owed, everybody.
        match &committed {
            Err(error) if self.journal.owes() => self.broker.ailment.set(Some(error.into())),
            Ok(()) if owed => self.broker.ailment.set(None),
            _ => {}
        }
        committed
    }

    /// Commits what is owed from a commit that failed, if it can be done now.
    fn pay(&mut self) {
        if self.journal.owes() {
            // The failure has been told already, and keeps everybody waiting by itself.
            let _ = self.commit(Vec::new());
        }
    }

    fn retain_if_due(&mut self) {
        if Instant::now() < self.retain_at {
            return;
        }
        self.retain_at = Instant::now() + self.retain_every;
        // Deleting large files takes tens of milliseconds: not on the thread groups depend on.
        let broker = self.broker.clone();
        match self.retaining.begin("chaski-retain", move || broker.store.retain(now_ms())) {
            Ok(true) => {}
            Ok(false) => tracing::warn!("retention is not done with its last round yet"),
            Err(error) => tracing::warn!(%error, "retention skipped a round"),
        }
    }

    /// Counts the groups for the metrics, some time after something has happened to them: there
    /// may be many.
    fn count_if_due(&mut self) {
        let now = Instant::now();
        match self.count_at {
            Some(at) if at > now => {}
            Some(_) => {
                self.broker.groups.store(Arc::new(self.coordinator.counts()));
                self.count_at = None;
            }
            None => self.count_at = Some(now + COUNT_EVERY),
        }
    }
}

impl Drop for Control {
    /// However this thread ends, nobody in this process waits for it any more.
    fn drop(&mut self) {
        self.broker.callers.close();
    }
}

/// Whether requests of this API are for the control thread.
pub(crate) fn serves(api: ApiKey) -> bool {
    Coordinator::<Asker>::handles(api)
        || changes::are_changes(api)
        || matches!(api, ApiKey::Metadata | ApiKey::DescribeConfigs | ApiKey::InitProducerId)
}

impl Topics for Cluster {
    fn has(&self, topic: &str, partition: i32) -> bool {
        self.by_name.get(topic).is_some_and(|t| t.partition(partition).is_some())
    }
}

/// The key of the cluster's id, the first fact there is.
const CLUSTER_ID: &str = "cluster/id";

/// Whether no broker has ever used this store.
pub(crate) fn is_new(meta: &dyn MetaStore) -> Result<bool, StoreError> {
    Ok(meta.get(CLUSTER_ID)?.is_none())
}

/// The id of this cluster, made up at the first start.
pub(crate) fn cluster_id(meta: &mut dyn MetaStore) -> Result<String, StoreError> {
    if let Some(value) = meta.get(CLUSTER_ID)? {
        return Ok(String::from_utf8_lossy(&value).into_owned());
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    meta.commit(&[Change::Put { key: CLUSTER_ID.to_owned(), value: id.clone().into_bytes() }])?;
    Ok(id)
}

/// A broker setting that counts something, never negative.
fn number(given: &Given, name: &str) -> u64 {
    let setting = settings::find(BROKER, name).expect("a name from the table");
    given.get(name).unwrap_or(setting.default).parse().unwrap_or_default()
}

fn group_limits(given: &Given) -> groups::Limits {
    let ms = |name: &str| Duration::from_millis(number(given, name));
    groups::Limits {
        members_max: number(given, "group.max.size") as usize,
        offset_metadata_bytes_max: number(given, "offset.metadata.max.bytes") as usize,
        session_timeout_min: ms("group.min.session.timeout.ms"),
        session_timeout_max: ms("group.max.session.timeout.ms"),
        initial_rebalance_delay: ms("group.initial.rebalance.delay.ms"),
        offsets_retention: Duration::from_secs(60 * number(given, "offsets.retention.minutes")),
        ..groups::Limits::default()
    }
}
