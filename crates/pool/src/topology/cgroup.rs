//! What the control group leaves of the machine: which CPUs, and how much of their time.
//!
//! `proc/self/cgroup` names the group in each hierarchy, `proc/self/mountinfo` says where the
//! hierarchy is to be seen. In a container the mount often shows only the part below the
//! container's own group; then the group's path begins with the root of the mount, and what is
//! left after it is the path below the mount point:
//!
//! ```text
//! proc/self/cgroup      0::/docker/4c1f/app
//! proc/self/mountinfo   .. /docker/4c1f  /sys/fs/cgroup  .. - cgroup2 ..
//!                       -> sys/fs/cgroup/app
//!
//! version 2   cpu.max                 150000 100000     us of CPU time in a period, or `max`
//!             cpuset.cpus.effective   0-3
//! version 1   cpu.cfs_quota_us        150000            -1 without a quota
//!             cpu.cfs_period_us       100000
//!             cpuset.effective_cpus   0-3               or `cpuset.cpus`, in older kernels
//! ```
//!
//! A quota binds the groups below it, so the least one on the way up to the mount point counts. A
//! machine may have both versions mounted, each with some of the controllers; both are read. See
//! `cgroups(7)`, and `admin-guide/cgroup-v2` and `scheduler/sched-bwc` of the kernel.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{cpu_list, sysfs};

/// What the groups of this process leave it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// `None` without a cpuset.
    pub(super) cpus: Option<BTreeSet<usize>>,
    /// In CPUs, rounded up, at least 1; `None` without a quota.
    pub(super) quota: Option<usize>,
}

pub(super) fn read(root: &Path) -> Limits {
    let file = |path| sysfs::text(&root.join(path)).unwrap_or_default();
    let (groups, mounts) = (file("proc/self/cgroup"), file("proc/self/mountinfo"));
    let folders = |hierarchy| folders(root, &groups, &mounts, hierarchy);

    let quotas = [
        folders(Hierarchy::Unified).filter_map(|folder| quota_v2(&folder)).min(),
        folders(Hierarchy::Controller("cpu")).filter_map(|folder| quota_v1(&folder)).min(),
    ];
    let cpus = folders(Hierarchy::Unified)
        .find_map(|folder| cpus(&folder, &["cpuset.cpus.effective"]))
        .or_else(|| {
            folders(Hierarchy::Controller("cpuset"))
                .find_map(|folder| cpus(&folder, &["cpuset.effective_cpus", "cpuset.cpus"]))
        });
    Limits { cpus, quota: quotas.into_iter().flatten().min() }
}

/// A tree of control groups.
#[derive(Debug, Clone, Copy)]
enum Hierarchy {
    /// Version 2: one tree for all controllers.
    Unified,
    /// Version 1: the tree that holds this controller.
    Controller(&'static str),
}

impl Hierarchy {
    /// The path of this process's group, from lines like `4:cpu,cpuacct:/user.slice`.
    fn group<'a>(&self, groups: &'a str) -> Option<&'a str> {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers) = (fields.next()?, fields.next()?);
            let ours = match self {
                Hierarchy::Unified => number == "0" && controllers.is_empty(),
                Hierarchy::Controller(name) => controllers.split(',').any(|held| held == *name),
            };
            fields.next().filter(|_| ours)
        })
    }

    /// The root and the mount point of the first mount of this hierarchy, from lines like
    /// `31 23 0:26 /root /mount/point rw shared:4 - cgroup cgroup rw,cpu`.
    fn mount<'a>(&self, mounts: &'a str) -> Option<(&'a str, &'a str)> {
        mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut right = right.split(' ');
            let (kind, options) = (right.next()?, right.nth(1)?);
            let ours = match self {
                Hierarchy::Unified => kind == "cgroup2",
                Hierarchy::Controller(name) => {
                    kind == "cgroup" && options.split(',').any(|option| option == *name)
                }
            };
            let mut left = left.split(' ').skip(3);
            Some((left.next()?, left.next()?)).filter(|_| ours)
        })
    }
}

/// The folders of this process's group and of those around it, innermost first.
fn folders(
    root: &Path,
    groups: &str,
    mounts: &str,
    hierarchy: Hierarchy,
) -> impl Iterator<Item = PathBuf> + use<> {
    let found = hierarchy.group(groups).zip(hierarchy.mount(mounts));
    let found = found.map(|(group, (mount_root, mount_point))| {
        let top = root.join(mount_point.trim_start_matches('/'));
        (top.join(below(group, mount_root)), top)
    });
    found.into_iter().flat_map(|(folder, top)| {
        let inside = move |folder: &&Path| folder.starts_with(&top);
        folder.ancestors().take_while(inside).map(Path::to_path_buf).collect::<Vec<_>>()
    })
}

/// The group's path below the mount; empty if it is not to be seen there.
fn below<'a>(group: &'a str, mount_root: &str) -> &'a Path {
    // A group outside the namespace is written with `..`, and nothing good is found that way.
    let plain = |path: &&Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    let inside = Path::new(group).strip_prefix(mount_root).ok();
    inside.filter(plain).unwrap_or(Path::new(""))
}

fn quota_v2(folder: &Path) -> Option<usize> {
    let text = sysfs::text(&folder.join("cpu.max"))?;
    let mut fields = text.split_whitespace();
    cpus_of(fields.next()?, fields.next()?)
}

fn quota_v1(folder: &Path) -> Option<usize> {
    let quota = sysfs::text(&folder.join("cpu.cfs_quota_us"))?;
    let period = sysfs::text(&folder.join("cpu.cfs_period_us"))?;
    cpus_of(quota.trim(), period.trim())
}

/// CPUs' worth of time, a part of one counted as one. `max` and `-1` are no numbers: no quota.
fn cpus_of(quota: &str, period: &str) -> Option<usize> {
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    let cpus = (period > 0).then(|| quota.div_ceil(period).max(1))?;
    usize::try_from(cpus).ok()
}

/// The set in the first of `names` that has one. An empty one says nothing: take the parent's.
fn cpus(folder: &Path, names: &[&str]) -> Option<BTreeSet<usize>> {
    let read = |name| cpu_list::parse(&sysfs::text(&folder.join(name))?);
    names.iter().filter_map(read).find(|cpus| !cpus.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Machine;
    use super::*;

    #[test]
    fn no_groups_no_limits() {
        assert_eq!(read(Machine::empty().root()), Limits::default());
    }

    #[test]
    fn version_2_with_a_quota_and_a_set() {
        let machine = Machine::empty();
        machine
            .cgroup2("/app.slice/app.service", &[])
            .cgroup2_file("/app.slice/app.service", "cpu.max", "250000 100000\n")
            .cgroup2_file("/app.slice/app.service", "cpuset.cpus.effective", "0-3\n");
        let limits = read(machine.root());
        assert_eq!(limits.quota, Some(3));
        assert_eq!(limits.cpus, Some(BTreeSet::from([0, 1, 2, 3])));
    }

    #[test]
    fn the_least_quota_on_the_way_up_counts() {
        let machine = Machine::empty();
        machine
            .cgroup2("/a/b", &[])
            .cgroup2_file("/a/b", "cpu.max", "800000 100000\n")
            .cgroup2_file("/a", "cpu.max", "200000 100000\n")
            .cgroup2_file("/", "cpu.max", "max 100000\n");
        assert_eq!(read(machine.root()).quota, Some(2));
    }

    #[test]
    fn a_set_is_taken_from_the_parent_where_the_group_has_none() {
        let machine = Machine::empty();
        machine
            .cgroup2("/a/b", &[])
            .cgroup2_file("/a/b", "cpuset.cpus.effective", "\n")
            .cgroup2_file("/a", "cpuset.cpus.effective", "1\n");
        assert_eq!(read(machine.root()).cpus, Some(BTreeSet::from([1])));
    }

    #[test]
    fn a_mount_that_shows_only_the_container() {
        let machine = Machine::empty();
        machine.write("proc/self/cgroup", "0::/docker/4c1f/app\n");
        machine.write(
            "proc/self/mountinfo",
            "31 23 0:26 /docker/4c1f /sys/fs/cgroup ro shared:4 - cgroup2 cgroup rw\n",
        );
        machine.write("sys/fs/cgroup/app/cpu.max", "100000 100000\n");
        assert_eq!(read(machine.root()).quota, Some(1));
    }

    #[test]
    fn a_group_outside_the_namespace_falls_back_to_the_mount() {
        let machine = Machine::empty();
        machine.write("proc/self/cgroup", "0::/../../other\n");
        machine.write("proc/self/mountinfo", "31 23 0:26 / /cg rw - cgroup2 cgroup rw\n");
        machine.write("cg/cpu.max", "50000 100000\n");
        machine.write("other/cpu.max", "900000 100000\n");
        assert_eq!(read(machine.root()).quota, Some(1));
    }

    #[test]
    fn version_1_has_a_tree_for_each_controller() {
        let machine = Machine::empty();
        machine.write("proc/self/cgroup", "4:cpuset:/\n3:cpu,cpuacct:/batch\n0::/\n");
        machine.write(
            "proc/self/mountinfo",
            "31 23 0:26 / /cg/cpu rw shared:4 - cgroup cgroup rw,cpu,cpuacct\n\
             32 23 0:27 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n",
        );
        machine.write("cg/cpu/batch/cpu.cfs_quota_us", "310000\n");
        machine.write("cg/cpu/batch/cpu.cfs_period_us", "100000\n");
        machine.write("cg/cpu/cpu.cfs_quota_us", "-1\n");
        machine.write("cg/cpu/cpu.cfs_period_us", "100000\n");
        machine.write("cg/cpuset/cpuset.cpus", "2,4\n");
        let limits = read(machine.root());
        assert_eq!(limits.quota, Some(4));
        assert_eq!(limits.cpus, Some(BTreeSet::from([2, 4])));
    }

    #[test]
    fn quotas_round_up_and_nonsense_is_none() {
        assert_eq!(cpus_of("100000", "100000"), Some(1));
        assert_eq!(cpus_of("100001", "100000"), Some(2));
        assert_eq!(cpus_of("1000", "100000"), Some(1));
        assert_eq!(cpus_of("0", "100000"), Some(1));
        for (quota, period) in [("max", "100000"), ("-1", "100000"), ("100000", "0"), ("", "")] {
            assert_eq!(cpus_of(quota, period), None, "{quota:?} {period:?}");
        }
    }
}
