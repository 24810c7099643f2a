//! The data directory: its room, and what a flush takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{fdatasync, statvfs};

use super::finding::{Finding, Severity};
use crate::progress::show_bytes;

/// What one flush has to bring to the disk, and how often that is tried.
const BLOCK: usize = 4096;
const FLUSHES: usize = 64;
/// No more of them are made once they have taken so long together.
const MEASURING_MAX: Duration = Duration::from_secs(3);
/// Half of the flushes take longer: a disk that has to move, or a network.
const SLOW_US: u128 = 10_000;
/// So short that no disk was asked: memory, or a machine that does not tell the truth.
const INCREDIBLE_US: u128 = 20;
/// Less room than that is an error, and than this many segments a warning.
const FREE_MIN: u64 = 64 << 20;
const FREE_ENOUGH: u64 = 4 << 30;

pub(super) fn examine(data: &Path) -> Vec<Finding> {
    let dir = existing(data);
    if !dir.is_dir() {
        return vec![unusable(data, &io::Error::from(io::ErrorKind::NotADirectory))];
    }
    match measure(&dir) {
        Ok(flushes) => vec![space(&dir), flush(flushes)],
        Err(error) => vec![space(&dir), unusable(data, &error)],
    }
}

/// The directory, or the nearest one above it that is there.
fn existing(data: &Path) -> PathBuf {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
    let found = data.ancestors().find(|path| path.exists());
    found.map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

fn unusable(data: &Path, error: &io::Error) -> Finding {
    let what = format!("{} cannot be written to: {error}", data.display());
    Finding::ok("data", what, "")
        .but(Severity::Error, "a broker cannot keep its log there")
        .mend(format!("chaski serve --data DIR, or ls -ld {}", data.display()))
}

fn space(dir: &Path) -> Finding {
    let check = "disk-space";
    match statvfs(dir) {
        Ok(stat) => space_of(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize),
        Err(error) => Finding::ok(check, error.to_string(), "")
            .but(Severity::Warning, "nobody can tell how much room there is"),
    }
}

fn space_of(free: u64, total: u64) -> Finding {
    let what = format!("{} free of {}", show_bytes(free), show_bytes(total));
    let found = Finding::ok("disk-space", what, "there is room for segments");
    let mend = "chaski topic alter TOPIC --set retention.bytes=BYTES, or a larger disk";
    match free {
        FREE_ENOUGH.. => found,
        FREE_MIN.. => found
            .but(Severity::Warning, "room for a few segments: retention must keep up")
            .mend(mend),
        _ => found.but(Severity::Error, "appends fail when the disk is full").mend(mend),
    }
}

/// How long each flush took, shortest first. The file is written before, as segments are: a flush
/// that has to grow a file takes twice as long.
fn measure(dir: &Path) -> io::Result<Vec<Duration>> {
    let scratch = tempfile::Builder::new().prefix(".chaski-doctor-").tempfile_in(dir)?;
    let file: &File = scratch.as_file();
    let block = [0x5a_u8; BLOCK];
    file.write_all_at(&[0; BLOCK * FLUSHES], 0)?;
    file.sync_all()?;
    let began = Instant::now();
    let mut took = Vec::with_capacity(FLUSHES);
    for position in (0..FLUSHES).map(|n| (n * BLOCK) as u64) {
        let start = Instant::now();
        file.write_all_at(&block, position)?;
        fdatasync(file)?;
        took.push(start.elapsed());
        if began.elapsed() > MEASURING_MAX {
            break;
        }
    }
    took.sort_unstable();
    Ok(took)
}

fn flush(took: Vec<Duration>) -> Finding {
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
    let us = |percent| at(percent).map_or(0, Duration::as_micros);
    let (half, most) = (us(50), us(99));
    let what = format!("{half} us, one in {} up to {most} us", took.len());
    let found = Finding::ok(
        "flush",
        what,
        "acks=all waits for one flush; those that come meanwhile share the next",
    );
    let others = "chaski serve --acks-all page-cache answers once the page cache has it: it \
                  survives the process, not the machine";
    match half {
        SLOW_US.. => found
            .but(Severity::Warning, format!("with acks=all a producer waits {half} us and more"))
            .mend(others),
        ..INCREDIBLE_US => found
            .but(
                Severity::Info,
                "no disk is that quick: the directory is in memory, or a cache answers that may \
                 lose what it has when the power fails",
            )
            .mend("findmnt -T DIR shows what it is"),
        _ => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let took = measure(dir.path()).unwrap();
        assert!(!took.is_empty() && took.is_sorted());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        assert_eq!(existing(&path.join("a/b")), path);
        assert!(examine(&path.join("a")).iter().all(|found| found.severity < Severity::Error));
        std::fs::write(path.join("file"), "").unwrap();
        let found = examine(&path.join("file/data"));
        assert_eq!(found[0].severity, Severity::Error, "{found:?}");
    }

    #[test]
    fn little_room_is_a_warning_and_none_an_error() {
        assert_eq!(space_of(1 << 40, 1 << 41).severity, Severity::Ok);
        assert_eq!(space_of(1 << 30, 1 << 41).severity, Severity::Warning);
        assert_eq!(space_of(0, 1 << 41).severity, Severity::Error);
    }

    #[test]
    fn a_flush_is_slow_or_too_quick_to_be_true() {
        let of = |us| flush(vec![Duration::from_micros(us); 10]).severity;
        assert_eq!((of(500), of(30_000), of(1)), (Severity::Ok, Severity::Warning, Severity::Info));
    }
}
