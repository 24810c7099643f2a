//! `chaski group`.

use clap::Subcommand;

use super::{BrokerArg, OutputArg};
use crate::complete;
use crate::position::Position;

/// List, describe, reset and delete consumer groups.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski group list
  chaski group describe billing
  chaski group reset billing --topic orders --to earliest --execute")]
pub(crate) enum Group {
    List(GroupList),
    Describe(GroupDescribe),
    Reset(GroupReset),
    Delete(GroupDelete),
}

/// List all consumer groups with their state and members.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski group list
  chaski group list -o json")]
pub(crate) struct GroupList {
    #[command(flatten)]
    pub(crate) output: OutputArg,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Show a consumer group: its members, and for each partition how far it has come.
///
/// `-` (null in JSON) means not known: no offset was committed, or the topic is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski group describe billing
  chaski group describe billing -o json")]
pub(crate) struct GroupDescribe {
    /// Name of the group
    #[arg(add = complete::groups())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: OutputArg,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Set where a consumer group goes on reading a topic.
///
/// Shows what would change; --execute changes it. The group may have no members then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski group reset billing --topic orders --to earliest
  chaski group reset billing --topic orders --to -1h --execute
  chaski group reset billing --topic orders --to 2026-08-01T12:00:00Z --execute
  chaski group reset billing --topic orders --to 4200 --partition 3 --execute")]
pub(crate) struct GroupReset {
    /// Name of the group
    #[arg(add = complete::groups())]
    pub(crate) name: String,
    /// The topic
    #[arg(long, value_name = "TOPIC", add = complete::topics())]
    pub(crate) topic: String,
    /// earliest, latest, an offset, or a time: RFC 3339, or relative like -1h or -2d
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    pub(crate) to: Position,
    /// Only this partition; may be given several times [default: all]
    #[arg(long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partitions: Vec<i32>,
    /// Only show what would change (the default)
    #[arg(long, conflicts_with = "execute")]
    pub(crate) dry_run: bool,
    /// Change it
    #[arg(long)]
    pub(crate) execute: bool,
    #[command(flatten)]
    pub(crate) output: OutputArg,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Delete consumer groups and the offsets they committed. They may have no members.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski group delete billing
  chaski group delete billing reports --yes      do not ask")]
pub(crate) struct GroupDelete {
    /// Names of the groups
    #[arg(required = true, value_name = "NAME", add = complete::groups())]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}
