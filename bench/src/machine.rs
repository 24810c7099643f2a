//! The machine: the facts that head every report, and which core belongs to whom.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::thread::CpuSet;
use serde::Serialize;

/// What a reader needs to know before comparing two reports.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub clock: String,
    /// Scheduling class of the run; servers under test inherit it.
    pub scheduling: String,
    /// File system that holds the servers' data.
    pub file_system: String,
    pub commit: String,
    /// Program and version of everyone who can take part.
    pub versions: Vec<(String, String)>,
}

impl Facts {
    pub fn gather(data: &Path, versions: Vec<(String, String)>) -> Facts {
        Facts {
            cpu: line_after("/proc/cpuinfo", "model name"),
            cores: Cores::allowed().count(),
            memory_bytes: memory_bytes(),
            kernel: read("/proc/sys/kernel/osrelease"),
            clock: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            scheduling: scheduling(),
            file_system: file_system(data),
            commit: first_line_of("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default(),
            versions,
        }
    }
}

/// The cores this process may use. A server under test gets the last, a generator the first; with
/// only one core nothing is pinned.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    pub client: usize,
    pub server: usize,
}

impl Cores {
    /// None on a single core.
    pub fn split() -> Option<Cores> {
        let allowed: Vec<usize> = Cores::allowed().collect();
        match (allowed.first(), allowed.last()) {
            (Some(&client), Some(&server)) if client != server => Some(Cores { client, server }),
            _ => None,
        }
    }

    fn allowed() -> impl Iterator<Item = usize> {
        let set = rustix::thread::sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(move |core| set.is_set(*core))
    }
}

/// Keeps the calling thread, and every thread or process it starts, on one core until dropped.
pub struct Pinned {
    before: Option<CpuSet>,
}

impl Pinned {
    /// Does nothing without a core.
    pub fn to(core: Option<usize>) -> Pinned {
        let Some(core) = core else { return Pinned { before: None } };
        let before = rustix::thread::sched_getaffinity(None).ok();
        let mut set = CpuSet::new();
        set.set(core);
        rustix::thread::sched_setaffinity(None, &set).ok();
        Pinned { before }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            rustix::thread::sched_setaffinity(None, before).ok();
        }
    }
}

/// The scheduling policy of this process, as the kernel numbers them (`sched(7)`).
pub fn policy() -> u32 {
    // Field 41 of proc_pid_stat(5); counting starts after the parenthesised name, field 2.
    let stat = read("/proc/self/stat");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(38).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// How often the calling thread has slept so far.
pub fn sleeps() -> Result<usize> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.context("no count of context switches")?.trim().parse().context("not a count")
}

fn scheduling() -> String {
    let class = match policy() {
        0 => "SCHED_OTHER (anything else that runs disturbs the figures)",
        1 => "SCHED_FIFO",
        2 => "SCHED_RR",
        _ => "other",
    };
    let runtime = read("/proc/sys/kernel/sched_rt_runtime_us");
    let period = read("/proc/sys/kernel/sched_rt_period_us");
    format!("{class}; real-time share {runtime} of {period} us")
}

/// The first line a program prints when asked for its version; None if it cannot be run.
pub fn first_line_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).lines().next().unwrap_or("").trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn line_after(path: &str, key: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or("");
    line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
}

fn memory_bytes() -> u64 {
    let kib = line_after("/proc/meminfo", "MemTotal");
    kib.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Type and device of the mount that holds `path`: the longest mount point that is its prefix.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = read("/proc/mounts");
    let holder = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|words| words.len() > 3 && path.starts_with(words[1]))
        .max_by_key(|words| words[1].len());
    holder.map_or_else(|| "unknown".to_owned(), |words| format!("{} on {}", words[2], words[0]))
}
