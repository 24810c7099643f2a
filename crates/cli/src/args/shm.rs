//! `chaski shm`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::OutputArg;
use crate::complete;

/// Look at the services of this machine: who is bound, who is connected, what their rings hold.
///
/// A service is a name to which a process is bound: a server, a publisher, a push, a pull or a
/// listener. Other processes of the same user connect to it, and messages go through memory that
/// the two share. A service counts anyway; to be looked at costs it nothing.
///
/// Sockets stand in $CHASKI_SHM_DIR, else in $XDG_RUNTIME_DIR/chaski, for root in /run/chaski, else
/// in chaski-UID below the directory for temporary files. A service answers its own user and root.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski shm ls
  chaski shm inspect greeter
  chaski shm top

To have something to look at:
  chaski recv shm://lines                       in one terminal
  seq 1000000 | chaski send shm://lines         in another")]
pub(crate) enum Shm {
    Ls(ShmLs),
    Inspect(ShmInspect),
    Top(ShmTop),
}

/// List the services that processes of this machine are bound to.
///
/// PEERS are connected now. MESSAGES and BYTES went either way over their connections; those of
/// peers that have left are no longer counted, and what is published counts once. FILL is that of
/// the fullest ring. The state `silent`
/// means that a process holds the name and does not answer: it has been stopped, or is another
/// user's.
///
/// What a killed process left behind is removed on the way, as the next to bind the name would do.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "list")]
#[command(after_help = "Examples:
  chaski shm ls
  chaski shm ls -o json
  chaski shm ls --dir /run/user/1000/chaski")]
pub(crate) struct ShmLs {
    #[command(flatten)]
    pub(crate) dir: DirArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Show one service, each of its connections, and what both of their rings hold.
///
/// WAY is seen from the service: `in` comes from the peer, `out` goes to it. WAITING messages were
/// sent and not yet taken, and fill their ring by FILL. STALLS counts how often the sender found no
/// room, WAKES how often one side had to wake the other: each is a system call, and a stream that
/// flows has none. ASLEEP names the side that waits for the other one now. DROPS are messages that
/// a peer was too slow for. LARGE is memory for payloads that are too long for the ring.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski shm inspect greeter
  chaski shm inspect greeter -o json | jq '.connections[] | {pid, drops}'")]
pub(crate) struct ShmInspect {
    /// Name of the service
    #[arg(add = complete::services())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) dir: DirArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Watch the services, or the connections of one: what moves, once a second.
///
/// Rates are of what moved since the last look. On a terminal the table is drawn over and over
/// until Ctrl-C; elsewhere, or as JSON, one follows the other.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski shm top
  chaski shm top greeter                         a row for each connection and direction
  chaski shm top --interval 0.2
  chaski shm top --count 1 -o json               one look, after one interval
  chaski shm top -o jsonl | jq 'select(.fill_percent > 80)'")]
pub(crate) struct ShmTop {
    /// Only this service, with its connections
    #[arg(add = complete::services())]
    pub(crate) name: Option<String>,
    /// Stop after so many looks
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Seconds from one look to the next
    #[arg(long, value_name = "S", default_value = "1", value_parser = interval)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) dir: DirArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Where services are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct DirArg {
    /// Directory of the sockets [default: see `chaski shm --help`]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number")?;
    if !(0.05..=3600.0).contains(&seconds) {
        Err("it is not between 0.05 and 3600")?
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_bounds() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "x", "0", "-1", "nan", "inf", "1e9"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
