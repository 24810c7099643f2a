//! The log of a data directory from outside: names, sizes, and headers of batches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::inspect::segment;

/// Files listed, and partitions whose newest segment is looked into.
const FILES_MAX: usize = 20_000;
const PARTITIONS_MAX: usize = 500;
/// Batches of one segment, the oldest first, and of all.
const BATCHES_MAX: usize = 200;
const BATCHES_OF_ALL_MAX: usize = 20_000;
/// How deep directories lie in a data directory.
const DEPTH_MAX: usize = 4;

/// A line for each file: its path below the directory, its size, and when it was changed.
pub(super) fn listing(data: &Path) -> Result<Vec<u8>, String> {
    let files = files(data).map_err(|e| format!("{}: {e}", data.display()))?;
    let lines = files.iter().take(FILES_MAX).map(|(path, metadata)| {
        let changed = metadata.modified().ok().and_then(|t| jiff::Timestamp::try_from(t).ok());
        json!({
            "path": below(data, path), "bytes": metadata.len(),
            "modified": changed.map(|time| time.to_string()),
        })
    });
    let cut = files.len().saturating_sub(FILES_MAX);
    Ok(jsonl(lines, (cut > 0).then(|| json!({"files_left_out": cut}))))
}

/// The headers of the newest segment of each partition, a line each, with their file.
pub(super) fn headers(data: &Path) -> Result<Vec<u8>, String> {
    let files = files(data).map_err(|e| format!("{}: {e}", data.display()))?;
    let newest = newest_segments(files.into_iter().map(|(path, _)| path));
    if newest.is_empty() {
        return Err(format!("{} holds no segments", data.display()));
    }
    let mut lines = Vec::new();
    let mut cut = newest.len().saturating_sub(PARTITIONS_MAX);
    for path in newest.iter().take(PARTITIONS_MAX) {
        if lines.len() >= BATCHES_OF_ALL_MAX {
            cut += 1;
            continue;
        }
        match segment::headers(path, BATCHES_MAX) {
            Ok(rows) => lines.extend(rows.into_iter().map(|row| named(row, data, path))),
            Err(error) => lines.push(named(json!({"error": error.to_string()}), data, path)),
        }
    }
    let note = (cut > 0).then(|| json!({"partitions_left_out": cut}));
    Ok(jsonl(lines.into_iter(), note))
}

fn named(mut row: Value, data: &Path, path: &Path) -> Value {
    row["segment"] = below(data, path).into();
    row
}

fn below(data: &Path, path: &Path) -> String {
    path.strip_prefix(data).unwrap_or(path).to_string_lossy().into_owned()
}

/// The last segment of each directory that has some.
fn newest_segments(files: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut newest: Vec<PathBuf> = Vec::new();
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    // They come in order, those of a directory together and by offset.
    for path in files.filter(is_segment) {
        match newest.last_mut() {
            Some(last) if last.parent() == path.parent() => *last = path,
            _ => newest.push(path),
        }
    }
    newest
}

/// Every file below a directory, in order; one that goes away meanwhile is passed over.
fn files(data: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let mut found = Vec::new();
    let mut directories = vec![(data.to_path_buf(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if depth == 0 => return Err(error),
            entries => entries.into_iter().flatten().flatten(),
        };
        for entry in entries {
            // Links are not followed.
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => found.push((entry.path(), metadata)),
                Ok(metadata) if metadata.is_dir() && depth < DEPTH_MAX => {
                    directories.push((entry.path(), depth + 1));
                }
                _ => {}
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn jsonl(lines: impl Iterator<Item = Value>, note: Option<Value>) -> Vec<u8> {
    lines.chain(note).map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_partition_the_newest_segment_is_taken() {
        let paths = ["a-0/0.log", "a-0/7.index", "a-0/7.log", "b-0/0.log"].map(PathBuf::from);
        let newest = newest_segments(paths.into_iter());
        assert_eq!(newest, ["a-0/7.log", "b-0/0.log"].map(PathBuf::from));
    }

    #[test]
    fn a_directory_that_is_not_there_is_said_to_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(listing(&dir.path().join("x")).is_err());
        assert!(headers(dir.path()).unwrap_err().contains("no segments"));
        assert!(listing(dir.path()).unwrap().is_empty());
    }
}
