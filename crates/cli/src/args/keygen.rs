//! `chaski keygen`.

use std::path::PathBuf;

use clap::Subcommand;

use super::OutputArg;

/// Make keys with which the two sides of a connection know each other.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski keygen curve server.key
  chaski keygen public server.key")]
pub(crate) enum Keygen {
    Curve(KeygenCurve),
    Public(KeygenPublic),
}

/// Make a pair of CURVE keys.
///
/// The public key may be known to everybody, and whoever connects has to know that of the server.
/// The secret key proves who is behind the public one. FILE holds both, is readable by this user
/// alone, and is never replaced; the public key is printed. Without FILE both are printed.
///
/// The form is that of CZMQ's and pyzmq's certificates, and theirs can be given to --curve-key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski keygen curve server.key
  chaski recv 'zmq+tcp://*:5555' --curve-key server.key
  chaski send zmq+tcp://localhost:5555 --curve-server-key 'PUBLIC KEY OF THE SERVER'

To let in those alone whom the server knows, each of them has a pair:

  chaski keygen curve client.key
  chaski recv 'zmq+tcp://*:5555' --curve-key server.key --curve-allow 'PUBLIC KEY OF THE CLIENT'")]
pub(crate) struct KeygenCurve {
    /// File to write; it must not exist yet
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Print the public key of a file with a pair of keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski keygen public server.key")]
pub(crate) struct KeygenPublic {
    /// File that `chaski keygen curve` wrote
    pub(crate) file: PathBuf,
}
