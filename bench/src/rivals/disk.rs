//! The disk's own limit: write a few bytes, fdatasync, again. On blocks that were written before,
//! as a log with recycled segments does, and on a file that grows, as a log without them does.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bytes written beforehand when blocks are recycled.
const PREWRITTEN_BYTES: u64 = 64 << 20;

/// Where the writes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// To blocks that were written and synced before.
    Recycled,
    /// Behind the end of the file.
    Growing,
}

/// Writes `group` entries of `entry_bytes` one after the other, then syncs once, for `time`;
/// sorted time of each group in ns.
pub fn sync_loop(
    parent: &Path,
    blocks: Blocks,
    entry_bytes: usize,
    group: usize,
    time: Duration,
) -> Result<Vec<u64>> {
    let file: File = tempfile::tempfile_in(parent)?;
    if blocks == Blocks::Recycled {
        let zeros = vec![0; 1 << 20];
        for at in (0..PREWRITTEN_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
    }
    let entry = vec![0x5a; entry_bytes];
    let wrap = match blocks {
        Blocks::Recycled => PREWRITTEN_BYTES - entry_bytes as u64,
        Blocks::Growing => u64::MAX,
    };
    let (mut at, mut groups_ns) = (0, Vec::new());
    let start = Instant::now();
    while start.elapsed() < time {
        let begun = Instant::now();
        for _ in 0..group {
            file.write_all_at(&entry, at)?;
            at += entry_bytes as u64;
            if at > wrap {
                at = 0;
            }
        }
        file.sync_data()?;
        groups_ns.push(begun.elapsed().as_nanos() as u64);
    }
    groups_ns.sort_unstable();
    Ok(groups_ns)
}
