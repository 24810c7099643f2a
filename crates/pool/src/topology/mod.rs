//! The CPUs this process may use, and how they are grouped.
//!
//! ```text
//! machine
//!   node      a piece of memory, and the CPUs that are near it     nodes()
//!     package   a chip
//!       core      one set of execution units                       cores()
//!         CPU       what the kernel schedules on; two of a core    cpus()
//!                   are SMT siblings and share its units
//! ```
//!
//! [`Topology::detect`] reads the kernel's description under `/sys/devices/system/{cpu,node}`,
//! keeps the CPUs of the calling thread's affinity mask and of its cgroup's cpuset, and takes the
//! cgroup's CPU quota for the number of workers to start. A [`Placement`] lays workers on what was
//! found, [`pin_current_thread`] binds a thread to one CPU.
//!
//! Two things are always true of a topology: it has at least one CPU, and every CPU is in exactly
//! one node and one core. A file that is missing or makes no sense costs the detail it held, never
//! an error: without any file the machine is one node of the CPUs in the mask, each its own core.
//!
//! ```
//! use chaski_pool::topology::{Placement, Topology, pin_current_thread};
//!
//! let topology = Topology::detect();
//! let plan = Placement::Spread.plan(&topology, topology.workers())?;
//! let threads: Vec<_> = plan
//!     .into_iter()
//!     .map(|cpu| {
//!         std::thread::spawn(move || {
//!             if let Some(cpu) = cpu {
//!                 // A refusal costs speed, not correctness: the worker runs unpinned.
//!                 let _ = pin_current_thread(cpu);
//!             }
//!             vec![0_u8; 1 << 16] // the worker's state, near the CPU that will use it
//!         })
//!     })
//!     .collect();
//! # for thread in threads { thread.join().unwrap(); }
//! # Ok::<(), chaski_pool::topology::PlacementError>(())
//! ```
//!
//! # Memory
//!
//! Linux gives a page to the node of the CPU that first touches it. So a worker that is pinned
//! first and builds its state afterwards, on its own thread, has that state on its own node, and
//! no call to bind memory is needed. State built elsewhere and moved in stays where it was built;
//! so do pages that an allocator hands out a second time.

mod affinity;
mod cgroup;
mod cpu_list;
#[cfg(test)]
mod fixture;
mod placement;
mod sysfs;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

pub use affinity::pin_current_thread;
pub use placement::{Placement, PlacementError};

/// One CPU, by the kernel's numbers: what a thread can be pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Cpu {
    /// The CPU's number, as in `/proc/cpuinfo` and `taskset`.
    pub number: usize,
    /// The core it is part of, named by the lowest-numbered CPU of that core, whether this process
    /// may use that one or not. CPUs with the same core are SMT siblings.
    pub core: usize,
    /// The chip it is on.
    pub package: usize,
    /// The NUMA node whose memory is near.
    pub node: usize,
}

/// A NUMA node, with the CPUs of it that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The node's number, as in `numactl --hardware`.
    pub number: usize,
    /// Its CPUs by ascending number, at least one.
    pub cpus: Vec<Cpu>,
}

/// The CPUs this process may use, how they are grouped, and how much of them it is given.
///
/// A snapshot: CPUs that go offline and cgroups that change later are not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// By ascending number, never empty.
    cpus: Vec<Cpu>,
    /// By ascending number; together they hold exactly `cpus`.
    nodes: Vec<Node>,
    quota: Option<usize>,
}

impl Topology {
    /// Looks at this machine, from the calling thread.
    ///
    /// The thread matters: what counts is *its* affinity mask, so detect before pinning. A thread
    /// also hands its mask to the threads it starts.
    ///
    /// On systems other than Linux this is one node of
    /// [`std::thread::available_parallelism`] CPUs.
    pub fn detect() -> Topology {
        let allowed: Vec<usize> = match affinity::of_current_thread() {
            Ok(allowed) => allowed,
            // More CPUs than the mask can hold, or a sandbox that refuses the call.
            Err(_) => (0..std::thread::available_parallelism().map_or(1, |n| n.get())).collect(),
        };
        Topology::read(Path::new("/"), &allowed)
    }

    /// Reads the description of a machine below `root`, of which `allowed` CPUs may be used.
    ///
    /// `root` holds `sys` and `proc` the way `/` does. [`detect`](Self::detect) is this function
    /// with `/`; a test, or a tool that looks at another machine, has a copy of the files. An
    /// empty `allowed` counts as CPU 0 alone.
    ///
    /// ```
    /// use chaski_pool::topology::Topology;
    ///
    /// let nothing_there = Topology::read("/nonexistent", &[0, 1, 5]);
    /// let numbers: Vec<_> = nothing_there.cpus().iter().map(|cpu| cpu.number).collect();
    /// assert_eq!(numbers, [0, 1, 5]);
    /// assert_eq!(nothing_there.nodes().len(), 1);
    /// assert_eq!(nothing_there.workers(), 3);
    /// ```
    pub fn read(root: impl AsRef<Path>, allowed: &[usize]) -> Topology {
        let root = root.as_ref();
        let limits = cgroup::read(root);
        let mut usable: BTreeSet<usize> = allowed.iter().copied().collect();
        for bound in [sysfs::online(root), limits.cpus].into_iter().flatten() {
            let both = &usable & &bound;
            // A bound that leaves nothing cannot be true: this thread runs on something.
            if !both.is_empty() {
                usable = both;
            }
        }
        if usable.is_empty() {
            usable.insert(0);
        }
        Topology::of(sysfs::describe(root, &usable), limits.quota)
    }

    /// Groups CPUs, which come by ascending number.
    fn of(cpus: Vec<Cpu>, quota: Option<usize>) -> Topology {
        let numbers: BTreeSet<usize> = cpus.iter().map(|cpu| cpu.node).collect();
        let members = |number| cpus.iter().copied().filter(|cpu| cpu.node == number).collect();
        let nodes = numbers.into_iter().map(|number| Node { number, cpus: members(number) });
        Topology { nodes: nodes.collect(), cpus, quota }
    }

    /// Every CPU this process may use, by ascending number; at least one.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The CPU with this number, if this process may use it.
    pub fn cpu(&self, number: usize) -> Option<Cpu> {
        self.cpus.iter().copied().find(|cpu| cpu.number == number)
    }

    /// The nodes that have CPUs this process may use, by ascending number; at least one.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many cores the CPUs of this process are on.
    pub fn cores(&self) -> usize {
        self.cpus.iter().map(|cpu| cpu.core).collect::<BTreeSet<_>>().len()
    }

    /// How many CPUs' worth of time the cgroup grants, a part of one counted as one; `None`
    /// without a quota.
    ///
    /// A quota limits time, not places: with a quota of 2 on 64 CPUs, three busy threads are all
    /// stopped for part of every period.
    pub fn worker_limit(&self) -> Option<usize> {
        self.quota
    }

    /// How many workers a pool should start unless told otherwise: one per CPU, no more than
    /// [`worker_limit`](Self::worker_limit), at least one.
    pub fn workers(&self) -> usize {
        self.quota.unwrap_or(usize::MAX).clamp(1, self.cpus.len())
    }
}

/// `32 CPUs on 16 cores, 2 nodes, quota 4`.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpus, cores, nodes) = (self.cpus.len(), self.cores(), self.nodes.len());
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(f, "{cpus} CPU{} on {cores} core{}", plural(cpus), plural(cores))?;
        write!(f, ", {nodes} node{}", plural(nodes))?;
        match self.quota {
            Some(quota) => write!(f, ", quota {quota}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::Machine;
    use super::*;

    #[test]
    fn two_sockets_with_siblings() {
        let machine = Machine::two_sockets();
        let topology = Topology::read(machine.root(), &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.to_string(), "8 CPUs on 4 cores, 2 nodes");
        assert_eq!(topology.cpu(5), Some(Cpu { number: 5, core: 1, package: 0, node: 0 }));
        assert_eq!(topology.cpu(6), Some(Cpu { number: 6, core: 2, package: 1, node: 1 }));
        let numbers: Vec<_> = topology.nodes()[1].cpus.iter().map(|cpu| cpu.number).collect();
        assert_eq!(numbers, [2, 3, 6, 7]);
    }

    #[test]
    fn a_mask_leaves_out_cpus_and_nodes() {
        let machine = Machine::two_sockets();
        let topology = Topology::read(machine.root(), &[3, 6, 7]);
        assert_eq!(topology.to_string(), "3 CPUs on 2 cores, 1 node");
        assert_eq!(topology.nodes()[0].number, 1);
        assert_eq!(topology.cpu(0), None);
    }

    #[test]
    fn offline_cpus_are_left_out() {
        let machine = Machine::two_sockets();
        machine.write("sys/devices/system/cpu/online", "0-2\n");
        let topology = Topology::read(machine.root(), &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.cpus().len(), 3);
    }

    #[test]
    fn a_quota_limits_workers_and_not_places() {
        let machine = Machine::two_sockets();
        machine.cgroup2("/", &[]).cgroup2_file("/", "cpu.max", "150000 100000");
        let topology = Topology::read(machine.root(), &[0, 1, 2, 3]);
        assert_eq!(topology.cpus().len(), 4);
        assert_eq!((topology.worker_limit(), topology.workers()), (Some(2), 2));
        assert_eq!(topology.to_string(), "4 CPUs on 4 cores, 2 nodes, quota 2");
    }

    #[test]
    fn a_quota_above_the_cpus_changes_nothing() {
        let machine = Machine::two_sockets();
        machine.cgroup2("/", &[]).cgroup2_file("/", "cpu.max", "6400000 100000");
        let topology = Topology::read(machine.root(), &[0, 1]);
        assert_eq!((topology.worker_limit(), topology.workers()), (Some(64), 2));
    }

    #[test]
    fn a_cpuset_narrows_the_mask() {
        let machine = Machine::two_sockets();
        machine.cgroup2("/", &[]).cgroup2_file("/", "cpuset.cpus.effective", "2-3,6-7\n");
        let topology = Topology::read(machine.root(), &[0, 1, 2, 3]);
        let numbers: Vec<_> = topology.cpus().iter().map(|cpu| cpu.number).collect();
        assert_eq!(numbers, [2, 3]);
    }

    #[test]
    fn a_cpuset_that_leaves_nothing_is_not_believed() {
        let machine = Machine::two_sockets();
        machine.cgroup2("/", &[]).cgroup2_file("/", "cpuset.cpus.effective", "6-7\n");
        assert_eq!(Topology::read(machine.root(), &[0, 1]).cpus().len(), 2);
    }

    #[test]
    fn without_files_the_mask_is_one_node() {
        let machine = Machine::empty();
        let topology = Topology::read(machine.root(), &[4, 2]);
        let flat = |number| Cpu { number, core: number, package: 0, node: 0 };
        assert_eq!(topology.cpus(), [flat(2), flat(4)]);
        assert_eq!(topology.nodes(), [Node { number: 0, cpus: vec![flat(2), flat(4)] }]);
        assert_eq!((topology.worker_limit(), topology.workers()), (None, 2));
    }

    #[test]
    fn an_empty_mask_is_cpu_0() {
        let topology = Topology::read(Machine::empty().root(), &[]);
        assert_eq!((topology.cpus().len(), topology.workers()), (1, 1));
        assert_eq!(topology.to_string(), "1 CPU on 1 core, 1 node");
    }

    #[test]
    fn garbage_in_every_file_degrades() {
        let machine = Machine::two_sockets();
        machine.cgroup2("/", &["cpu.max", "cpuset.cpus.effective"]);
        machine.overwrite_all(b"-1,\xff\xfe 7-3 max,,999999999999999999999999\n\n");
        let topology = Topology::read(machine.root(), &[0, 5]);
        assert_eq!(topology.to_string(), "2 CPUs on 2 cores, 1 node");
    }

    #[test]
    fn this_machine_has_what_its_mask_says() {
        let topology = Topology::detect();
        let parallelism = std::thread::available_parallelism().unwrap().get();
        // Both respect mask and quota; a part of a CPU counts here, and is dropped there.
        assert!((parallelism..=parallelism + 1).contains(&topology.workers()), "{topology}");
        let in_nodes: usize = topology.nodes().iter().map(|node| node.cpus.len()).sum();
        assert_eq!(in_nodes, topology.cpus().len());
    }
}
