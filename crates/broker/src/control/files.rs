//! The files thread: what a change of topics has to do with partitions, beside the control thread.
//!
//! To make a partition takes a directory, two files and a sync; to trim one a flush; to delete one
//! the wait for whoever writes to it. Thousands of those would keep the groups from their
//! heartbeats, so they are done here. A job comes from the control thread and goes back there as
//! its sequel, by the queue that all others use: what the job came to is acted on where topics and
//! groups are, and nowhere else.
//!
//! If this thread ends before it was told to, the control thread hears of it and ends as well: a
//! change that is never concluded must not keep a broker from stopping.

use std::fmt;
use std::sync::{Arc, mpsc};

use chaski_log::store::LogStore;

use super::{Control, ToControl};
use crate::Broker;

/// What the control thread does when a job is done.
type Sequel = Box<dyn FnOnce(&mut Control) + Send>;

/// What there is to do with partitions.
type Job = Box<dyn FnOnce(&dyn LogStore) -> Sequel + Send>;

/// A job that is done.
pub(crate) struct Settled(Sequel);

impl Settled {
    /// Acts on what it came to.
    pub(super) fn conclude(self, control: &mut Control) {
        (self.0)(control);
    }
}

impl fmt::Debug for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled").finish_non_exhaustive()
    }
}

/// Where the control thread leaves its jobs, one at a time. Dropping it ends the files thread.
pub(super) struct Jobs(mpsc::SyncSender<Job>);

impl Jobs {
    /// Has `job` done, then `sequel` by the control thread with what it came to. Returns false if
    /// nobody is there to do it.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce(&dyn LogStore) -> T + Send + 'static,
        sequel: impl FnOnce(&mut Control, T) + Send + 'static,
    ) -> bool {
        let job: Job = Box::new(move |store| {
            let outcome = job(store);
            Box::new(move |control| sequel(control, outcome))
        });
        self.0.try_send(job).is_ok()
    }
}

/// The files thread.
pub(crate) struct Files {
    broker: Arc<Broker>,
    jobs: mpsc::Receiver<Job>,
}

impl Files {
    pub(super) fn new(broker: Arc<Broker>) -> (Jobs, Files) {
        let (give, jobs) = mpsc::sync_channel(1);
        (Jobs(give), Files { broker, jobs })
    }

    /// Works until the control thread has ended.
    pub(crate) fn run(self) {
        while let Ok(job) = self.jobs.recv() {
            self.broker.tell_control(ToControl::Settled(self.settle(job)));
        }
    }

    fn settle(&self, job: Job) -> Settled {
        Settled(job(&*self.broker.store))
    }

    /// Does what is to be done now, on the caller's thread; None: nothing.
    #[cfg(test)]
    pub(super) fn work(&self) -> Option<Settled> {
        let job = self.jobs.try_recv().ok()?;
        Some(self.settle(job))
    }
}

impl Drop for Files {
    /// However this thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.broker.tell_control(ToControl::FilesEnded);
    }
}
