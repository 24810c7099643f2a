//! `chaski top`.

use std::time::Duration;

use super::shm::interval;
use super::{DirArg, HttpArg, OutputArg};

/// Watch everything at once: topics, groups, sockets, rings and shards, on one live screen.
///
/// What the broker's API and metrics tell, and what services in shared memory say of themselves:
/// those of the broker's machine, and without a broker, or with --dir, those of this one. Each part
/// stands alone, and says why it is empty. Rates are of the last seconds.
///
/// Keys: 1 to 5 or Tab choose a part, Up and Down (j, k) scroll it, s sorts it by the next column,
/// z shows it alone, Space holds the picture, q or Ctrl-C ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski top
  chaski top --http broker.example:8080 --interval 5
  chaski top --once                                 one look, as tables
  chaski top --once -o json | jq '.topics[] | {name, records_per_second}'")]
pub(crate) struct Top {
    /// Look once, after one interval, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds from one look to the next
    #[arg(long, value_name = "S", default_value = "1", value_parser = interval)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) http: HttpArg,
    #[command(flatten)]
    pub(crate) dir: DirArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}
