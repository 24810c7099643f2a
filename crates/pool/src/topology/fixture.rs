//! Machines that exist only as files, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder with the files of `/sys` and `/proc` that describe a machine.
pub(super) struct Machine {
    root: TempDir,
}

impl Machine {
    /// A machine that says nothing of itself.
    pub(super) fn empty() -> Machine {
        Machine { root: tempfile::tempdir().unwrap() }
    }

    /// Two nodes of two cores with two siblings each, numbered the way firmware often does:
    ///
    /// ```text
    /// node 0, package 0: core 0 = CPUs 0,4   core 1 = CPUs 1,5
    /// node 1, package 1: core 2 = CPUs 2,6   core 3 = CPUs 3,7
    /// ```
    pub(super) fn two_sockets() -> Machine {
        let machine = Machine::empty();
        machine.write("sys/devices/system/cpu/online", "0-7\n");
        for cpu in 0..8 {
            let folder = format!("sys/devices/system/cpu/cpu{cpu}/topology");
            let core = cpu % 4;
            let siblings = format!("{core},{}\n", core + 4);
            machine.write(&format!("{folder}/core_cpus_list"), &siblings);
            machine.write(&format!("{folder}/physical_package_id"), &format!("{}\n", core / 2));
        }
        machine.write("sys/devices/system/node/online", "0-1\n");
        machine.write("sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
        machine.write("sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
        machine
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts this process into a group of the unified hierarchy, with `files` there to be filled.
    pub(super) fn cgroup2(&self, group: &str, files: &[&str]) -> &Machine {
        self.write("proc/self/cgroup", &format!("0::{group}\n"));
        let mount = "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        self.write("proc/self/mountinfo", mount);
        for file in files {
            self.cgroup2_file(group, file, "");
        }
        self
    }

    pub(super) fn cgroup2_file(&self, group: &str, file: &str, text: &str) -> &Machine {
        self.write(&format!("sys/fs/cgroup{group}/{file}"), text);
        self
    }

    /// Replaces what every file of the machine says.
    pub(super) fn overwrite_all(&self, bytes: &[u8]) {
        let mut folders: Vec<PathBuf> = vec![self.root().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    fs::write(path, bytes).unwrap();
                }
            }
        }
    }
}
