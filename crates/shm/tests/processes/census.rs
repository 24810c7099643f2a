//! What a process holds: descriptors, mappings of memory that has no name, private memory.

use std::fs;
use std::time::{Duration, Instant};

use super::runner::progress;

/// How long what a dead peer held may take to be let go: the doorman and the endpoint have to see
/// it first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory segments for large payloads that a connection has, both ways.
const BLOCKS_MAX: usize = 128;

/// How many looks in a row have to find the same, on a machine that may be busy with others.
const LOOKS: u32 = 5;

/// The holdings of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Census {
    /// What each descriptor leads to, but for segments.
    descriptors: Vec<String>,
    /// Mappings of memory by this crate, but for segments.
    mappings: usize,
    /// Segments for large payloads, which come and go while a connection lasts: descriptors of
    /// those lent, and mappings of all.
    blocks: usize,
}

impl Census {
    pub(crate) fn of_this_process() -> Census {
        let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
        let mapped: Vec<_> = maps.lines().filter(|line| line.contains("/memfd:chaski")).collect();
        let open = fs::read_dir("/proc/self/fd").expect("/proc");
        let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let open = open.map(|to| to.to_string_lossy().into_owned());
        let (blocks, mut descriptors): (Vec<_>, Vec<_>) = open.partition(|to| is_block(to));
        descriptors.sort();
        let mapped_blocks = mapped.iter().filter(|line| is_block(line)).count();
        Census {
            descriptors,
            mappings: mapped.len() - mapped_blocks,
            blocks: blocks.len() + mapped_blocks,
        }
    }

    /// As [`Census::of_this_process`], once nothing changes any more: the thread in the background
    /// lets go of some things a moment later.
    pub(crate) fn at_rest() -> Census {
        Census::at_rest_with(|| {})
    }

    /// The same; `each` is what has to be done meanwhile.
    pub(crate) fn at_rest_with(mut each: impl FnMut()) -> Census {
        let mut last = Census::of_this_process();
        let mut unchanged = 0;
        while unchanged < LOOKS {
            each();
            std::thread::sleep(Duration::from_millis(20));
            let now = Census::of_this_process();
            unchanged = if now == last { unchanged + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// Waits until this process holds no more than that; `each` is what has to be done meanwhile.
    /// There are so many connections now.
    pub(crate) fn come_back(&self, what: &str, connections: usize, mut each: impl FnMut()) {
        let begun = Instant::now();
        loop {
            each();
            let now = Census::of_this_process();
            if now.descriptors.len() <= self.descriptors.len()
                && now.mappings <= self.mappings
                && now.blocks <= connections * BLOCKS_MAX
            {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {now:#?} where there were {self:#?}");
            progress();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn is_block(what: &str) -> bool {
    what.contains("/memfd:chaski-block")
}

/// Private memory of this process, in bytes: what no other process shares.
pub(crate) fn private_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    let kilobytes = line.trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().expect("a number") * 1024
}
