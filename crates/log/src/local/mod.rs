//! [`LocalLog`]: the store on files of this machine.
//!
//! A partition is a directory of segments ([`files`]), of which one is written to. What is where:
//!
//! - `append`: from checked batches to the page cache; `zone`: room ahead for it;
//! - `sync`, `pending`: from the page cache to the disk, and who waits for that;
//! - `read`, `find`: from an offset or a timestamp to bytes in a file;
//! - `segment`, `index`, `scan`: one file of batches and what is derived from it;
//! - `checkpoint`, `recover`: what a crash leaves and what is made of it;
//! - `retain`: what goes.
//!
//! Promises:
//!
//! - an append answered with [`Durability::Disk`](crate::store::Durability::Disk) survives the end
//!   of the machine, one answered with `PageCache` that of the process;
//! - what waits for the disk is not shown to consumers before it is there, nor is anything behind
//!   it. (What an earlier process left in the page cache is shown at once, and synced soon.)
//! - what failed was never in the log; a batch that is damaged is never served;
//! - index, checkpoint and producers are derived from the segments and believed only if they fit.

mod append;
mod background;
pub(crate) mod checkpoint;
pub(crate) mod files;
mod find;
pub(crate) mod index;
mod partition;
mod pending;
mod read;
mod recover;
mod retain;
pub(crate) mod scan;
mod segment;
mod sync;
mod zone;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;

use self::append::Outcomes;
use self::background::{Queue, Task, run_syncs, run_tasks};
use self::files::io_error;
use self::partition::{Partition, Stopped};
use self::pending::Answers;
use self::segment::OpenFiles;
use crate::clock;
use crate::disk::{Disk, RealDisk};
use crate::store::{
    Append, AppendError, AppendOutcome, AppendSink, LogConfig, LogStore, Mirror, OffsetFound,
    OffsetQuery, Offsets, PartitionId, PartitionSpec, PartitionStats, Read, ReadError, ReadOk,
    StoreError, Watcher,
};
use crate::watch::Calls;

/// Directory of the partitions, in the data directory.
const DIR: &str = "log";

/// Sealed segments kept open, file and index.
const OPEN_SEGMENTS_MAX: usize = 512;

/// Bytes between index entries where an index is rebuilt.
const REBUILD_INTERVAL: u32 = 4096;

/// Threads that sync, at most.
const SYNC_THREADS_MAX: usize = 64;

/// Partitions in a directory of this machine.
pub struct LocalLog {
    dir: PathBuf,
    shared: Arc<Shared>,
    /// Names in use; None: being opened or deleted.
    names: Mutex<HashMap<String, Option<PartitionId>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all partitions and threads of a log share.
pub(crate) struct Shared {
    files: OpenFiles,
    /// A partition is always synced by the same thread.
    syncs: Vec<Arc<Queue<Arc<Partition>>>>,
    background: Queue<Task>,
    partitions: ArcSwap<Vec<Option<Arc<Partition>>>>,
}

/// What opening a partition came upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// A checkpoint said where to begin.
    pub checkpoint_used: bool,
    /// Bytes of batches behind the checkpoint, all checked.
    pub scanned_bytes: u64,
    /// Bytes of a torn tail that were cut off.
    pub truncated_bytes: u64,
    /// Offset at which that was.
    pub truncated_at: Option<i64>,
    /// First offset of each damaged stretch.
    pub damaged: Vec<i64>,
}

impl LocalLog {
    /// Opens the log in the data directory `dir`, which must exist and be nobody else's (see
    /// [`DirLock`](crate::DirLock)), with so many threads that sync.
    pub fn open(dir: &Path, sync_threads: usize) -> Result<LocalLog, StoreError> {
        LocalLog::open_on(Arc::new(RealDisk), dir, sync_threads)
    }

    /// As [`LocalLog::open`], on a disk that may fail.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        sync_threads: usize,
    ) -> Result<LocalLog, StoreError> {
        let dir = dir.join(DIR);
        if !dir.exists() {
            disk.create_dir(&dir).map_err(io_error("create", &dir))?;
        }
        let sync_threads = sync_threads.clamp(1, SYNC_THREADS_MAX);
        let shared = Arc::new(Shared {
            files: OpenFiles::new(disk, REBUILD_INTERVAL, OPEN_SEGMENTS_MAX),
            syncs: (0..sync_threads).map(|_| Arc::new(Queue::new())).collect(),
            background: Queue::new(),
            partitions: ArcSwap::default(),
        });
        for leftover in files::leftovers(&dir).map_err(io_error("list", &dir))? {
            shared.background.push(Task::Remove(leftover));
        }
        let log = LocalLog { dir, shared, names: Mutex::default(), threads: Mutex::default() };
        log.start_threads()?;
        Ok(log)
    }

    fn start_threads(&self) -> Result<(), StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut start = |name: String, run: Box<dyn FnOnce() + Send>| {
            let what = format!("start thread {name}");
            let thread = thread::Builder::new().name(name).spawn(run);
            threads.push(thread.map_err(|source| StoreError::Io { what, source })?);
            Ok(())
        };
        for (i, queue) in self.shared.syncs.iter().enumerate() {
            let (shared, queue) = (self.shared.clone(), queue.clone());
            start(format!("chaski-sync-{i}"), Box::new(move || run_syncs(&shared, &queue)))?;
        }
        let shared = self.shared.clone();
        start("chaski-log".to_owned(), Box::new(move || run_tasks(&shared)))
    }

    /// What opening a partition came upon.
    pub fn recovered(&self, partition: PartitionId) -> Result<RecoveryReport, StoreError> {
        Ok(self.partition(partition)?.recovery.clone())
    }

    fn partition(&self, id: PartitionId) -> Result<Arc<Partition>, StoreError> {
        self.shared.partition(id).ok_or(StoreError::NotFound)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Option<PartitionId>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name that is free, or returns who has it.
    fn reserve(&self, name: &str, spec: &PartitionSpec) -> Result<Option<PartitionId>, StoreError> {
        let mut names = self.names();
        let taken = match names.get(name) {
            None => {
                names.insert(name.to_owned(), None);
                return Ok(None);
            }
            Some(taken) => *taken,
        };
        let partition = taken.and_then(|id| Some((id, self.shared.partition(id)?)));
        match partition {
            Some((id, partition)) if partition.topic_id == spec.topic_id => Ok(Some(id)),
            _ => {
                let source = std::io::ErrorKind::AlreadyExists.into();
                Err(StoreError::Io { what: format!("open {name}"), source })
            }
        }
    }

    fn register(&self, name: &str, partition: Partition) -> PartitionId {
        let partition = Arc::new(partition);
        if partition.lock().has_leftovers() {
            self.shared.background.push(Task::Flush(partition.clone()));
        }
        let mut names = self.names();
        let mut partitions = Vec::clone(&self.shared.partitions.load());
        let id = PartitionId(partitions.len() as u32);
        partitions.push(Some(partition));
        self.shared.partitions.store(Arc::new(partitions));
        names.insert(name.to_owned(), Some(id));
        id
    }

    /// Ends the threads, once they have done what is queued.
    fn stop_threads(&self) {
        self.shared.syncs.iter().for_each(|queue| queue.end());
        self.shared.background.end();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn partition(&self, id: PartitionId) -> Option<Arc<Partition>> {
        self.partitions.load().get(id.0 as usize)?.clone()
    }

    fn open_partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.load().iter().flatten().cloned().collect()
    }

    /// Has the partition synced.
    fn sync(&self, partition: &Arc<Partition>) {
        self.syncs[partition.lane % self.syncs.len()].push(partition.clone());
    }
}

impl LogStore for LocalLog {
    fn open(&self, spec: &PartitionSpec) -> Result<PartitionId, StoreError> {
        let name = files::partition(spec)?;
        if let Some(open) = self.reserve(&name, spec)? {
            return Ok(open);
        }
        match recover::open(spec, &self.dir.join(&name), &self.shared) {
            Ok(partition) => Ok(self.register(&name, partition)),
            Err(error) => {
                self.names().remove(&name);
                Err(error)
            }
        }
    }

    fn delete(&self, partition: PartitionId) -> Result<(), StoreError> {
        let (mut answers, mut calls) = (Answers::default(), Calls::default());
        let deleted = {
            let mut names = self.names();
            let mut partitions = Vec::clone(&self.shared.partitions.load());
            let slot = partitions.get_mut(partition.0 as usize).and_then(Option::take);
            let deleted = slot.ok_or(StoreError::NotFound)?;
            // Before the watchers are told, so that no watcher comes after and waits for ever; and
            // before anybody finds it gone, whose mirror may be another's from then on.
            deleted.gone.store(true, Ordering::Release);
            deleted.lock().stop(Stopped::Deleted, &mut answers);
            self.shared.partitions.store(Arc::new(partitions));
            names.insert(deleted.name.clone(), None);
            deleted
        };
        deleted.watchers.all(&mut calls);
        answers.deliver();
        calls.make();
        let renamed = {
            // Whoever writes to the directory has the turn, and looks at `gone` when it has it.
            let _turn = deleted.take_sync_turn();
            let aside = files::set_aside(&deleted.dir);
            self.shared.files.disk.rename(&deleted.dir, &aside).map(|()| aside)
        };
        self.names().remove(&deleted.name);
        let aside = renamed.map_err(io_error("set aside", &deleted.dir))?;
        self.shared.background.push(Task::Remove(aside));
        Ok(())
    }

    fn configure(&self, partition: PartitionId, config: &LogConfig) -> Result<(), StoreError> {
        self.partition(partition)?.lock().config = config.clone();
        Ok(())
    }

    fn append(
        &self,
        batches: &mut [Append<'_>],
        now: &mut Vec<(u64, AppendOutcome)>,
        later: &Arc<dyn AppendSink>,
    ) {
        let now_ms = clock::now_ms();
        let mut calls = Calls::default();
        let mut outcomes = Outcomes { now, later };
        for run in batches.chunk_by_mut(|a, b| a.partition == b.partition) {
            match self.shared.partition(run[0].partition) {
                Some(p) => p.append(&self.shared, run, now_ms, &mut outcomes, &mut calls),
                None => {
                    let missing = |a: &Append<'_>| (a.token, Err(AppendError::NotFound));
                    outcomes.now.extend(run.iter().map(missing));
                }
            }
        }
        calls.make();
    }

    fn read(&self, reads: &[Read], results: &mut Vec<Result<ReadOk, ReadError>>) {
        let partitions = self.shared.partitions.load();
        results.extend(reads.iter().map(|read| match partitions.get(read.partition.0 as usize) {
            Some(Some(partition)) => partition.read(read, &self.shared.files),
            _ => Err(ReadError::NotFound),
        }));
    }

    fn offsets(&self, partition: PartitionId) -> Result<Offsets, StoreError> {
        Ok(self.partition(partition)?.offsets())
    }

    fn find(
        &self,
        partition: PartitionId,
        query: OffsetQuery,
    ) -> Result<Option<OffsetFound>, StoreError> {
        self.partition(partition)?.find(query, &self.shared.files)
    }

    fn watch(
        &self,
        partition: PartitionId,
        offset: i64,
        key: u64,
        watcher: &Arc<dyn Watcher>,
    ) -> bool {
        let Some(partition) = self.shared.partition(partition) else { return false };
        let watching = partition.watchers.watch(offset, key, watcher, &partition.high_watermark);
        // A deletion that came in between may not have seen the watcher.
        if watching && partition.is_gone() {
            partition.watchers.unwatch(key);
            return false;
        }
        watching
    }

    fn unwatch(&self, partition: PartitionId, key: u64) {
        if let Some(partition) = self.shared.partition(partition) {
            partition.watchers.unwatch(key);
        }
    }

    fn mirror(
        &self,
        partition: PartitionId,
        mirror: Option<Arc<dyn Mirror>>,
    ) -> Result<(), StoreError> {
        self.partition(partition)?.set_mirror(mirror)
    }

    fn trim(&self, partition: PartitionId, offset: i64) -> Result<i64, StoreError> {
        self.partition(partition)?.trim(offset, &self.shared)
    }

    fn stats(&self, partition: PartitionId) -> Result<PartitionStats, StoreError> {
        Ok(self.partition(partition)?.stats())
    }

    fn retain(&self, now_ms: i64) {
        for partition in self.shared.open_partitions() {
            if let Err(error) = partition.retain(now_ms, &self.shared) {
                tracing::warn!(partition = partition.name, %error, "retention failed");
            }
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        let mut failed = None;
        for partition in self.shared.open_partitions() {
            if let Err(source) = partition.close(&self.shared) {
                let what = format!("close {}", partition.name);
                failed = failed.or(Some(StoreError::Io { what, source }));
            }
        }
        self.stop_threads();
        failed.map_or(Ok(()), Err)
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

impl fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLog").field("dir", &self.dir).finish_non_exhaustive()
    }
}
