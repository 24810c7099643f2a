//! The kernel: io_uring, huge pages, its clock, the buffers of sockets.

use std::fs;

use super::finding::{Finding, Severity};
use crate::bench::reading_the_clock;
use crate::output::count;

/// Clock sources that are read without a system call.
const QUICK_CLOCKS: &[&str] =
    &["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "riscv_clocksource"];
/// A reading that takes longer goes through the kernel.
const CLOCK_NS_MAX: u128 = 200;
/// What one connection over a long way has in flight: 1 Gbit/s for 32 ms.
const BUFFER_BYTES: u64 = 4 << 20;
/// Connections that may wait to be accepted.
const BACKLOG: u64 = 1024;

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![io_uring()];
    findings.extend(read("/proc/meminfo").map(|text| huge_pages(&text)));
    findings.extend(read("/sys/kernel/mm/transparent_hugepage/enabled").map(|t| transparent(&t)));
    findings.extend(read("/sys/kernel/mm/transparent_hugepage/shmem_enabled").map(|t| shmem(&t)));
    findings.push(clock());
    findings.extend(read("/proc/sys/net/core/rmem_max").map(|t| buffer("net.core.rmem_max", &t)));
    findings.extend(read("/proc/sys/net/core/wmem_max").map(|t| buffer("net.core.wmem_max", &t)));
    findings.extend(read("/proc/sys/net/core/somaxconn").map(|text| backlog(&text)));
    findings
}

/// None where there is no such file: another system, or an older kernel.
fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(target_os = "linux")]
fn io_uring() -> Finding {
    let what = match io_uring::IoUring::new(2) {
        Ok(_) => "available".to_owned(),
        Err(error) => format!("not available: {error}"),
    };
    Finding::ok("io-uring", what, "nothing here needs it: sockets are waited for by readiness")
}

#[cfg(not(target_os = "linux"))]
fn io_uring() -> Finding {
    Finding::ok("io-uring", "not on this system", "nothing here needs it")
}

/// Reserved ones.
fn huge_pages(meminfo: &str) -> Finding {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok())
    };
    let check = "huge-pages";
    match field("HugePages_Total:").unwrap_or(0) {
        0 => Finding::ok(check, "none reserved", "nothing here uses reserved huge pages"),
        reserved => {
            let mib = reserved * field("Hugepagesize:").unwrap_or(0) / 1024;
            Finding::ok(check, format!("{reserved} reserved, {mib} MiB"), "")
                .but(
                    Severity::Info,
                    "nothing here uses them: that memory is lost to the page cache, which serves \
                     consumers",
                )
                .mend("sysctl vm.nr_hugepages=0, if nothing else wants them")
        }
    }
}

/// The word in force stands in brackets.
fn chosen(setting: &str) -> &str {
    let word = setting.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or(setting, |(word, _)| word)
}

fn transparent(setting: &str) -> Finding {
    let found = Finding::ok(
        "transparent-huge-pages",
        chosen(setting),
        "the heap has them where it asks, and no pauses while the kernel makes them",
    );
    match chosen(setting) {
        "always" => found
            .but(
                Severity::Info,
                "the kernel may stop a thread for milliseconds to make one: rare outliers in \
                 latency, and more memory in use than was asked for",
            )
            .mend("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"),
        _ => found,
    }
}

fn shmem(setting: &str) -> Finding {
    let found = Finding::ok("shm-huge-pages", chosen(setting), "rings may have huge pages");
    match chosen(setting) {
        "never" | "deny" => found
            .but(
                Severity::Info,
                "`Pages::Huge` of shared memory is refused; the default pages need nothing",
            )
            .mend("echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"),
        _ => found,
    }
}

fn clock() -> Finding {
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    clock_of(source.as_deref().unwrap_or("unknown"), reading_the_clock().as_nanos())
}

fn clock_of(source: &str, ns: u128) -> Finding {
    let what = format!("{source}, {ns} ns a reading");
    let found = Finding::ok("clock", what, "reading the time costs no system call");
    if QUICK_CLOCKS.contains(&source) || ns <= CLOCK_NS_MAX {
        return found;
    }
    found
        .but(Severity::Warning, "each reading of the time is a system call, one or more a request")
        .mend(
            "cat /sys/devices/system/clocksource/clocksource0/available_clocksource; \
             if it lists tsc: echo tsc > \
             /sys/devices/system/clocksource/clocksource0/current_clocksource",
        )
}

fn buffer(check: &'static str, text: &str) -> Finding {
    let bytes: u64 = text.parse().unwrap_or(0);
    let found = Finding::ok(check, format!("{bytes} bytes"), "long ways can be filled");
    match bytes {
        BUFFER_BYTES.. => found,
        _ => found
            .but(
                Severity::Info,
                "sockets that ask for a buffer (sndbuf, rcvbuf) get no more; over a long way with \
                 much bandwidth they are what bounds one connection. The rest tune themselves",
            )
            .mend(format!("sysctl -w {check}={BUFFER_BYTES}")),
    }
}

fn backlog(text: &str) -> Finding {
    let connections: u64 = text.parse().unwrap_or(0);
    let what = count(connections, "connection");
    let found = Finding::ok("net.core.somaxconn", what, "a rush of clients is waited for");
    match connections {
        BACKLOG.. => found,
        _ => found
            .but(Severity::Warning, "when more clients come at once, some wait a second and retry")
            .mend(format!("sysctl -w net.core.somaxconn={}", 4 * BACKLOG)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_that_are_reserved_are_memory_lost() {
        let text = "HugePages_Total:      64\nHugepagesize:       2048 kB\n";
        let found = huge_pages(text);
        assert_eq!((found.severity, found.what.as_str()), (Severity::Info, "64 reserved, 128 MiB"));
        assert_eq!(huge_pages("HugePages_Total:       0").severity, Severity::Ok);
        assert_eq!(huge_pages("").severity, Severity::Ok);
    }

    #[test]
    fn the_word_in_force_counts() {
        assert_eq!(transparent("always [madvise] never").severity, Severity::Ok);
        assert_eq!(transparent("[always] madvise never").severity, Severity::Info);
        assert_eq!(shmem("always within_size advise [never] deny force").what, "never");
        assert_eq!(chosen(""), "");
    }

    #[test]
    fn a_clock_is_slow_by_its_name_and_by_what_it_takes() {
        assert_eq!(clock_of("tsc", 900).severity, Severity::Ok);
        assert_eq!(clock_of("acpi_pm", 900).severity, Severity::Warning);
        assert_eq!(clock_of("another", 30).severity, Severity::Ok);
    }

    #[test]
    fn small_bounds_are_mended_by_a_command() {
        assert!(buffer("net.core.rmem_max", "212992").command.is_some());
        assert!(buffer("net.core.rmem_max", "16777216").command.is_none());
        assert_eq!(backlog("128").severity, Severity::Warning);
        assert_eq!(backlog("4096").severity, Severity::Ok);
    }
}
