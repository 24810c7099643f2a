//! `chaski topic`.

use clap::Subcommand;

use super::{BrokerArg, OutputArg, pair};
use crate::complete;

/// Create, list, describe, alter and delete topics.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski topic create orders --partitions 4
  chaski topic list
  chaski topic describe orders")]
pub(crate) enum Topic {
    Create(TopicCreate),
    List(TopicList),
    Describe(TopicDescribe),
    Alter(TopicAlter),
    Delete(TopicDelete),
}

/// Create a topic.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski topic create orders
  chaski topic create orders --partitions 4 --config retention.ms=3600000
  chaski topic create orders --if-not-exists")]
pub(crate) struct TopicCreate {
    /// Name: letters, digits, `.`, `_` and `-`, at most 249
    pub(crate) name: String,
    /// How many partitions [default: the broker's num.partitions]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// A setting of the topic; may be given several times
    #[arg(long = "config", alias = "set", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) configs: Vec<(String, String)>,
    /// Succeed if there is a topic of this name, and leave it as it is
    #[arg(long)]
    pub(crate) if_not_exists: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// List all topics with their partitions and records.
///
/// Records are counted by offsets, from the oldest to the newest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski topic list
  chaski topic list -o json
  chaski topic list -o jsonl --broker 10.0.0.7:9092")]
pub(crate) struct TopicList {
    #[command(flatten)]
    pub(crate) output: OutputArg,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Show a topic: its partitions with their offsets, and the settings that differ from the default.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski topic describe orders
  chaski topic describe orders --all      every setting, with what it does
  chaski topic describe orders -o json")]
pub(crate) struct TopicDescribe {
    /// Name of the topic
    #[arg(add = complete::topics())]
    pub(crate) name: String,
    /// List every setting, with what it does
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: OutputArg,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Change a topic: add partitions, set settings or let them fall back to their default.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski topic alter orders --partitions 8
  chaski topic alter orders --set retention.ms=86400000 --unset retention.bytes")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct TopicAlter {
    /// Name of the topic
    #[arg(add = complete::topics())]
    pub(crate) name: String,
    /// How many partitions there are to be, old ones included
    #[arg(long, value_name = "N", group = "change")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// A setting to set; may be given several times
    #[arg(long, value_name = "NAME=VALUE", group = "change", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A setting that is to have its default again; may be given several times
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) unset: Vec<String>,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}

/// Delete topics and all their records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski topic delete orders
  chaski topic delete orders payments --yes      do not ask")]
pub(crate) struct TopicDelete {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME", add = complete::topics())]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) broker: BrokerArg,
}
