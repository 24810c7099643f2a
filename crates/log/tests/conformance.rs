//! Every store passes the same suites.

mod support;

use std::sync::Arc;

use chaski_log::conformance::{self, Fixture};
use chaski_log::store::LogStore;
use chaski_log::{LocalLog, LocalMeta, MemoryLog, MemoryMeta};
use support::UnsyncedDisk;
use tempfile::TempDir;

struct Local {
    dir: TempDir,
}

impl Fixture for Local {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.dir = tempfile::tempdir().unwrap();
        self.reopen().unwrap()
    }

    fn reopen(&mut self) -> Option<Box<dyn LogStore>> {
        let disk = Arc::new(UnsyncedDisk);
        Some(Box::new(LocalLog::open_on(disk, self.dir.path(), 2).unwrap()))
    }
}

struct Memory;

impl Fixture for Memory {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        Box::new(MemoryLog::new())
    }

    fn reopen(&mut self) -> Option<Box<dyn LogStore>> {
        None
    }
}

#[test]
fn local_log() {
    conformance::log_store(&mut Local { dir: tempfile::tempdir().unwrap() });
}

#[test]
fn memory_log() {
    conformance::log_store(&mut Memory);
}

#[test]
fn local_meta() {
    let dir = tempfile::tempdir().unwrap();
    conformance::meta_store(LocalMeta::open(dir.path()).unwrap(), |store| {
        drop(store);
        Some(LocalMeta::open(dir.path()).unwrap())
    });
}

#[test]
fn memory_meta() {
    conformance::meta_store(MemoryMeta::new(), |_| None);
}
