//! `chaski serve`.

use std::path::PathBuf;

/// Start the broker: a durable log that Kafka clients use.
///
/// Settings come from, lowest first: defaults, the configuration file, the environment
/// (CHASKI_NUM_PARTITIONS for num.partitions), --set, and the flags below.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski serve
  chaski serve --data /var/lib/chaski --kafka 0.0.0.0:9092 --advertised broker.example:9092
  chaski serve --set num.partitions=4 --set acks.all=page-cache
  chaski serve --settings          list every setting with its default and meaning")]
pub(crate) struct Serve {
    /// Directory that holds the log [default: ./chaski-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address Kafka clients connect to [default: 127.0.0.1:9092]
    #[arg(long, value_name = "ADDR")]
    pub(crate) kafka: Option<String>,
    /// Address told to Kafka clients, if it is another
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertised: Option<String>,
    /// Address of the console, the API, metrics and health [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Name under which processes of this machine reach the log through shared memory
    #[arg(long, value_name = "NAME")]
    pub(crate) shm: Option<String>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CHASKI_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// When acks=all is answered: once the page cache has the batch, or the disk [default: fsync]
    #[arg(long, value_name = "WHEN", value_parser = ["page-cache", "fsync"])]
    pub(crate) acks_all: Option<String>,
    /// Any setting by name; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// List every setting with its default and meaning, then exit
    #[arg(long)]
    pub(crate) settings: bool,
    /// What to log: error, warn, info, debug, trace, or a tracing filter
    #[arg(long, value_name = "FILTER", default_value = "info", env = "CHASKI_LOG")]
    pub(crate) log: String,
}
