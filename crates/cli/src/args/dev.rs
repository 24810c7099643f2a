//! `chaski dev`.

use clap::ValueEnum;

/// Start a broker to try things out, in a temporary directory that is removed at the end.
///
/// It has a topic to begin with, the console, and where the broker has gateways also two ZeroMQ
/// sockets: one that takes messages for the first topic, and one that publishes them. Where a
/// default port is taken, one that is free is chosen.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski dev
  chaski dev --topics orders,payments
  chaski dev --snippets java           what to paste into a program, beside the broker's addresses
  chaski dev --keep                    leave the directory, and say where it is")]
pub(crate) struct Dev {
    /// Topics to begin with
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "greetings")]
    pub(crate) topics: Vec<String>,
    /// Print a program for each client library of a language
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) snippets: Option<Language>,
    /// Do not remove the directory at the end
    #[arg(long)]
    pub(crate) keep: bool,
    /// Address Kafka clients connect to [default: 127.0.0.1:9092, or a port that is free]
    #[arg(long, value_name = "ADDR")]
    pub(crate) kafka: Option<String>,
    /// Address of the console [default: 127.0.0.1:8080, or a port that is free]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a tracing filter
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "CHASKI_LOG")]
    pub(crate) log: String,
}

/// A language with a client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Python,
    Java,
    Rust,
    Go,
    C,
    All,
}
