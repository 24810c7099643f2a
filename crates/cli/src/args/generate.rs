//! `chaski generate`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use crate::address::Address;

/// Print what other programs need to know of chaski.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski generate grafana > chaski.json
  chaski generate prometheus > prometheus.yml
  chaski generate systemd > /etc/systemd/system/chaski.service
  chaski generate completions bash > ~/.local/share/bash-completion/completions/chaski
  chaski generate man ~/.local/share/man/man1")]
pub(crate) enum Generate {
    Grafana(GenerateGrafana),
    Prometheus(GeneratePrometheus),
    Systemd(GenerateSystemd),
    Completions(GenerateCompletions),
    Man(GenerateMan),
}

/// Print a Grafana dashboard of what the broker counts.
///
/// Import it (Dashboards, New, Import) and choose the Prometheus data source that scrapes the
/// broker; `chaski generate prometheus` prints how it is scraped. Metrics that have no panel are
/// named, with the reason, in the dashboard's description.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski generate grafana > chaski.json
  chaski generate grafana --title 'chaski, production' > chaski.json")]
pub(crate) struct GenerateGrafana {
    /// Title of the dashboard
    #[arg(long, value_name = "TEXT", default_value = "chaski")]
    pub(crate) title: String,
}

/// Print how Prometheus is to scrape brokers, or the rules by which it raises alerts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski generate prometheus > prometheus.yml
  chaski generate prometheus --target broker1:8080 --target broker2:8080 > prometheus.yml
  chaski generate prometheus --rules > chaski.rules.yml")]
pub(crate) struct GeneratePrometheus {
    /// Address of a broker's metrics; may be given several times
    #[arg(long = "target", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) targets: Vec<Address>,
    /// Print alerting rules, for `rule_files`
    #[arg(long, conflicts_with = "targets")]
    pub(crate) rules: bool,
}

/// Print a systemd unit that runs the broker as a user of its own, with access to nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski generate systemd > /etc/systemd/system/chaski.service
  chaski generate systemd --config /etc/chaski.toml --binary /opt/chaski/bin/chaski

Afterwards: systemctl daemon-reload, and systemctl enable --now chaski")]
pub(crate) struct GenerateSystemd {
    /// Path of the program [default: that of this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Configuration file for the broker
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the log is kept: a name below /var/lib
    #[arg(long, value_name = "NAME", default_value = "chaski", value_parser = state)]
    pub(crate) state: String,
    /// Files and connections that may be open
    #[arg(long, value_name = "N", default_value_t = 1_048_576)]
    pub(crate) open_files: u32,
}

/// Print what a shell runs to complete `chaski` commands, and the names of topics in them.
///
/// Completing asks the program itself: topics, groups and services are those that are there now,
/// on the broker of --broker, of the URL or of CHASKI_BROKER. One that does not answer within half
/// a second is not waited for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski generate completions bash > ~/.local/share/bash-completion/completions/chaski
  chaski generate completions fish > ~/.config/fish/completions/chaski.fish
  chaski generate completions zsh > /usr/local/share/zsh/site-functions/_chaski")]
pub(crate) struct GenerateCompletions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that can be completed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Write the manual, one page a command, into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski generate man ~/.local/share/man/man1")]
pub(crate) struct GenerateMan {
    /// Directory to write to; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// A name of a directory that a line of a unit may hold.
fn state(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !text.is_empty() && !text.starts_with('.') && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("it is not a name of letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_one_name() {
        assert!(state("chaski-2").is_ok());
        for wrong in ["", "..", "a/b", "a b", "a\nUser=root"] {
            assert!(state(wrong).is_err(), "{wrong}");
        }
    }
}
