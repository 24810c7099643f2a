//! The machine: the facts that head every report, and which thread runs where.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use chaski_pool::topology::{Cpu, Placement, Topology, pin_current_thread};
use serde::Serialize;

/// Readings from which the cost of the clock is taken, and how often they are made.
const CLOCK_READINGS: u32 = 500;
const CLOCK_TRIES: u32 = 40;

/// What a reader needs to know before comparing two reports.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Facts {
    cpu: String,
    cpus: usize,
    cores: usize,
    nodes: usize,
    /// CPUs' worth of time that the cgroup grants.
    quota: Option<usize>,
    kernel: String,
    /// What one reading of the clock costs.
    clock_ns: u64,
    version: &'static str,
    /// Without optimisation figures mean nothing.
    debug_build: bool,
    #[serde(skip)]
    topology: Topology,
}

impl Facts {
    /// Looks at this machine from the calling thread, which is not pinned.
    pub(crate) fn gather() -> Facts {
        let topology = Topology::detect();
        Facts {
            cpu: cpu_model(),
            cpus: topology.cpus().len(),
            cores: topology.cores(),
            nodes: topology.nodes().len(),
            quota: topology.worker_limit(),
            kernel: read("/proc/sys/kernel/osrelease"),
            clock_ns: u64::try_from(reading_the_clock().as_nanos()).unwrap_or(u64::MAX),
            version: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
            topology,
        }
    }

    pub(super) fn clock_ns(&self) -> u64 {
        self.clock_ns
    }

    /// How many workers a pool has unless told otherwise.
    pub(super) fn workers(&self) -> usize {
        self.topology.workers()
    }

    /// Whether two threads can run at the same time.
    pub(super) fn has_two_cpus(&self) -> bool {
        self.cpus > 1
    }

    /// Where so many threads run: as wanted, else pinned if there is a CPU for each.
    pub(super) fn pinning(&self, wanted: Option<bool>, threads: usize) -> Pinning {
        Pinning { on: wanted.unwrap_or(threads <= self.cpus) }
    }
}

/// Two lines at most.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { cpu, topology, kernel, version, clock_ns, .. } = self;
        writeln!(f, "{cpu}: {topology}; kernel {kernel}; chaski {version}; clock {clock_ns} ns")?;
        if self.debug_build {
            writeln!(f, "This is a debug build: its figures mean nothing.")?;
        }
        Ok(())
    }
}

/// Whether threads are bound to CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pinning {
    on: bool,
}

impl Pinning {
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// One core to each thread before any core gets a second one.
    pub(super) fn seats(self, threads: usize) -> Seats {
        let topology = Topology::detect();
        Seats(self.placement().plan(&topology, threads).unwrap_or_default())
    }

    pub(super) fn placement(self) -> Placement {
        if self.on { Placement::Spread } else { Placement::Unpinned }
    }
}

/// A CPU for each thread by its number, or none.
#[derive(Debug, Clone)]
pub(super) struct Seats(Vec<Option<Cpu>>);

impl Seats {
    /// Binds the calling thread to its CPU.
    pub(super) fn take(&self, thread: usize) {
        if let Some(cpu) = self.get(thread) {
            // Refused, it runs where the kernel likes: slower, and as right.
            let _ = pin_current_thread(cpu);
        }
    }

    pub(super) fn get(&self, thread: usize) -> Option<Cpu> {
        self.0.get(thread).copied().flatten()
    }
}

fn cpu_model() -> String {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or("unknown CPU").to_owned()
}

/// Empty where there is no such file.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The shortest of many tries: whatever disturbs makes them longer.
pub(crate) fn reading_the_clock() -> Duration {
    let timed = |_| {
        let first = Instant::now();
        let mut last = first;
        for _ in 0..CLOCK_READINGS {
            last = std::hint::black_box(Instant::now());
        }
        (last - first) / CLOCK_READINGS
    };
    (0..CLOCK_TRIES).map(timed).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_pinned_while_there_is_a_cpu_for_each() {
        let facts = Facts::gather();
        assert!(facts.pinning(None, facts.cpus).is_on());
        assert!(!facts.pinning(None, facts.cpus + 1).is_on());
        assert!(facts.pinning(Some(true), facts.cpus + 1).is_on());
        assert!(!facts.pinning(Some(false), 1).is_on());
        let seats = facts.pinning(Some(true), 1).seats(facts.cpus + 1);
        assert_eq!(seats.get(facts.cpus), seats.get(0), "they start again with the first");
        assert_eq!(facts.pinning(Some(false), 1).seats(1).get(0), None);
    }
}
