//! Project tasks, run as `cargo xtask TASK`: one file per task.
//!
//! They need Rust and Python 3 and nothing else; what more they want (a Python environment with
//! the Kafka clients) they make themselves under the target directory.
#![forbid(unsafe_code)]

mod bench;
mod browser;
mod docs;
mod process;
mod proofs;
mod silence;
mod tally;
mod test;
mod tidy;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the Chaski tree: test it, measure it, keep it tidy.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
#[command(after_help = "Start with: cargo xtask test\n\
                        Before each commit: cargo xtask test --only fmt clippy tidy")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Test(test::Args),
    Bench(bench::Args),
    Tidy(tidy::Args),
    Docs(docs::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(args) => return test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Tidy(args) => tidy::run(&args),
        Task::Docs(args) => docs::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
