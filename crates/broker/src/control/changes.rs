//! Changes of topics: one after the other, each in two halves.
//!
//! The first half checks a request against the topics as they are and commits what is to become of
//! them. The files thread does to the partitions what follows from that. The second half publishes
//! the outcome and answers. In between everything is served but changes: those wait for their turn,
//! in the order they came, so that each finds the topics as the one before it has left them, and
//! nothing is decided on topics that are half made. What waits is bounded in bytes, well below what
//! all requests together may hold, so that a crowd of changes does not shut heartbeats out; it is
//! dropped if its asker is gone by then.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;

use chaski_kafka::{ApiKey, DecodeError};
use chaski_log::store::LogStore;

use super::files::{Jobs, Settled};
use super::{Asker, Control, Work};
use crate::client::ClientError;
use crate::limits::CONTROL_CHANGES_BYTES_MAX;

/// Changes that wait, and whether one is between its halves.
pub(super) struct Changes {
    jobs: Jobs,
    waiting: VecDeque<Work>,
    /// Bytes of those.
    bytes: usize,
    under_way: bool,
    /// The files thread is gone.
    ended: bool,
}

impl Changes {
    pub(super) fn new(jobs: Jobs) -> Changes {
        Changes { jobs, waiting: VecDeque::new(), bytes: 0, under_way: false, ended: false }
    }

    /// Whether one is between its halves.
    pub(super) fn under_way(&self) -> bool {
        self.under_way
    }

    /// Whether there is still somebody to do what changes have to do with partitions.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.ended {
            true => Err(io::Error::other("thread chaski-files has ended")),
            false => Ok(()),
        }
    }

    /// Whether one may begin now.
    pub(super) fn is_due(&self) -> bool {
        !self.under_way && !self.waiting.is_empty()
    }

    /// Lines a change up; gives it back if too many wait.
    fn push(&mut self, work: Work) -> Result<(), Work> {
        let bytes = self.bytes + work.bytes();
        if bytes > CONTROL_CHANGES_BYTES_MAX {
            return Err(work);
        }
        self.bytes = bytes;
        self.waiting.push_back(work);
        Ok(())
    }

    fn pop(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.bytes -= work.bytes();
        Some(work)
    }
}

/// Whether requests of this API change topics.
pub(super) fn are_changes(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::CreatePartitions
            | ApiKey::DeleteRecords
            | ApiKey::AlterConfigs
            | ApiKey::IncrementalAlterConfigs
    )
}

impl Control {
    /// Has a change wait for its turn.
    pub(super) fn put_off(&mut self, work: Work) {
        if let Err(work) = self.changes.push(work) {
            tracing::warn!(api = work.api.name(), "too many changes of topics wait");
            self.let_go(&work);
            match work.asker {
                Asker::Caller(id) => self.broker.callers.answer(id, Err(ClientError::Busy)),
                asker => self.hopeless.push(asker),
            }
        }
    }

    /// Drops the changes of those who are gone that have not begun: who was told that it took too
    /// long must not find it done much later.
    pub(super) fn abandon_changes(&mut self, gone: impl Fn(&Asker) -> bool) {
        let (dropped, kept) =
            self.changes.waiting.drain(..).partition::<VecDeque<_>, _>(|work| gone(&work.asker));
        self.changes.waiting = kept;
        for work in &dropped {
            self.changes.bytes -= work.bytes();
            self.let_go(work);
        }
    }

    /// Begins the next change, unless one is between its halves. One a turn: each may wait for the
    /// disk, and the groups are served in between.
    pub(super) fn begin_change(&mut self) {
        if !self.changes.is_due() {
            return;
        }
        let Some(work) = self.changes.pop() else { return };
        self.let_go(&work);
        let asker = work.asker;
        if self.journal.owes() || self.first_half(work).is_err() {
            self.hopeless.push(asker);
        }
    }

    fn first_half(&mut self, work: Work) -> Result<(), DecodeError> {
        match work.api {
            ApiKey::Metadata => self.make_missing(work),
            ApiKey::CreateTopics => self.create_topics(work),
            ApiKey::DeleteTopics => self.delete_topics(work),
            ApiKey::CreatePartitions => self.create_partitions(work),
            ApiKey::DeleteRecords => self.delete_records(work),
            ApiKey::AlterConfigs => self.alter_configs(work),
            ApiKey::IncrementalAlterConfigs => self.incremental_alter(work),
            other => Err(DecodeError::UnknownApi(other as i16)),
        }
    }

    /// Has `job` done by the files thread, then `second_half` here with what it came to.
    pub(super) fn with_files<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&dyn LogStore) -> T + Send + 'static,
        second_half: impl FnOnce(&mut Control, T) + Send + 'static,
    ) {
        debug_assert!(!self.changes.under_way, "one change at a time");
        // If nobody is there to do it, the end of the broker is on its way, and answers this.
        self.changes.under_way = self.changes.jobs.begin(job, second_half);
    }

    /// The second half of the change under way.
    pub(super) fn conclude(&mut self, settled: Settled) {
        self.changes.under_way = false;
        settled.conclude(self);
    }

    /// Nobody will conclude the change under way.
    pub(super) fn files_ended(&mut self) {
        self.changes.under_way = false;
        self.changes.ended = true;
    }

    /// Answers with this body; a request that makes no sense has none.
    pub(super) fn answer(&mut self, work: &Work, body: Result<Vec<u8>, DecodeError>) {
        match body {
            Ok(body) => self.effects.replies.push((work.asker, body)),
            Err(_) => self.hopeless.push(work.asker),
        }
    }

    /// The request waits no more.
    pub(super) fn let_go(&self, work: &Work) {
        // ORDERING: a sum; nothing else is published through it.
        self.broker.queued_bytes.fetch_sub(work.bytes(), Ordering::Relaxed);
    }
}
