//! Where recovery of a partition begins.
//!
//! A checkpoint claims that everything before a position is on disk, and carries what a scan of
//! the rest cannot know: the log start and the producers. It is written to a temporary file,
//! synced and renamed, after the sync of what it claims. It is derived: without a valid one,
//! recovery scans the partition from its first batch and knows the same, only later, except that
//! a log start moved into the middle of a segment is forgotten.
//!
//! ```text
//!  0  magic "chskchk1"                     8      big-endian
//!  8  base offset of the active segment    8
//! 16  position in it                       8
//! 24  offset there                         8
//! 32  log start                            8
//! 40  largest timestamp before it in the segment   8
//! 48  wall clock of the segment's first batch, ms  8
//! 56  producers: see `Producers`
//!     CRC-32C of all before                4
//! ```

use std::fs;
use std::io;
use std::path::Path;

use super::files;
use crate::bytes::{Cut, put, seal, unseal};
use crate::disk::{Disk, replace};
use crate::producers::Producers;

const MAGIC: &[u8; 8] = b"chskchk1";

/// Larger than any checkpoint with as many producers as there may be.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) segment: i64,
    pub(crate) position: u64,
    pub(crate) next_offset: i64,
    pub(crate) log_start: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) created_ms: i64,
    pub(crate) producers: Producers,
}

impl Checkpoint {
    /// Writes it into a partition's directory and syncs it.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        replace(disk, &dir.join(files::CHECKPOINT), &self.encode(), true)
    }

    /// Reads the one in a partition's directory; None: there is none that is valid.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Checkpoint>> {
        let path = dir.join(files::CHECKPOINT);
        match Checkpoint::read_file(&path) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(path = %path.display(), "damaged checkpoint, the whole log is read");
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Reads a checkpoint file; `InvalidData` if it is not a valid one.
    pub(crate) fn read_file(path: &Path) -> io::Result<Checkpoint> {
        let invalid = || {
            let why = format!("{} is damaged", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        if fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(invalid());
        }
        Checkpoint::decode(&fs::read(path)?).map_err(|Cut| invalid())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put(&mut out, MAGIC);
        put(&mut out, &self.segment.to_be_bytes());
        put(&mut out, &self.position.to_be_bytes());
        put(&mut out, &self.next_offset.to_be_bytes());
        put(&mut out, &self.log_start.to_be_bytes());
        put(&mut out, &self.max_timestamp.to_be_bytes());
        put(&mut out, &self.created_ms.to_be_bytes());
        self.producers.encode(&mut out);
        seal(&mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint, Cut> {
        let mut bytes = unseal(bytes)?;
        if bytes.take::<8>()? != *MAGIC {
            return Err(Cut);
        }
        let checkpoint = Checkpoint {
            segment: i64::from_be_bytes(bytes.take()?),
            position: u64::from_be_bytes(bytes.take()?),
            next_offset: i64::from_be_bytes(bytes.take()?),
            log_start: i64::from_be_bytes(bytes.take()?),
            max_timestamp: i64::from_be_bytes(bytes.take()?),
            created_ms: i64::from_be_bytes(bytes.take()?),
            producers: Producers::decode(&mut bytes)?,
        };
        bytes.end()?;
        let sane = checkpoint.segment >= 0
            && checkpoint.next_offset >= checkpoint.segment
            && (0..=checkpoint.next_offset).contains(&checkpoint.log_start);
        if sane { Ok(checkpoint) } else { Err(Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flip_or_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Checkpoint::read(dir.path()).unwrap().is_none());
        let checkpoint = Checkpoint {
            segment: 10,
            position: 4711,
            next_offset: 40,
            log_start: 12,
            max_timestamp: 99,
            created_ms: 5,
            producers: Producers::default(),
        };
        checkpoint.write(&crate::disk::RealDisk, dir.path()).unwrap();
        let read = Checkpoint::read(dir.path()).unwrap().unwrap();
        assert_eq!(read.encode(), checkpoint.encode());
        let good = checkpoint.encode();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Checkpoint::decode(&bad).is_err(), "flip at {at}");
            assert!(Checkpoint::decode(&good[..at]).is_err(), "cut at {at}");
        }
    }
}
