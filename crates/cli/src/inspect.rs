//! `chaski inspect`: the files of a log, offline.

mod index;
mod limits;
#[cfg(target_os = "linux")]
mod meeting;
#[cfg(not(target_os = "linux"))]
#[path = "inspect/meeting_elsewhere.rs"]
mod meeting;
pub(crate) mod segment;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::args::{Inspect, InspectIndex, InspectSegment};
use crate::failure::{CALLED_WRONGLY, Failure};

pub(crate) fn run(args: &Inspect) -> Result<(), Failure> {
    match args {
        Inspect::Segment(args) => inspect(args),
        Inspect::Index(args) => one_index(args),
        Inspect::Shm(args) => meeting::run(args),
        Inspect::Limits(args) => limits::run(args),
    }
}

fn inspect(args: &InspectSegment) -> Result<(), Failure> {
    let path = args.path.as_path();
    let format = args.output.output;
    let is_dir = fs::metadata(path).map_err(|e| cannot_read(path, &e))?.is_dir();
    if is_dir {
        let segments = segments(path).map_err(|e| cannot_read(path, &e))?;
        if segments.is_empty() {
            return Err(no_segments(path));
        }
        return segment::run(&segments, args);
    }
    match kind(path) {
        Some("index") => index::offsets(path, format),
        Some("timeindex") => index::times(path, format),
        None if path.file_name() == Some(OsStr::new("checkpoint")) => {
            index::checkpoint(path, format)
        }
        _ => segment::run(&[path.to_path_buf()], args),
    }
}

fn one_index(args: &InspectIndex) -> Result<(), Failure> {
    let (path, format) = (args.path.as_path(), args.output.output);
    match kind(path) {
        Some("index") => index::offsets(path, format),
        Some("timeindex") => index::times(path, format),
        None if path.file_name() == Some(OsStr::new("checkpoint")) => {
            index::checkpoint(path, format)
        }
        _ => Err(Failure::new(format!("{} is not named as an index is", path.display()))
            .hint("segments, and directories of them, are for `chaski inspect segment`")
            .code(CALLED_WRONGLY)),
    }
}

/// What the name of a file says that it is.
fn kind(path: &Path) -> Option<&str> {
    path.extension().and_then(OsStr::to_str)
}

/// The segments in a directory, in the order of their offsets, which is that of their names.
fn segments(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if kind(&path) == Some("log") && path.is_file() {
            segments.push(path);
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::because(format!("cannot read {}", path.display()), error)
}

/// Perhaps a directory above was meant: name one that has segments.
fn no_segments(dir: &Path) -> Failure {
    let failure = Failure::new(format!("{} holds no segments", dir.display()));
    let below = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let has_segments = |path: &PathBuf| segments(path).is_ok_and(|found| !found.is_empty());
    let first = below(dir)
        .into_iter()
        .flat_map(|path| [vec![path.clone()], below(&path)].concat())
        .find(has_segments);
    match first {
        Some(path) => failure.hint(format!("name one partition, such as {}", path.display())),
        None => failure.hint("a partition is a directory like chaski-data/log/orders-0"),
    }
}
