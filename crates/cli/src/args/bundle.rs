//! `chaski bundle`.

use std::path::PathBuf;

use super::{HttpArg, OutputArg};

/// Gather what a bug report needs into one file, and say what is in it.
///
/// In it: versions and the machine, the configuration without its secrets, what `chaski doctor`
/// finds, and of a broker that runs its metrics and overview; of the data directory the names and
/// sizes of files and the headers of batches. Names of topics and groups are in it; no record is,
/// neither its key nor its value. What is not to be had is left out and said so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski bundle
  chaski bundle --data /var/lib/chaski --config /etc/chaski.toml --file report.tar.gz
  chaski bundle --http broker.example:8080 -o json")]
pub(crate) struct Bundle {
    /// File to write [default: chaski-bundle-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Directory that holds the log [default: that of the broker, else ./chaski-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file of the broker (TOML)
    #[arg(long, value_name = "FILE", env = "CHASKI_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) http: HttpArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}
