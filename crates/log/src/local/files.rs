//! Names in a data directory.
//!
//! ```text
//! <data>/log/orders-3/                        a partition
//!     partition.json                          which topic this is
//!     checkpoint                              where recovery begins
//!     00000000000000000000.log                batches from offset 0 on
//!     00000000000000000000.index  .timeindex  sparse indexes, once the segment is sealed
//!     00000000000000841207.log                the active segment
//! <data>/log/orders-3.<uuid>.deleted/         on its way out
//! ```

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::{PartitionSpec, StoreError};

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const IDENTITY: &str = "partition.json";
pub(crate) const DELETED: &str = "deleted";

/// Longest topic name, so that a directory name stays within 255 bytes.
const TOPIC_NAME_MAX: usize = 249;

/// Path of a segment's file: `kind` is one of [`LOG`], [`INDEX`], [`TIME_INDEX`].
pub(crate) fn segment(dir: &Path, base: i64, kind: &str) -> PathBuf {
    dir.join(format!("{base:020}.{kind}"))
}

/// Base offset and kind of a segment's file.
pub(crate) fn parse_segment(name: &OsStr) -> Option<(i64, &str)> {
    let (digits, kind) = name.to_str()?.split_once('.')?;
    let valid = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    (valid && [LOG, INDEX, TIME_INDEX].contains(&kind)).then_some((digits.parse().ok()?, kind))
}

/// Directory name of a partition. The name must be one that a topic can have, for it comes from
/// outside and must not lead outside.
pub(crate) fn partition(spec: &PartitionSpec) -> Result<String, StoreError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let topic = &spec.topic;
    if topic.is_empty() || topic.len() > TOPIC_NAME_MAX || !topic.bytes().all(legal) {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a topic name");
        return Err(StoreError::Io { what: format!("open {topic:?}"), source });
    }
    if spec.index < 0 {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "negative partition number");
        return Err(StoreError::Io { what: format!("open {topic} {}", spec.index), source });
    }
    Ok(format!("{topic}-{}", spec.index))
}

/// The name a directory gets on its way out: no other has it, and no partition can.
pub(crate) fn set_aside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{DELETED}", uuid::Uuid::new_v4().simple()));
    dir.with_file_name(name)
}

/// Directories in `root` that were set aside.
pub(crate) fn leftovers(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(DELETED)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Wraps an I/O error with what was being done to which file.
pub(crate) fn io_error(what: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let what = format!("{what} {}", path.display());
    move |source| StoreError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LogConfig;

    #[test]
    fn segment_names_round_trip_and_others_do_not_parse() {
        let path = segment(Path::new("/x"), 841_207, LOG);
        assert_eq!(path, Path::new("/x/00000000000000841207.log"));
        assert_eq!(parse_segment(path.file_name().unwrap()), Some((841_207, LOG)));
        for name in ["1.log", "0000000000000000000x.log", "00000000000000000000.log.tmp", "log"] {
            assert_eq!(parse_segment(OsStr::new(name)), None, "{name}");
        }
        assert_eq!(parse_segment(OsStr::new("99999999999999999999.log")), None, "over i64");
    }

    #[test]
    fn a_topic_name_cannot_leave_the_directory() {
        let named = |topic: &str| {
            partition(&PartitionSpec {
                topic: topic.to_owned(),
                topic_id: uuid::Uuid::nil(),
                index: 3,
                config: LogConfig::default(),
            })
        };
        assert_eq!(named("orders").unwrap(), "orders-3");
        for bad in ["", "a/b", "../x", "a\0", &"x".repeat(250)] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }
}
