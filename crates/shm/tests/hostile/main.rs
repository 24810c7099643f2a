//! Peers that do not keep the protocol: a process that has the right memory and descriptors, and
//! does with them what it likes while others work.
//!
//! The victim lives in this process, so that what it holds can be counted. It must neither crash
//! nor hang, serve those who keep the protocol with every byte as it should be, and let go of
//! everything when the hostile ones are gone.
//!
//! ```text
//!   this process              children
//!     a server      <--->       honest clients, who check each byte
//!                   <--->       a client that scribbles over all that it can write
//!     a client      <--->       a server that does
//!     ends of pipes <--->       ends of pipes that do, and one that sends back what it receives
//! ```

#[path = "../processes/mod.rs"]
mod processes;

mod bells;
mod honest;
mod piped;
mod scribble;
mod strangers;
mod victim;

use std::process::ExitCode;

use processes::{child, runner};

/// The name of the service.
const NAME: &str = "victim";

fn main() -> ExitCode {
    match child::role().as_deref() {
        None => {}
        Some("honest") => return honest::client(),
        Some("honest-server") => return honest::server(),
        Some("scribbling-client") => return scribble::client(),
        Some("scribbling-server") => return scribble::server(),
        Some("bells") => return bells::client(),
        Some("echoing-pipe") => return honest::pipe(),
        Some("scribbling-pipe") => return scribble::pipe(),
        Some(other) => panic!("no role {other}"),
    }
    runner::run(&[
        ("a_server_bears_clients_that_scribble", victim::of_clients),
        ("a_client_bears_a_server_that_scribbles", victim::of_a_server),
        ("a_pipe_bears_a_peer_that_scribbles", piped::of_peers),
        ("a_server_bears_clients_that_spoil_their_doorbells", victim::of_bells),
        ("a_server_bears_strangers", strangers::come_in),
    ])
}
