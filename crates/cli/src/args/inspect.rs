//! `chaski inspect`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{DirArg, OutputArg};

/// Look into files of a log without a broker, damaged ones too, and at what bounds a broker.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski inspect segment chaski-data/log/orders-0
  chaski inspect index chaski-data/log/orders-0/00000000000000000000.index
  chaski inspect shm
  chaski inspect limits")]
pub(crate) enum Inspect {
    Segment(InspectSegment),
    Index(InspectIndex),
    Shm(InspectShm),
    Limits(InspectLimits),
}

/// Walk through segments batch by batch and check every checksum.
///
/// PATH is a segment, an index, a checkpoint, or the directory of a partition. Nothing is changed,
/// and no broker is needed; what a running broker is writing at this moment may look torn. Damage
/// is listed where it lies, and makes the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski inspect segment chaski-data/log/orders-0
  chaski inspect segment chaski-data/log/orders-0/00000000000000000000.log --records
  chaski inspect segment chaski-data/log/orders-0/00000000000000000000.index
  chaski inspect segment chaski-data/log/orders-0 -o jsonl")]
pub(crate) struct InspectSegment {
    /// A segment, an index, a checkpoint, or the directory of a partition
    pub(crate) path: PathBuf,
    /// List every record instead of every batch
    #[arg(long)]
    pub(crate) records: bool,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Print an index, a time index or a checkpoint of a partition.
///
/// They are derived: a broker that finds one damaged builds it anew from the segments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski inspect index chaski-data/log/orders-0/00000000000000000000.index
  chaski inspect index chaski-data/log/orders-0/00000000000000000000.timeindex
  chaski inspect index chaski-data/log/orders-0/checkpoint -o json")]
pub(crate) struct InspectIndex {
    /// An index, a time index or a checkpoint
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// List what lies in the directory where services of this machine meet, without asking them.
///
/// Nothing is changed: what a killed process left behind is shown as `left behind`, and the next
/// to bind the name takes it away. `chaski shm ls` asks those that live.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski inspect shm
  chaski inspect shm --dir /run/user/1000/chaski -o json")]
pub(crate) struct InspectShm {
    #[command(flatten)]
    pub(crate) dir: DirArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// List what is bounded, by how much, and how to change it.
///
/// Settings with their default and the least and most that they take; fixed bounds, which are
/// there so that nothing from outside can use up memory; and those that the system sets.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski inspect limits
  chaski inspect limits -o json | jq '.[] | select(.setting)'")]
pub(crate) struct InspectLimits {
    #[command(flatten)]
    pub(crate) output: OutputArg,
}
