//! Disks that misbehave in their several ways, and small logs to misbehave with.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod unplugged;

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use chaski_log::LocalLog;
use chaski_log::conformance::Probe;
use chaski_log::disk::{Disk, RealDisk};
use tempfile::TempDir;

pub use unplugged::Unplugged;

/// Syncs nothing: for tests about other things, on machines where a sync takes long.
#[derive(Debug)]
pub struct UnsyncedDisk;

impl Disk for UnsyncedDisk {
    fn sync_data(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// A directory in memory where there is such a thing, for tests that write thousands of files.
pub fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A log in `dir` on a disk that syncs nothing.
pub fn local(dir: &Path) -> Probe {
    on(Arc::new(UnsyncedDisk), dir)
}

/// A log in `dir` on some disk.
pub fn on(disk: Arc<dyn Disk>, dir: &Path) -> Probe {
    Probe::new(Box::new(LocalLog::open_on(disk, dir, 2).unwrap()))
}

/// Files with this extension in the directory of partition 0 of topic `t`, in order.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("log/t-0")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}

/// Copies a directory and all in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Has room for so many more bytes, and fails or stalls syncs on demand.
#[derive(Debug)]
pub struct FaultyDisk {
    pub room: AtomicI64,
    pub fail_syncs: AtomicBool,
    /// Files cannot be cut.
    pub fail_cuts: AtomicBool,
    /// Syncs wait while it is set.
    hold_syncs: AtomicBool,
    /// Syncs that have had to wait.
    pub held: AtomicUsize,
    pub syncs: AtomicUsize,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        FaultyDisk {
            room: AtomicI64::new(i64::MAX / 2),
            fail_syncs: AtomicBool::new(false),
            fail_cuts: AtomicBool::new(false),
            hold_syncs: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            syncs: AtomicUsize::new(0),
        }
    }
}

/// Syncs wait until it is dropped. Declared behind the store, whose end waits for them, it lets a
/// test that fails end.
pub struct Held<'a>(&'a FaultyDisk);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.hold_syncs.store(false, Ordering::Release);
    }
}

impl FaultyDisk {
    pub fn hold(&self) -> Held<'_> {
        self.hold_syncs.store(true, Ordering::Release);
        Held(self)
    }

    fn full() -> io::Error {
        io::Error::from_raw_os_error(28)
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        if self.room.load(Ordering::Relaxed) <= 0 {
            Err(Self::full())
        } else {
            RealDisk.create(path)
        }
    }

    /// Writes what there is room for, as a real disk does, and counts it.
    fn write_at(&self, file: &File, bytes: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let all: Vec<u8> = bytes.iter().flat_map(|b| b.iter().copied()).collect();
        let room = usize::try_from(self.room.load(Ordering::Relaxed)).unwrap_or(0);
        let some = all.len().min(room);
        if some == 0 && !all.is_empty() {
            return Err(Self::full());
        }
        self.room.fetch_sub(some as i64, Ordering::Relaxed);
        RealDisk.write_at(file, &[IoSlice::new(&all[..some])], position)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        if self.fail_cuts.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        RealDisk.set_len(file, len)
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        if self.hold_syncs.load(Ordering::Acquire) {
            self.held.fetch_add(1, Ordering::Release);
        }
        while self.hold_syncs.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if self.fail_syncs.load(Ordering::Acquire) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
