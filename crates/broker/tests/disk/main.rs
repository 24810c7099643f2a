//! A broker on a disk that does not do what it should: in time, or at all.

mod full;
mod panics;
mod slow;
#[path = "../common/small_disk.rs"]
mod small_disk;

use std::time::Duration;

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);
