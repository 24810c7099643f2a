//! A disk that is full when a test wants it to be.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chaski_log::disk::{Disk, RealDisk};

/// Has room for so many more bytes.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    room: AtomicI64,
}

impl SmallDisk {
    /// One with plenty of room.
    pub(crate) fn roomy() -> Arc<SmallDisk> {
        Arc::new(SmallDisk { room: AtomicI64::new(1 << 30) })
    }

    pub(crate) fn set_room(&self, bytes: i64) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    fn full() -> io::Error {
        io::Error::from_raw_os_error(28)
    }
}

impl Disk for SmallDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        match self.room.load(Ordering::Relaxed) {
            ..=0 => Err(Self::full()),
            _ => RealDisk.create(path),
        }
    }

    /// Writes what there is room for, as a real disk does.
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

    fn sync_data(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}
