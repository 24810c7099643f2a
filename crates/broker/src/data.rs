//! The data directory: locked, opened, and searched for what nobody claims.
//!
//! ```text
//! <data>/LOCK         one process at a time
//! <data>/meta.redb    which topics there are, and more
//! <data>/log/         a directory a partition
//! ```
//! A partition is found by its topic, so without `meta.redb` every log is there and unreachable. A
//! broker started on that would look empty, and remove or shadow what it holds when topics of the
//! same names are made. It does not start.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chaski_log::disk::Disk;
use chaski_log::store::{LogStore, MetaStore};
use chaski_log::{DirLock, LocalLog, LocalMeta, MemoryLog, MemoryMeta};

use crate::cluster::Cluster;
use crate::control;
use crate::server::StartError;

/// The log's directory in the data directory.
const LOG_DIR: &str = "log";

/// Directories that a warning names; the others are counted.
const NAMED_MAX: usize = 10;

/// What a broker keeps its records and facts in, opened.
pub(crate) struct Data {
    /// None: in memory.
    pub(crate) lock: Option<DirLock>,
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) meta: Box<dyn MetaStore>,
}

/// Nothing yet, and nothing that outlives the process.
pub(crate) fn in_memory() -> Data {
    Data { lock: None, log: Arc::new(MemoryLog::new()), meta: Box::new(MemoryMeta::new()) }
}

/// Locks and opens `dir`, which is made if it is not there.
pub(crate) fn open(
    dir: &Path,
    disk: Arc<dyn Disk>,
    sync_threads: usize,
) -> Result<Data, StartError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| StartError::Data {
        dir: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(|e| failed(e.into()))?;
    let lock = DirLock::acquire(dir).map_err(|e| failed(e.into()))?;
    let meta = LocalMeta::open(dir).map_err(|e| failed(e.into()))?;
    let partitions = partition_dirs(dir).map_err(|e| failed(e.into()))?;
    if let Some(first) = partitions.first()
        && control::is_new(&meta)?
    {
        let (log, first) = (dir.join(LOG_DIR), first.clone());
        return Err(StartError::Unclaimed { log, first, partitions: partitions.len() });
    }
    let log = LocalLog::open_on(disk, dir, sync_threads).map_err(|e| failed(e.into()))?;
    Ok(Data { lock: Some(lock), log: Arc::new(log), meta: Box::new(meta) })
}

/// Names of the directories that hold a partition: `<topic>-<number>`.
fn partition_dirs(dir: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match std::fs::read_dir(dir.join(LOG_DIR)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_partition = name.rsplit_once('-').is_some_and(|(_, index)| is_number(index));
        if is_partition && entry.file_type()?.is_dir() {
            found.insert(name);
        }
    }
    Ok(found)
}

/// Partitions on disk that no topic has: what a crash in the middle of a deletion leaves.
fn unclaimed(dir: &Path, cluster: &Cluster) -> io::Result<BTreeSet<String>> {
    let mut dirs = partition_dirs(dir)?;
    for topic in cluster.by_name.values() {
        for index in 0..topic.partitions.len() {
            dirs.remove(&format!("{}-{index}", topic.name));
        }
    }
    Ok(dirs)
}

/// Names these in the log. They are left alone: a person may want what is in them.
pub(crate) fn warn_of_unclaimed(dir: &Path, cluster: &Cluster) {
    match unclaimed(dir, cluster) {
        Ok(dirs) if dirs.is_empty() => {}
        Ok(dirs) => {
            let named: Vec<&str> = dirs.iter().take(NAMED_MAX).map(String::as_str).collect();
            tracing::warn!(
                log = %dir.join(LOG_DIR).display(),
                count = dirs.len(),
                named = named.join(" "),
                "directories that no topic claims; remove them if nobody misses them"
            );
        }
        Err(error) => tracing::warn!(%error, "cannot look for directories that no topic claims"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Topic, TopicConfig};
    use crate::settings::Given;
    use chaski_log::disk::RealDisk;
    use chaski_log::store::PartitionId;

    #[test]
    fn partitions_without_a_meta_store_keep_the_broker_from_starting() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("log/orders-0")).expect("made");
        match open(dir.path(), Arc::new(RealDisk), 1) {
            Err(StartError::Unclaimed { first, partitions, .. }) => {
                assert_eq!((first.as_str(), partitions), ("orders-0", 1));
            }
            other => panic!("{:?}", other.err()),
        }
        std::fs::remove_dir(dir.path().join("log/orders-0")).expect("moved away");
        assert!(open(dir.path(), Arc::new(RealDisk), 1).is_ok());
    }

    #[test]
    fn what_no_topic_has_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["t-0", "t-1", "t-2", "gone-0", "gone-1.0f.deleted", "lost+found"] {
            std::fs::create_dir_all(dir.path().join("log").join(name)).expect("made");
        }
        let mut cluster = Cluster::default();
        cluster.insert(Topic {
            name: "t".into(),
            id: uuid::Uuid::nil(),
            partitions: vec![PartitionId(0), PartitionId(1)],
            given: Given::new(),
            config: TopicConfig::resolve(&Given::new(), &Given::new()),
        });
        let found = unclaimed(dir.path(), &cluster).expect("listed");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["gone-0", "t-2"]);
    }
}
