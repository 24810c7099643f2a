//! Laying workers on CPUs.

use std::collections::BTreeMap;

use super::{Cpu, Topology};

/// Where the workers of a pool run.
///
/// On a machine of two nodes with two cores of two siblings each
///
/// ```text
///               node 0             node 1
///            core 0  core 1     core 2  core 3
/// CPUs        0  4    1  5       2  6    3  7
/// ```
///
/// workers are given CPUs in this order:
///
/// | placement | order |
/// |---|---|
/// | `Spread` | 0, 2, 1, 3, then the siblings 4, 6, 5, 7 |
/// | `Compact` | 0, 1, 4, 5, then 2, 3, 6, 7 |
/// | `Node(1)` | 2, 3, 6, 7 |
/// | `Cpus(vec![5, 0])` | 5, 0 |
///
/// With more workers than CPUs the order starts again: the CPUs are shared, no worker is left out.
///
/// Memory follows by first touch, see [the module](crate::topology#memory).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// The kernel decides, again and again. The right choice where other programs want the same
    /// CPUs, and where there are more busy workers than CPUs: a pinned worker waits for its own
    /// CPU while another one idles.
    #[default]
    Unpinned,
    /// As far apart as possible: one worker to each core, nodes in turn, before any core gets a
    /// second one. For workers that each want a core's units, caches and memory bandwidth.
    Spread,
    /// As close together as possible: a node is filled before the next one is begun, its cores
    /// before their siblings. For workers that talk to each other.
    Compact,
    /// On the CPUs of one node, its cores before their siblings.
    Node(usize),
    /// On these CPUs, in this order. A CPU named twice gets two workers.
    Cpus(Vec<usize>),
}

/// A placement that the machine cannot give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// No CPU of that node is among those this process may use.
    #[error("node {node} has no CPU this process may use; there are nodes {nodes:?}")]
    UnknownNode {
        /// The node asked for.
        node: usize,
        /// The nodes there are.
        nodes: Vec<usize>,
    },
    /// The CPU does not exist, or the affinity mask or cgroup keeps this process off it.
    #[error("CPU {cpu} is not among those this process may use: {allowed:?}")]
    UnknownCpu {
        /// The CPU asked for.
        cpu: usize,
        /// The CPUs this process may use.
        allowed: Vec<usize>,
    },
    /// [`Placement::Cpus`] names no CPU.
    #[error("a placement on chosen CPUs names none")]
    NoCpus,
}

impl Placement {
    /// A CPU for each of `workers`, or `None` for each that is not to be pinned.
    ///
    /// # Errors
    ///
    /// A node or CPU was asked for by number and is not there. The other placements suit any
    /// machine.
    ///
    /// ```
    /// use chaski_pool::topology::{Placement, Topology};
    ///
    /// let machine = Topology::read("/nonexistent", &[0, 1]); // two CPUs, nothing else known
    /// let plan = Placement::Spread.plan(&machine, 3)?;
    /// let numbers: Vec<_> = plan.iter().map(|cpu| cpu.unwrap().number).collect();
    /// assert_eq!(numbers, [0, 1, 0]);
    ///
    /// let refused = Placement::Cpus(vec![7]).plan(&machine, 1).unwrap_err();
    /// assert_eq!(refused.to_string(), "CPU 7 is not among those this process may use: [0, 1]");
    /// # Ok::<(), chaski_pool::topology::PlacementError>(())
    /// ```
    pub fn plan(
        &self,
        topology: &Topology,
        workers: usize,
    ) -> Result<Vec<Option<Cpu>>, PlacementError> {
        let order = match self {
            Placement::Unpinned => return Ok(vec![None; workers]),
            Placement::Spread => spread(topology),
            Placement::Compact => {
                topology.nodes().iter().flat_map(|node| cores_first(&node.cpus)).collect()
            }
            Placement::Node(number) => node(topology, *number)?,
            Placement::Cpus(numbers) => chosen(topology, numbers)?,
        };
        Ok(order.into_iter().cycle().take(workers).map(Some).collect())
    }
}

/// One CPU of each core before the second of any, and nodes in turn.
fn spread(topology: &Topology) -> Vec<Cpu> {
    let mut order = Vec::new();
    for node in topology.nodes() {
        for (tier, cpus) in tiers(&node.cpus).into_iter().enumerate() {
            let keyed = cpus.into_iter().enumerate().map(|(turn, cpu)| ((tier, turn), cpu));
            order.extend(keyed);
        }
    }
    // Stable, so that within a turn the nodes keep their order.
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|(_, cpu)| cpu).collect()
}

/// One CPU of each core before the second of any.
fn cores_first(cpus: &[Cpu]) -> Vec<Cpu> {
    tiers(cpus).concat()
}

/// The first CPU of every core, then the second of every core that has one, and so on.
fn tiers(cpus: &[Cpu]) -> Vec<Vec<Cpu>> {
    let mut tiers: Vec<Vec<Cpu>> = Vec::new();
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for cpu in cpus {
        let tier = taken.entry(cpu.core).or_default();
        if *tier == tiers.len() {
            tiers.push(Vec::new());
        }
        tiers[*tier].push(*cpu);
        *tier += 1;
    }
    tiers
}

fn node(topology: &Topology, number: usize) -> Result<Vec<Cpu>, PlacementError> {
    let nodes = topology.nodes();
    let found = nodes.iter().find(|node| node.number == number);
    found.map(|node| cores_first(&node.cpus)).ok_or_else(|| PlacementError::UnknownNode {
        node: number,
        nodes: nodes.iter().map(|node| node.number).collect(),
    })
}

fn chosen(topology: &Topology, numbers: &[usize]) -> Result<Vec<Cpu>, PlacementError> {
    if numbers.is_empty() {
        return Err(PlacementError::NoCpus);
    }
    let unknown = |cpu| {
        let allowed = topology.cpus().iter().map(|cpu| cpu.number).collect();
        PlacementError::UnknownCpu { cpu, allowed }
    };
    numbers.iter().map(|number| topology.cpu(*number).ok_or_else(|| unknown(*number))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Machine;
    use super::*;
    use proptest::prelude::*;

    fn order(placement: Placement, topology: &Topology, workers: usize) -> Vec<usize> {
        let plan = placement.plan(topology, workers).unwrap();
        plan.into_iter().map(|cpu| cpu.unwrap().number).collect()
    }

    fn two_sockets(allowed: &[usize]) -> Topology {
        Topology::read(Machine::two_sockets().root(), allowed)
    }

    #[test]
    fn the_orders_of_the_table() {
        let topology = two_sockets(&[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(order(Placement::Spread, &topology, 8), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(order(Placement::Compact, &topology, 8), [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(order(Placement::Node(1), &topology, 4), [2, 3, 6, 7]);
        assert_eq!(order(Placement::Cpus(vec![5, 0]), &topology, 2), [5, 0]);
        assert_eq!(Placement::Unpinned.plan(&topology, 3), Ok(vec![None; 3]));
    }

    #[test]
    fn more_workers_than_cpus_start_again() {
        let topology = two_sockets(&[0, 1, 2]);
        assert_eq!(order(Placement::Spread, &topology, 5), [0, 2, 1, 0, 2]);
        assert_eq!(order(Placement::Node(1), &topology, 2), [2, 2]);
        assert_eq!(order(Placement::Spread, &topology, 0), []);
    }

    #[test]
    fn a_core_whose_first_sibling_is_forbidden_still_comes_first() {
        let topology = two_sockets(&[0, 4, 5]);
        assert_eq!(order(Placement::Spread, &topology, 3), [0, 5, 4]);
    }

    #[test]
    fn nodes_of_unequal_size_spread_until_the_smaller_is_full() {
        let topology = two_sockets(&[0, 1, 2]);
        assert_eq!(order(Placement::Spread, &topology, 3), [0, 2, 1]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let topology = two_sockets(&[0, 1]);
        let refused = |placement: Placement| placement.plan(&topology, 1).unwrap_err();
        assert_eq!(
            refused(Placement::Node(1)).to_string(),
            "node 1 has no CPU this process may use; there are nodes [0]"
        );
        assert_eq!(
            refused(Placement::Cpus(vec![0, 7])),
            PlacementError::UnknownCpu { cpu: 7, allowed: vec![0, 1] }
        );
        assert_eq!(refused(Placement::Cpus(vec![])), PlacementError::NoCpus);
    }

    proptest! {
        /// Whatever the mask, the first workers share no CPU, and no core while one is free.
        #[test]
        fn spread_shares_as_late_as_it_can(mask in 1..256_u32) {
            let allowed: Vec<usize> = (0..8).filter(|cpu| mask & (1 << cpu) != 0).collect();
            let topology = two_sockets(&allowed);
            let plan = Placement::Spread.plan(&topology, allowed.len()).unwrap();
            let mut cpus: Vec<Cpu> = plan.into_iter().flatten().collect();
            let first_cores: std::collections::BTreeSet<usize> =
                cpus[..topology.cores()].iter().map(|cpu| cpu.core).collect();
            prop_assert_eq!(first_cores.len(), topology.cores());
            cpus.sort();
            prop_assert_eq!(&cpus, topology.cpus());
        }
    }
}
