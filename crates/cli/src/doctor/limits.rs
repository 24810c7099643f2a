//! What the system grants a process: open files, locked memory.

use rustix::process::{Resource, getrlimit};

use super::finding::{Finding, Severity};

/// Too few to serve anything: the log, the listeners and a handful of clients.
const FILES_MIN: u64 = 256;
/// Fewer than that a busy broker runs out of.
const FILES_ENOUGH: u64 = 16_384;

pub(super) fn examine() -> Vec<Finding> {
    vec![open_files(getrlimit(Resource::Nofile).maximum), memlock()]
}

/// The broker raises the soft limit itself: the hard one counts.
fn open_files(hard: Option<u64>) -> Finding {
    let check = "open-files";
    let Some(hard) = hard else {
        return Finding::ok(check, "unlimited", "connections and segments are files");
    };
    let what = format!("{hard} at most");
    let enough = format!("connections and segments are files: there is room for about {hard}");
    let found = Finding::ok(check, what, enough);
    let mend = "ulimit -Hn 1048576 as root, or LimitNOFILE=1048576 in the unit \
                (`chaski generate systemd` has it)";
    match hard {
        FILES_ENOUGH.. => found,
        FILES_MIN.. => found
            .but(
                Severity::Warning,
                format!("at about {hard} connections and segments together, new ones fail"),
            )
            .mend(mend),
        _ => {
            found.but(Severity::Error, "a broker cannot open its log and serve clients").mend(mend)
        }
    }
}

fn memlock() -> Finding {
    let limit = getrlimit(Resource::Memlock).current;
    let what = limit.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    Finding::ok("memlock", what, "nothing here locks memory; the limit does not matter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_a_warning_and_hardly_any_an_error() {
        assert_eq!(open_files(None).severity, Severity::Ok);
        assert_eq!(open_files(Some(FILES_ENOUGH)).severity, Severity::Ok);
        assert_eq!(open_files(Some(1024)).severity, Severity::Warning);
        let few = open_files(Some(64));
        assert!(few.severity == Severity::Error && few.command.is_some());
    }
}
