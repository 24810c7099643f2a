//! The steps that run `crates/ring` on machines that are not this one: loom's, which takes every
//! interleaving; miri's, which sees undefined behaviour; and ThreadSanitizer's, which sees races.
//! And those that go on with `crates/shm` where its tests leave off.
//!
//! Each has a target directory of its own below `target/`, since its flags change every crate.

use std::env;
use std::process::Command;

use crate::process;
use crate::tally::Tally;
use crate::test::{Outcome, StepResult};

const PACKAGE: [&str; 2] = ["--package", "chaski-ring"];

const SHM: [&str; 2] = ["--package", "chaski-shm"];

/// Model checking: every test target with `loom` in its name. Each model is bounded by the tests
/// themselves; all of them take about three minutes on two cores.
pub(crate) fn loom() -> StepResult {
    let mut command = process::cargo(["test", "--release"]);
    command.args(PACKAGE).args(["--test", "*loom*"]);
    command.arg("--target-dir").arg(process::target_dir().join("loom"));
    command.env("RUSTFLAGS", with_flags("--cfg loom"));
    // Optimising the linked test further costs minutes and finds nothing more.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    counted(command)
}

/// The interpreter: the unit tests, and those integration tests that are small enough under it.
pub(crate) fn miri() -> StepResult {
    // Not the cargo of this toolchain: the one on the PATH understands `+nightly`.
    if !process::works(nightly().args(["miri", "--version"])) {
        return Ok(Outcome::Skipped("miri is not installed (rustup +nightly component add miri)"));
    }
    let mut command = nightly();
    command.args(["miri", "test"]).args(PACKAGE);
    command.args(["--lib", "--test", "channels", "--test", "panics", "--test", "torture"]);
    command.arg("--target-dir").arg(process::target_dir().join("miri"));
    // Deadlines and seeds ask for the time of day.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    // To interpret the walk up the stack of each panic that is meant takes seconds.
    command.env("RUST_BACKTRACE", "0");
    counted(command)
}

/// ThreadSanitizer over the stress tests, with a standard library built for it. It knows no fences,
/// but those of the ring order wake-ups, never the bytes of a message, so a race it names is one.
pub(crate) fn tsan() -> StepResult {
    sanitized("thread", |command| {
        command.args(PACKAGE);
        command.args(["--test", "channels", "--test", "torture", "--test", "wakeups"]);
    })
}

/// AddressSanitizer over the victims of hostile peers. The peers spoil themselves too, and may die
/// of it without a report.
pub(crate) fn shm_asan() -> StepResult {
    sanitized("address", |command| {
        command.args(SHM).args(["--test", "hostile"]);
        command.env("ASAN_OPTIONS", "handle_segv=0:handle_sigbus=0:detect_leaks=0");
    })
}

/// The long form of the deaths between processes, optimised: an operation then has a tenth of the
/// instructions, so that each of them gets its turn.
pub(crate) fn shm_kill() -> StepResult {
    let mut command = process::cargo(["test", "--profile", "interop"]);
    command.args(SHM).args(["--features", "kill-points", "--test", "kill"]);
    command.env("CHASKI_KILL_ROUNDS", "10000");
    counted(command)
}

/// Tests under a sanitizer, with a standard library built for it.
fn sanitized(name: &str, choose: impl FnOnce(&mut Command)) -> StepResult {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::Skipped("the sanitizer is set up for x86-64 Linux only"));
    }
    if !has_sources() {
        let why = "the sources of std are missing (rustup +nightly component add rust-src)";
        return Ok(Outcome::Skipped(why));
    }
    let mut command = nightly();
    command.args(["test", "-Zbuild-std", "--target", TARGET]);
    choose(&mut command);
    command.arg("--target-dir").arg(process::target_dir().join(format!("{name}-sanitizer")));
    command.env("RUSTFLAGS", with_flags(&format!("-Zsanitizer={name}")));
    counted(command)
}

/// The cargo on the PATH, of the nightly toolchain.
fn nightly() -> Command {
    let mut command = process::program("cargo");
    command.arg("+nightly");
    command
}

/// Whether the nightly toolchain can build std.
fn has_sources() -> bool {
    let mut rustc = process::program("rustc");
    let Ok(output) = rustc.args(["+nightly", "--print", "sysroot"]).output() else { return false };
    let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let lock = std::path::Path::new(&root).join("lib/rustlib/src/rust/library/Cargo.lock");
    output.status.success() && lock.exists()
}

/// The caller's `RUSTFLAGS` and these.
fn with_flags(flags: &str) -> String {
    let outer = env::var("RUSTFLAGS").unwrap_or_default();
    format!("{outer} {flags}").trim_start().to_owned()
}

fn counted(mut command: Command) -> StepResult {
    process::run_counted(&mut command, Tally::of_cargo).map(Outcome::Ran)
}
