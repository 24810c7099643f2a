//! The calling thread's affinity mask: reading it, and pinning to one CPU.

use std::io;

use super::Cpu;

/// Binds the calling thread to one CPU. The kernel has moved it there when this returns.
///
/// A thread hands its mask to the threads it starts from then on: start helpers before pinning, or
/// they share the CPU of the worker that started them.
///
/// # Errors
///
/// The kernel's, with the CPU named: `InvalidInput` for a CPU that is offline, outside the
/// cgroup's cpuset, or above the 1023 a mask can name; `PermissionDenied` in a sandbox that does
/// not allow the call. `Unsupported` on systems other than Linux. The thread then runs where it
/// did before.
pub fn pin_current_thread(cpu: Cpu) -> io::Result<()> {
    system::pin(cpu.number).map_err(|cause| {
        let number = cpu.number;
        let why = match cause.kind() {
            io::ErrorKind::InvalidInput => "offline, or not among the CPUs this process may use",
            _ => {
                return io::Error::new(
                    cause.kind(),
                    format!("cannot pin to CPU {number}: {cause}"),
                );
            }
        };
        io::Error::new(cause.kind(), format!("cannot pin to CPU {number}: {why}"))
    })
}

/// The CPUs the calling thread may run on, by ascending number.
pub(super) fn of_current_thread() -> io::Result<Vec<usize>> {
    system::mask()
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) fn pin(number: usize) -> io::Result<()> {
        if number >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut mask = CpuSet::new();
        mask.set(number);
        Ok(sched_setaffinity(None, &mask)?)
    }

    pub(super) fn mask() -> io::Result<Vec<usize>> {
        let mask = sched_getaffinity(None)?;
        Ok((0..CpuSet::MAX_CPU).filter(|number| mask.is_set(*number)).collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    pub(super) fn pin(_: usize) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system binds no thread to a CPU"))
    }

    pub(super) fn mask() -> io::Result<Vec<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::Topology;
    use super::*;

    /// Pinning lasts as long as the thread, so each test takes a thread of its own.
    fn apart<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(f).join().unwrap()
    }

    #[test]
    fn a_pinned_thread_is_where_it_was_put() {
        for cpu in Topology::detect().cpus().iter().copied() {
            apart(move || {
                pin_current_thread(cpu).unwrap();
                assert_eq!(rustix::thread::sched_getcpu(), cpu.number);
                assert_eq!(of_current_thread().unwrap(), [cpu.number]);
            });
        }
    }

    #[test]
    fn a_thread_hands_its_mask_down() {
        let cpu = Topology::detect().cpus()[0];
        let inherited = apart(move || {
            pin_current_thread(cpu).unwrap();
            apart(of_current_thread).unwrap()
        });
        assert_eq!(inherited, [cpu.number]);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        for number in [1023, 1024, usize::MAX] {
            let cpu = Cpu { number, core: number, package: 0, node: 0 };
            let error = apart(move || pin_current_thread(cpu)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot pin to CPU {number}: offline")), "{text}");
        }
    }
}
