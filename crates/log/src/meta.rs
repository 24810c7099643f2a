//! [`LocalMeta`], a [`MetaStore`] in one file, and [`MemoryMeta`], one that forgets.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition, TableError};

use crate::store::{Change, MetaStore, StoreError};

/// Name of the file in the data directory.
const FILE_NAME: &str = "meta.redb";

/// Page cache of the file: facts about topics and groups are small and mostly read at start.
const CACHE_BYTES: usize = 1 << 20;

const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");

/// Facts in a redb file, `meta.redb`: a copy-on-write B-tree, so that a commit is one sync and a
/// crash leaves the commit before.
#[derive(Debug)]
pub struct LocalMeta {
    db: Database,
}

impl LocalMeta {
    /// Opens the facts in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<LocalMeta, StoreError> {
        let path = dir.join(FILE_NAME);
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|e| failed(&format!("open {}", path.display()), e))?;
        Ok(LocalMeta { db })
    }
}

impl MetaStore for LocalMeta {
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let what = "scan the facts";
        let txn = self.db.begin_read().map_err(|e| failed(what, e))?;
        let table = match txn.open_table(FACTS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(e) => return Err(failed(what, e)),
        };
        let mut found = Vec::new();
        for pair in table.range(prefix..).map_err(|e| failed(what, e))? {
            let (key, value) = pair.map_err(|e| failed(what, e))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), value.value().to_vec()));
        }
        Ok(found)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let what = "read a fact";
        let txn = self.db.begin_read().map_err(|e| failed(what, e))?;
        let table = match txn.open_table(FACTS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(failed(what, e)),
        };
        let value = table.get(key).map_err(|e| failed(what, e))?;
        Ok(value.map(|v| v.value().to_vec()))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let what = "commit facts";
        let txn = self.db.begin_write().map_err(|e| failed(what, e))?;
        {
            let mut table = txn.open_table(FACTS).map_err(|e| failed(what, e))?;
            for change in changes {
                match change {
                    Change::Put { key, value } => {
                        table
                            .insert(key.as_str(), value.as_slice())
                            .map_err(|e| failed(what, e))?;
                    }
                    Change::Delete { key } => {
                        table.remove(key.as_str()).map_err(|e| failed(what, e))?;
                    }
                }
            }
        }
        txn.commit().map_err(|e| failed(what, e))
    }
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
