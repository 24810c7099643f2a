//! Who may enter, for `send` and `recv` with sockets: secrets come from files, never from here.

use std::path::PathBuf;

use crate::failure::{CALLED_WRONGLY, Failure};

/// How the two sides of a connection know each other.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Security of zmq+tcp:// and zmq+ipc://")]
pub(crate) struct SecurityArgs {
    /// Our pair of CURVE keys, as `chaski keygen curve FILE` writes it; without
    /// --curve-server-key we are the server
    #[arg(long, value_name = "FILE")]
    pub(crate) curve_key: Option<PathBuf>,
    /// Be a client of the server with this public CURVE key; without --curve-key, with a key of our
    /// own that is made for this run
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) curve_server_key: Option<String>,
    /// As a CURVE server, let in who has this public key; may be given several times [default:
    /// everybody who knows the server's]
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, requires = "curve_key")]
    #[arg(conflicts_with = "curve_server_key")]
    pub(crate) curve_allow: Vec<String>,
    /// Be this user of a PLAIN server; the password goes over the wire as it is
    #[arg(long, value_name = "NAME", requires = "plain_password_file")]
    #[arg(conflicts_with_all = ["curve_key", "curve_server_key"])]
    pub(crate) plain_user: Option<String>,
    /// File of which the first line is the password
    #[arg(long, value_name = "FILE", requires = "plain_user")]
    pub(crate) plain_password_file: Option<PathBuf>,
}

impl SecurityArgs {
    /// Refuses them for what is no socket.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        let given = [
            ("--curve-key", self.curve_key.is_some()),
            ("--curve-server-key", self.curve_server_key.is_some()),
            ("--curve-allow", !self.curve_allow.is_empty()),
            ("--plain-user", self.plain_user.is_some()),
        ];
        let Some((option, _)) = given.iter().find(|(_, given)| *given) else { return Ok(()) };
        Err(Failure::new(format!("{option} is for zmq+tcp:// and zmq+ipc://"))
            .hint("kafka:// is not encrypted yet; shm:// lets in its own user alone")
            .code(CALLED_WRONGLY))
    }
}
