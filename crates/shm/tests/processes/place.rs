//! Where a test happens: a directory for sockets, one for logs, both gone when it ends.

use std::path::PathBuf;

use tempfile::TempDir;

/// Names the directory of sockets to this process and its children.
const DIRECTORY: &str = "CHASKI_SHM_DIR";

/// The directories of a test.
#[derive(Debug)]
pub(crate) struct Place {
    logs: TempDir,
    sockets: TempDir,
}

impl Place {
    /// A new one. Endpoints of this process find it from now on.
    pub(crate) fn new() -> Place {
        let place = Place { logs: temporary(), sockets: temporary() };
        // SAFETY: tests run one at a time on the main thread. Other threads are the watchdog and
        // the doorman; the latter asks for the directory only while an endpoint binds or connects,
        // and between tests there is none.
        unsafe { std::env::set_var(DIRECTORY, place.sockets.path()) };
        place
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.path().join(name)
    }

    /// Where the socket of a service is.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.sockets.path().join(name)
    }

    /// The names of all files among the sockets.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sockets.path()).expect("the directory is ours");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("it can be read").file_name().to_string_lossy().into_owned()
        };
        entries.map(name).collect()
    }
}

fn temporary() -> TempDir {
    tempfile::Builder::new().prefix("chaski-test-").tempdir().expect("a temporary directory")
}
