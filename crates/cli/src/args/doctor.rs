//! `chaski doctor`.

use std::path::PathBuf;

use super::OutputArg;

/// Look at this machine: what would slow a broker down here, or stop it, and what mends it.
///
/// Nothing is changed. A flush of the data directory is measured with a file that is removed
/// again, beside which a running broker goes on.
///
/// The states: `ok`; `info` is worth knowing; a `warning` costs speed or leaves little room; an
/// `error` keeps a broker from working, and makes the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski doctor
  chaski doctor --data /var/lib/chaski
  chaski doctor -o json | jq '.[] | select(.severity == \"error\")'")]
pub(crate) struct Doctor {
    /// Directory that holds the log, or is to hold it
    #[arg(long, value_name = "DIR", default_value = "./chaski-data")]
    pub(crate) data: PathBuf,
    /// Ports a broker is to listen on, as HOST:PORT
    #[arg(long = "port", value_name = "HOST:PORT")]
    #[arg(default_values = ["127.0.0.1:9092", "127.0.0.1:8080"])]
    pub(crate) ports: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}
