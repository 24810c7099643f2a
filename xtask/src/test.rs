//! `cargo xtask test`: every check of the tree, in order of what each costs, ending at the first
//! that fails.
//!
//! The last line is always `N passed, N failed, N skipped`: the sum of what `cargo test` and
//! pytest counted. A step that fails without counting anything is one failure; a step that cannot
//! run on this machine is one skipped.

use std::env;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;

use crate::process::{self, Failure};
use crate::tally::Tally;
use crate::{browser, docs, proofs, tidy, venv};

/// Run every check: format, lints, tidy, tests, loom, interop with real Kafka clients.
///
/// Needs Rust and Python 3. The first run builds everything and installs the Kafka clients into
/// target/interop-venv; later runs build what changed. The console is tested in a Chrome or
/// Chromium that is there; root on Debian installs one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run these steps and no others.
    #[arg(long, value_name = "STEP", num_args = 1.., value_parser = step_names())]
    only: Vec<String>,
    /// Leave these steps out.
    #[arg(long, value_name = "STEP", num_args = 1.., value_parser = step_names())]
    skip: Vec<String>,
    /// Ten minutes of kill -9 instead of one, new cases for proptest, and the step shm-kill.
    #[arg(long)]
    nightly: bool,
    /// Show the steps and end.
    #[arg(long)]
    list: bool,
}

impl Args {
    fn selects(&self, step: &Step) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == step.name);
        let by_default = match step.name {
            TSAN | SHM_ASAN => false,
            SHM_KILL => self.nightly,
            _ => true,
        };
        let asked = if self.only.is_empty() { by_default } else { named(&self.only) };
        asked && !named(&self.skip)
    }
}

/// What a step that did not fail came to.
pub(crate) enum Outcome {
    /// It ran, and counted so many tests.
    Ran(Tally),
    /// It cannot run here, and this is why.
    Skipped(&'static str),
}

pub(crate) type StepResult = Result<Outcome, Failure>;

struct Step {
    name: &'static str,
    about: &'static str,
    /// What to do when it fails.
    hint: &'static str,
    run: fn(&Args) -> StepResult,
}

const PROPTEST_SEED: &str = "PROPTEST_RNG_SEED";

/// The step that runs only when named: its cold build takes longer than everything else here.
const TSAN: &str = "tsan";

/// Runs only when named, or with `--nightly`: the unit step has its short form.
const SHM_KILL: &str = "shm-kill";

/// Runs only when named, for the same reason as [`TSAN`].
const SHM_ASAN: &str = "shm-asan";

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "sources are formatted by rustfmt",
        hint: "run: cargo fmt --all",
        run: |_| checked(process::cargo(["fmt", "--all", "--check"])),
    },
    Step {
        name: "clippy",
        about: "no warning in any target",
        hint: "mend what clippy names above; again: cargo xtask test --only clippy",
        run: |_| checked(clippy()),
    },
    Step {
        name: "tidy",
        about: "the house rules that a program can check",
        hint: "mend the lines named above; again: cargo xtask tidy",
        run: |_| tidy::check().map(|()| Outcome::Ran(Tally::default())),
    },
    Step {
        name: "docs",
        about: "the API documentation builds without warnings",
        hint: "mend what rustdoc names above; again: cargo xtask docs",
        run: |_| docs::check().map(|()| Outcome::Ran(Tally::default())),
    },
    Step {
        name: "unit",
        about: "unit, integration and doc tests of the workspace",
        hint: "run the failing test alone: cargo test -p CRATE NAME",
        run: unit,
    },
    Step {
        name: "loom",
        about: "every interleaving of the channels in crates/ring, each within a bound",
        hint: "again, with more to see: LOOM_LOG=1 cargo xtask test --only loom",
        run: |_| proofs::loom(),
    },
    Step {
        name: "miri",
        about: "crates/ring under the interpreter that sees undefined behaviour",
        hint: "again: cargo +nightly miri test -p chaski-ring",
        run: |_| proofs::miri(),
    },
    Step {
        name: TSAN,
        about: "the ring's stress tests under ThreadSanitizer; only with --only, it builds std",
        hint: "again: cargo xtask test --only tsan",
        run: |_| proofs::tsan(),
    },
    Step {
        name: SHM_KILL,
        about: "10,000 deaths between processes, and one at each instruction; only with --nightly",
        hint: "again, with the seed it printed: CHASKI_SEED=N cargo xtask test --only shm-kill",
        run: |_| proofs::shm_kill(),
    },
    Step {
        name: SHM_ASAN,
        about: "hostile peers in shared memory under AddressSanitizer; only with --only",
        hint: "again: cargo xtask test --only shm-asan",
        run: |_| proofs::shm_asan(),
    },
    Step {
        name: "bench",
        about: "bench/ still builds against the product",
        hint: "again: cargo check --manifest-path bench/Cargo.toml --no-default-features",
        run: |_| bench(),
    },
    Step {
        name: "build",
        about: "the binaries that the interop suite drives",
        hint: "again: cargo build --profile interop -p chaski-cli -p interop-agent",
        run: |_| {
            let mut command = process::cargo(["build", "--profile", "interop"]);
            command.args(["--package", "chaski-cli", "--package", "interop-agent"]);
            process::run(&mut command)?;
            checked(interop_peer())
        },
    },
    Step {
        name: "interop",
        about: "real Kafka and ZeroMQ programs, hostile clients and kill -9",
        hint: "one test alone: see `Testing` in CONTRIBUTING.md",
        run: interop,
    },
];

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

/// Runs the steps. Whatever happens, the line of counts is the last one printed.
pub(crate) fn run(args: &Args) -> ExitCode {
    if args.list {
        for step in STEPS {
            println!("{:8} {}", step.name, step.about);
        }
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let mut sum = Tally::default();
    let mut steps = STEPS.iter().filter(|step| args.selects(step));
    let failed = steps.find_map(|step| run_step(step, args, &mut sum).err());
    let took = shown(begun.elapsed());
    match &failed {
        Some(failure) => println!("\n==> FAILED after {took}\n{failure}"),
        None => println!("\n==> ok in {took}"),
    }
    println!("{sum}");
    if failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Announces and runs one step, and adds what it counted to `sum`.
fn run_step(step: &Step, args: &Args, sum: &mut Tally) -> Result<(), Failure> {
    println!("\n==> {}: {}", step.name, step.about);
    let begun = Instant::now();
    let result = (step.run)(args);
    let took = shown(begun.elapsed());
    match result {
        Ok(Outcome::Ran(tally)) => {
            *sum += tally;
            println!("    {}: ok in {took}", step.name);
            Ok(())
        }
        Ok(Outcome::Skipped(why)) => {
            sum.skipped += 1;
            println!("    {}: skipped, {why}", step.name);
            Ok(())
        }
        Err(failure) => {
            *sum += failure.tally;
            // A run that failed never reads `0 failed`.
            sum.failed += u64::from(failure.tally.failed == 0);
            println!("    {}: FAILED after {took}", step.name);
            Err(explained(failure, step))
        }
    }
}

/// A failure as the last thing on the screen: which step, and what to do about it.
fn explained(failure: Failure, step: &Step) -> Failure {
    let hint = if failure.hint.is_empty() { step.hint.into() } else { failure.hint };
    Failure { what: format!("step {}: {}", step.name, failure.what), hint, tally: failure.tally }
}

fn shown(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60)
}

fn checked(mut command: Command) -> StepResult {
    process::run(&mut command).map(|()| Outcome::Ran(Tally::default()))
}

fn counted(mut command: Command) -> StepResult {
    process::run_counted(&mut command, Tally::of_cargo).map(Outcome::Ran)
}

fn clippy() -> Command {
    let mut command = process::cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    command.args(["--", "-D", "warnings"]);
    command
}

/// Proptest draws the same cases in each of these runs, so that a red one is about the change it
/// tests; new ones are looked for by `cargo test` and by `--nightly`.
fn unit(args: &Args) -> StepResult {
    let test = || process::cargo(["test", "--workspace", "--all-features"]);
    // Apart, for a compiler may well be silent for long.
    process::run(test().arg("--no-run"))?;
    let mut command = test();
    command.arg("--no-fail-fast");
    if !args.nightly && env::var_os(PROPTEST_SEED).is_none() {
        command.env(PROPTEST_SEED, "1");
    }
    counted(command)
}

/// Rivals that need C libraries are default features of `bench`; without them it builds anywhere.
fn bench() -> StepResult {
    if !process::root().join("bench/Cargo.toml").exists() {
        return Ok(Outcome::Skipped("there is no bench/Cargo.toml"));
    }
    let mut command = process::cargo(["check", "--manifest-path", "bench/Cargo.toml"]);
    command.args(["--no-default-features", "--target-dir"]).arg(process::target_dir());
    checked(command)
}

/// A workspace of its own, like `bench`; what it makes lies beside the other binaries.
fn interop_peer() -> Command {
    let mut command = process::cargo(["build", "--profile", "interop", "--locked"]);
    command.args(["--manifest-path", "interop/peer/Cargo.toml", "--target-dir"]);
    command.arg(process::target_dir());
    command
}

fn interop(args: &Args) -> StepResult {
    let binary = process::target_dir().join("interop/chaski");
    if !binary.exists() {
        let hint = "build it first: cargo xtask test --only build interop";
        return Err(Failure::new(format!("{} is not there", binary.display()), hint));
    }
    let mut pytest = process::program(venv::python()?);
    pytest.args(["-m", "pytest", "interop"]);
    pytest.env("CHASKI_BIN", &binary).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(browser) = browser::path() {
        pytest.env(browser::VARIABLE, browser);
    }
    if args.nightly {
        pytest.env("CHASKI_CRASH_SECONDS", "600");
    }
    process::run_counted(&mut pytest, Tally::of_pytest).map(Outcome::Ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(only: &[&str], skip: &[&str]) -> Args {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Args { only: owned(only), skip: owned(skip), nightly: false, list: false }
    }

    fn selected(args: &Args) -> Vec<&'static str> {
        STEPS.iter().filter(|step| args.selects(step)).map(|step| step.name).collect()
    }

    #[test]
    fn only_and_skip_choose_steps() {
        let optional = ["tsan", "shm-kill", "shm-asan"];
        assert_eq!(selected(&args(&[], &[])).len(), STEPS.len() - optional.len());
        assert_eq!(selected(&args(&optional, &[])), optional);
        let nightly = Args { nightly: true, ..args(&[], &[]) };
        assert!(selected(&nightly).contains(&"shm-kill"));
        assert_eq!(selected(&args(&["tidy", "fmt"], &[])), ["fmt", "tidy"]);
        assert_eq!(selected(&args(&["tidy", "fmt"], &["fmt"])), ["tidy"]);
        assert!(!selected(&args(&[], &["interop"])).contains(&"interop"));
    }

    #[test]
    fn a_failed_step_without_counts_is_one_failure() {
        let step = Step {
            name: "x",
            about: "",
            hint: "do this",
            run: |_| Err(Failure::new("it broke", "")),
        };
        let mut sum = Tally::default();
        let failure = run_step(&step, &args(&[], &[]), &mut sum).unwrap_err();
        assert_eq!(sum, Tally { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(failure.to_string(), "step x: it broke\nwhat to do: do this");
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(shown(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(shown(Duration::from_secs(125)), "2 min 05 s");
    }
}
