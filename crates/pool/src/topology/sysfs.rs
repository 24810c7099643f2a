//! The kernel's description of the machine: `sys/devices/system/{cpu,node}`.
//!
//! ```text
//! cpu/online                              0-7
//! cpu/cpu5/topology/core_cpus_list        1,5     CPUs of the same core (SMT siblings)
//! cpu/cpu5/topology/thread_siblings_list          the same, before Linux 5.3
//! cpu/cpu5/topology/physical_package_id   0       -1 where the firmware does not say
//! node/online                             0-1
//! node/node0/cpulist                      0-1,4-5 empty for a node of memory alone
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Cpu, cpu_list};

/// No file of interest is longer than this; a list of 8192 separate CPUs is 39 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The CPUs that are switched on.
pub(super) fn online(root: &Path) -> Option<BTreeSet<usize>> {
    list(&root.join("sys/devices/system/cpu/online"))
}

/// Says of each CPU which core, package and node it is in.
pub(super) fn describe(root: &Path, usable: &BTreeSet<usize>) -> Vec<Cpu> {
    let nodes = nodes(root);
    let node_of = |number| nodes.iter().find(|(_, cpus)| cpus.contains(&number));
    let describe = |number: usize| {
        let folder = root.join(format!("sys/devices/system/cpu/cpu{number}/topology"));
        Cpu {
            number,
            core: core(&folder, number),
            package: number_in(&folder.join("physical_package_id")).unwrap_or(0),
            node: node_of(number).map_or(0, |(node, _)| *node),
        }
    };
    usable.iter().copied().map(describe).collect()
}

/// The nodes and their CPUs. A CPU that two nodes claim belongs to the first.
fn nodes(root: &Path) -> Vec<(usize, BTreeSet<usize>)> {
    let folder = root.join("sys/devices/system/node");
    let online = list(&folder.join("online")).unwrap_or_default();
    let cpus = |number| list(&folder.join(format!("node{number}/cpulist")));
    online.into_iter().filter_map(|number| Some((number, cpus(number)?))).collect()
}

/// The lowest CPU of the core that `number` is part of.
fn core(folder: &Path, number: usize) -> usize {
    let siblings = list(&folder.join("core_cpus_list"))
        .or_else(|| list(&folder.join("thread_siblings_list")))
        .filter(|siblings| siblings.contains(&number));
    siblings.and_then(|siblings| siblings.first().copied()).unwrap_or(number)
}

fn list(path: &Path) -> Option<BTreeSet<usize>> {
    cpu_list::parse(&text(path)?)
}

fn number_in(path: &Path) -> Option<usize> {
    text(path)?.trim().parse().ok()
}

/// A small file as text; `None` if it cannot be read, is longer, or is not text.
pub(super) fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path).ok()?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= FILE_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Machine;
    use super::*;

    fn described(machine: &Machine, number: usize) -> Cpu {
        describe(machine.root(), &BTreeSet::from([number]))[0]
    }

    #[test]
    fn the_older_name_of_the_sibling_list_is_known() {
        let machine = Machine::empty();
        machine.write("sys/devices/system/cpu/cpu9/topology/thread_siblings_list", "1,9\n");
        assert_eq!(described(&machine, 9).core, 1);
    }

    #[test]
    fn a_sibling_list_without_the_cpu_itself_is_not_believed() {
        let machine = Machine::empty();
        machine.write("sys/devices/system/cpu/cpu9/topology/core_cpus_list", "1,2\n");
        assert_eq!(described(&machine, 9).core, 9);
    }

    #[test]
    fn an_unknown_package_is_the_first() {
        let machine = Machine::empty();
        machine.write("sys/devices/system/cpu/cpu0/topology/physical_package_id", "-1\n");
        assert_eq!(described(&machine, 0).package, 0);
    }

    #[test]
    fn a_node_of_memory_alone_has_no_cpu() {
        let machine = Machine::two_sockets();
        machine.write("sys/devices/system/node/online", "0-2\n");
        machine.write("sys/devices/system/node/node2/cpulist", "\n");
        let nodes = nodes(machine.root());
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[2], (2, BTreeSet::new()));
        assert_eq!(described(&machine, 7).node, 1);
    }

    #[test]
    fn a_file_without_end_is_not_read_to_it() {
        let machine = Machine::empty();
        machine.write("long", &"0,".repeat(1 << 20));
        assert_eq!(text(&machine.root().join("long")), None);
    }
}
