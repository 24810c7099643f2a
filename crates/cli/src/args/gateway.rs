//! `chaski gateway`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{HttpArg, OutputArg};
use crate::complete;

/// Join topics and ZeroMQ sockets: list, describe, add and remove gateways of a broker.
///
/// Into a topic: `pull` takes what PUSH sockets send, `router` answers DEALER and REQ sockets with
/// the offset, `sub` subscribes to a PUB. Out of a topic: `pub` publishes it, `push` gives each
/// record to one of the PULL sockets, as a consumer group.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski gateway add intake --kind pull --bind tcp://127.0.0.1:5555 --topic orders
  chaski gateway add feed --kind pub --bind 'tcp://*:5556' --topic orders
  chaski gateway list
  chaski gateway describe intake
  chaski gateway remove intake")]
pub(crate) enum Gateway {
    List(GatewayList),
    Describe(GatewayDescribe),
    Add(Box<GatewayAdd>),
    Remove(GatewayRemove),
}

/// List all gateways with what passed through them.
///
/// PEERS are connected now; DROPS are messages that found no room or made no record; LAG is what is
/// still to be sent, or stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski gateway list
  chaski gateway list -o json | jq '.[] | select(.drops > 0)'")]
pub(crate) struct GatewayList {
    #[command(flatten)]
    pub(crate) http: HttpArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Show a gateway and each of its peers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski gateway describe intake
  chaski gateway describe intake -o json")]
pub(crate) struct GatewayDescribe {
    /// Name of the gateway
    #[arg(add = complete::gateways())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) http: HttpArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Start a gateway. The broker keeps it, and starts it again when it is started itself.
///
/// What has no flag of its own, such as `settle_ms` or `[gateway.security]`, goes into a file: the
/// table of a `[[gateway]]` as it stands in the broker's configuration. Flags go before what the
/// file says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski gateway add intake --kind pull --bind tcp://127.0.0.1:5555 --topic orders
  chaski gateway add calls --kind router --bind tcp://127.0.0.1:5557 --frames topic,key,value
  chaski gateway add remote --kind sub --connect tcp://sensors:5556 --subscribe temp. --topic temp
  chaski gateway add jobs --kind push --bind 'tcp://*:5558' --topic jobs --group workers
  chaski gateway add intake --file intake.toml")]
pub(crate) struct GatewayAdd {
    /// By which it is known: letters, digits, `.`, `_` and `-`
    pub(crate) name: String,
    /// Which ZeroMQ socket it is
    #[arg(long, value_enum, required_unless_present = "file")]
    pub(crate) kind: Option<GatewayKindName>,
    /// Endpoint to listen on; may be given several times
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) bind: Vec<String>,
    /// Endpoint to connect to; may be given several times
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) connect: Vec<String>,
    /// The topic
    #[arg(long, add = complete::topics())]
    pub(crate) topic: Option<String>,
    /// How frames map to a record: value, key,value, topic,key,value or json
    #[arg(long, value_name = "MAPPING")]
    pub(crate) frames: Option<String>,
    /// Consumer group whose offsets are committed (push, pub)
    #[arg(long, add = complete::groups())]
    pub(crate) group: Option<String>,
    /// Prefix to subscribe to (sub); may be given several times [default: everything]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) subscribe: Vec<String>,
    /// Subscribers may ask for what was before (pub)
    #[arg(long)]
    pub(crate) history: bool,
    /// What the first frame of a published message is (pub)
    #[arg(long, value_name = "FRAME", value_parser = ["topic", "key"])]
    pub(crate) topic_frame: Option<String>,
    /// Where to begin without a committed offset (push, pub)
    #[arg(long, value_name = "POSITION", value_parser = ["latest", "earliest"])]
    pub(crate) from: Option<String>,
    /// When a record counts as stored (pull, router, sub)
    #[arg(long, value_parser = ["one", "all"])]
    pub(crate) acks: Option<String>,
    /// Messages that may wait for each peer
    #[arg(long, value_name = "N")]
    pub(crate) hwm: Option<u32>,
    /// File with the table of a gateway (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) http: HttpArg,
}

/// Stop gateways and forget them. One of the configuration file is back with the next start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski gateway remove intake
  chaski gateway remove intake feed")]
pub(crate) struct GatewayRemove {
    /// Names of the gateways
    #[arg(required = true, value_name = "NAME", add = complete::gateways())]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) http: HttpArg,
}

/// A kind of gateway by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GatewayKindName {
    Pull,
    Router,
    Sub,
    Pub,
    Push,
}
