//! `cargo xtask bench`: builds the product as it ships, if the distance needs it, then hands over
//! to `bench/`.
//!
//! `bench/` is a workspace of its own, with its own lock file, so that rivals never enter the
//! product's. It gets the path of the release binary in `CHASKI_BIN`.

use crate::process::{self, Failure};

/// Measure Chaski, its rivals and the machine's limit in one run.
///
/// Arguments go to the bench program unchanged; `cargo xtask bench --help` shows its help.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Distance, cases and options of the bench program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let manifest = process::root().join("bench/Cargo.toml");
    if !manifest.exists() {
        return Err(Failure::new("bench/Cargo.toml is not there", "is the checkout complete?"));
    }
    if needs_the_binary(&args.args) {
        process::run(&mut process::cargo(["build", "--release", "--package", "chaski-cli"]))?;
    }
    let mut bench = process::cargo(["run", "--release", "--manifest-path", "bench/Cargo.toml"]);
    bench.arg("--").args(&args.args);
    bench.env("CHASKI_BIN", process::target_dir().join("release/chaski"));
    process::run(&mut bench)
}

/// Channels, pools, shared memory and sockets are libraries, which `bench/` builds in.
fn needs_the_binary(args: &[String]) -> bool {
    let without = ["--help", "-h", "--list", "threads", "processes", "machines"];
    !args.iter().any(|arg| without.contains(&arg.as_str()))
}
