//! The file itself: a tar, gzipped, below one directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tar::{Builder, Header};

use crate::failure::Failure;

/// Where everything in it lies.
const ROOT: &str = "chaski-bundle";

/// A bundle that is being written.
pub(super) struct Archive {
    path: PathBuf,
    tar: Builder<GzEncoder<File>>,
    /// Seconds since 1970.
    time: u64,
}

impl Archive {
    /// Begins a file, which must not be there: what somebody kept is not written over.
    pub(super) fn create(path: &Path, now: Timestamp) -> Result<Archive, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| {
            Failure::because(format!("cannot write {}", path.display()), &e)
                .hint("`--file FILE` names one that is not there yet")
        })?;
        let tar = Builder::new(GzEncoder::new(file, Compression::default()));
        let time = u64::try_from(now.as_second()).unwrap_or(0);
        Ok(Archive { path: path.to_path_buf(), tar, time })
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.time);
        let added = self.tar.append_data(&mut header, format!("{ROOT}/{name}"), bytes);
        added.map_err(|e| self.failed(&e))
    }

    /// Ends the file. How long it is.
    pub(super) fn finish(self) -> Result<u64, Failure> {
        let path = self.path.clone();
        let finish = || self.tar.into_inner()?.finish()?.metadata();
        let failed = |e| Failure::because(format!("cannot write {}", path.display()), &e);
        finish().map(|metadata| metadata.len()).map_err(failed)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::because(format!("cannot write {}", self.path.display()), error)
    }
}
