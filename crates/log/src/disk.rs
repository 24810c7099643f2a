//! The file calls by which the log changes a disk.
//!
//! Everything that can lose data goes through [`Disk`], so that a test can stand in its way: refuse
//! room, write short, fail a sync, or pull the plug and drop what was never synced. Reads are not
//! here: they change nothing, and [`crate::store::Slice::File`] hands real files to the network
//! anyway.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;

/// What the log asks of a disk. The provided methods ask the operating system.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file that must not exist, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Creates a directory that must not exist.
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    /// Writes at `position`, perhaps less than all; returns the bytes written.
    fn write_at(&self, file: &File, bytes: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, bytes, position)?)
    }

    /// Cuts a file short, or grows it with zeros.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Returns once the bytes of `file`, and its length, would survive the end of the machine.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Returns once the names in `dir` would survive the end of the machine.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Gives a file or directory another name, replacing a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

/// Buffers the kernel takes in one call (`IOV_MAX`).
const SLICES_MAX: usize = 1024;

/// Writes all of `slices` at `position`, however often the disk writes short.
pub(crate) fn write_all_at(
    disk: &dyn Disk,
    file: &File,
    slices: &mut [IoSlice<'_>],
    mut position: u64,
) -> io::Result<()> {
    let mut rest = slices;
    while !rest.is_empty() {
        let some = rest.len().min(SLICES_MAX);
        match disk.write_at(file, &rest[..some], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Puts `bytes` under the name `path` such that the name never leads to a part of them: a
/// temporary file, renamed. `durable` syncs the bytes before the rename, so that they are whole
/// even after the end of the machine; the name itself is the caller's to sync.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY);
    let temporary = path.with_file_name(name);
    match disk.remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    let written = write_all_at(disk, &file, &mut [IoSlice::new(bytes)], 0)
        .and_then(|()| if durable { disk.sync_data(&file) } else { Ok(()) })
        .and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        let _ = disk.remove_file(&temporary);
    }
    written
}

/// How the name of a file ends that [`replace`] did not come to rename.
pub(crate) const TEMPORARY: &str = ".tmp";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Writes three bytes a call and is interrupted every other time.
    #[derive(Debug, Default)]
    struct Stutter(AtomicUsize);

    impl Disk for Stutter {
        fn write_at(&self, file: &File, bytes: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
            if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let first = bytes.iter().find(|b| !b.is_empty()).expect("something to write");
            let some = first.len().min(3);
            RealDisk.write_at(file, &[IoSlice::new(&first[..some])], at)
        }
    }

    #[test]
    fn a_short_write_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Stutter::default();
        let file = disk.create(&dir.path().join("f")).unwrap();
        let mut slices = [IoSlice::new(b"abcdefgh"), IoSlice::new(b""), IoSlice::new(b"ij")];
        write_all_at(&disk, &file, &mut slices, 2).unwrap();
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"\0\0abcdefghij");
    }

    #[test]
    fn replace_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        replace(&RealDisk, &path, b"one", true).unwrap();
        replace(&RealDisk, &path, b"two", false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
