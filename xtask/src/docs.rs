//! `cargo xtask docs`: the API documentation, every warning an error.

use crate::process::{self, Failure};

/// Build the API documentation; a warning (such as a broken link) fails.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Open it in a browser when built.
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut command = process::cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command.args(["--exclude", "xtask"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    if args.open {
        command.arg("--open");
    }
    process::run(&mut command)
}

/// The same as a step of `cargo xtask test`.
pub(crate) fn check() -> Result<(), Failure> {
    run(&Args { open: false })
}
