//! `chaski inspect`.

use std::path::PathBuf;

use clap::Subcommand;

use super::OutputArg;

/// Look into files of a log without a broker, damaged ones too.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski inspect segment chaski-data/log/orders-0")]
pub(crate) enum Inspect {
    Segment(InspectSegment),
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
