//! `chaski completions` and `chaski man`.

use std::path::PathBuf;

use clap_complete::Shell;

/// Print what a shell needs to complete `chaski` commands.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski completions bash > ~/.local/share/bash-completion/completions/chaski
  chaski completions fish > ~/.config/fish/completions/chaski.fish
  chaski completions zsh > /usr/local/share/zsh/site-functions/_chaski")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Write the manual, one page a command, into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Directory to write to; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
