//! [`LocalMeta`], a [`MetaStore`] in one file, and [`MemoryMeta`], one that forgets.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition, TableError};

use crate::store::{Change, MetaStore, StoreError};

/// Name of the file in the data directory.
const FILE_NAME: &str = "meta.redb";

/// Page cache of the file: facts about topics and groups are small and mostly read at start.
const CACHE_BYTES: usize = 1 << 20;

const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");

/// Facts in a redb file, `meta.redb`: a copy-on-write B-tree, so that a commit is one sync and a
/// crash leaves the commit before.
///
/// After an I/O error redb refuses all further work on a database, while a full disk may have room
/// again a moment later. Hence an error closes the file, and the next call opens it anew, which
/// repairs it. Whether the commit that failed is in it then is open until it is made again.
#[derive(Debug)]
pub struct LocalMeta {
    path: PathBuf,
    /// None: closed by an error.
    db: Mutex<Option<Database>>,
}

impl LocalMeta {
    /// Opens the facts in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<LocalMeta, StoreError> {
        let path = dir.join(FILE_NAME);
        let what = || format!("open {}", path.display());
        let db = builder().create(&path).map_err(|e| failed(&what(), e))?;
        // The file may be new: a commit is as durable as its name.
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| StoreError::Io { what: what(), source })?;
        Ok(LocalMeta { path, db: Mutex::new(Some(db)) })
    }

    /// Runs `work` on the database, which is opened again if an error has closed it.
    fn run<T>(
        &self,
        what: &str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut slot = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match slot.take() {
            Some(db) => db,
            None => self.reopen()?,
        };
        let result = work(&db).map_err(|e| failed(what, e));
        if result.is_ok() {
            *slot = Some(db);
        }
        result
    }

    /// Never creates: a file that is gone is an error and not an empty one.
    fn reopen(&self) -> Result<Database, StoreError> {
        let what = || format!("reopen {}", self.path.display());
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(|source| StoreError::Io { what: what(), source })?;
        // The kernel marks pages clean that it could not write. They must not pass for what is on
        // the disk; pages that this cannot drop are dirty, and the next sync writes them.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        drop(file);
        let db = builder().open(&self.path).map_err(|e| failed(&what(), e))?;
        tracing::info!(path = %self.path.display(), "facts opened again");
        Ok(db)
    }
}

impl MetaStore for LocalMeta {
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.run("scan the facts", |db| scan(db, prefix))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.run("read a fact", |db| get(db, key))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.run("commit facts", |db| commit(db, changes))
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn scan(db: &Database, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
    let table = match db.begin_read()?.open_table(FACTS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut found = Vec::new();
    for pair in table.range(prefix..)? {
        let (key, value) = pair?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push((key.value().to_owned(), value.value().to_vec()));
    }
    Ok(found)
}

fn get(db: &Database, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = match db.begin_read()?.open_table(FACTS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

fn commit(db: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut table = txn.open_table(FACTS)?;
        for change in changes {
            match change {
                Change::Put { key, value } => table.insert(key.as_str(), value.as_slice())?,
                Change::Delete { key } => table.remove(key.as_str())?,
            };
        }
    }
    Ok(txn.commit()?)
}

fn failed(what: &str, error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(source) => StoreError::Io { what: what.to_owned(), source },
        redb::Error::Corrupted(why) => StoreError::Corrupt(format!("{what}: {why}")),
        other => StoreError::Io { what: what.to_owned(), source: io::Error::other(other) },
    }
}

/// Facts in memory, for embedding and tests: a commit is as durable as the process.
#[derive(Debug, Default)]
pub struct MemoryMeta {
    facts: BTreeMap<String, Vec<u8>>,
}

impl MemoryMeta {
    /// No facts.
    pub fn new() -> MemoryMeta {
        MemoryMeta::default()
    }
}

impl MetaStore for MemoryMeta {
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let from = self.facts.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.facts.get(key).cloned())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    self.facts.insert(key.clone(), value.clone());
                }
                Change::Delete { key } => {
                    self.facts.remove(key);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::StorageBackend;
    use redb::backends::FileBackend;

    use super::*;

    /// A file on a disk that is full when told to be.
    #[derive(Debug)]
    struct Filling {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Filling {
        fn room(&self) -> io::Result<()> {
            match self.full.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl StorageBackend for Filling {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.room().and_then(|()| self.file.set_len(len))
        }

        fn sync_data(&self) -> io::Result<()> {
            self.room().and_then(|()| self.file.sync_data())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.room().and_then(|()| self.file.write(offset, data))
        }

        fn close(&self) -> io::Result<()> {
            self.file.close()
        }
    }

    /// Facts whose database, until it is opened again, is on a disk that may fill up.
    fn filling(dir: &Path) -> (LocalMeta, Arc<AtomicBool>) {
        let meta = LocalMeta::open(dir).unwrap();
        *meta.db.lock().unwrap() = None;
        let file = OpenOptions::new().read(true).write(true).open(&meta.path).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let backend = Filling { file: FileBackend::new(file).unwrap(), full: full.clone() };
        let db = builder().create_with_backend(backend).unwrap();
        *meta.db.lock().unwrap() = Some(db);
        (meta, full)
    }

    fn put(key: &str) -> [Change; 1] {
        [Change::Put { key: key.to_owned(), value: vec![1; 100] }]
    }

    #[test]
    fn a_commit_that_found_no_room_does_not_end_the_commits() {
        let dir = tempfile::tempdir().unwrap();
        let (mut meta, full) = filling(dir.path());
        meta.commit(&put("a")).unwrap();
        full.store(true, Ordering::Relaxed);
        meta.commit(&put("b")).unwrap_err();
        assert!(meta.get("a").unwrap().is_some());
        meta.commit(&put("b")).unwrap();
        meta.commit(&put("c")).unwrap();
        drop(meta);
        let facts = LocalMeta::open(dir.path()).unwrap().scan("").unwrap();
        let keys: Vec<&str> = facts.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn facts_that_cannot_be_opened_again_are_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut meta, full) = filling(dir.path());
        meta.commit(&put("a")).unwrap();
        full.store(true, Ordering::Relaxed);
        meta.commit(&put("b")).unwrap_err();
        let aside = dir.path().join("aside");
        std::fs::rename(&meta.path, &aside).unwrap();
        meta.get("a").unwrap_err();
        meta.commit(&put("b")).unwrap_err();
        assert!(!meta.path.exists(), "a lost file was made anew, empty");
        std::fs::rename(&aside, &meta.path).unwrap();
        assert!(meta.get("a").unwrap().is_some());
        meta.commit(&put("b")).unwrap();
    }
}
