//! Running other programs: where they start, what becomes of their output, how failure reads.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::silence;
use crate::tally::Tally;

/// Why a task ended early, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened, one line.
    pub(crate) what: String,
    /// What to do next, one line. May be empty.
    pub(crate) hint: String,
    /// What the program had counted until then.
    pub(crate) tally: Tally,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure { what: what.into(), hint: hint.into(), tally: Tally::default() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.hint.is_empty() {
            write!(f, "\nwhat to do: {}", self.hint)?;
        }
        Ok(())
    }
}

/// The root of the tree: the folder above `xtask`.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs this task, started in the root.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = program(env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(args);
    command
}

/// A program, started in the root.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Runs a program whose output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|e| not_started(command, &e))?;
    succeeded(command, status)
}

/// Runs a program quietly: its output shows only if it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|e| not_started(command, &e))?;
    if !output.status.success() {
        let _ = io::stderr().write_all(&output.stdout);
        let _ = io::stderr().write_all(&output.stderr);
    }
    succeeded(command, output.status)
}

/// Whether a program starts and ends well; nothing of it is shown.
pub(crate) fn works(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program, passes its standard output on as it comes, and counts the tests in it. What
/// says nothing for long is killed.
pub(crate) fn run_counted(
    command: &mut Command,
    count: fn(&str) -> Tally,
) -> Result<Tally, Failure> {
    run_counted_to(&mut io::stdout(), command, count)
}

fn run_counted_to(
    to: &mut impl Write,
    command: &mut Command,
    count: fn(&str) -> Tally,
) -> Result<Tally, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| not_started(command, &e))?;
    let output = silence::tee(&mut child, to, silence::LIMIT);
    let status = child.wait().map_err(|e| not_started(command, &e))?;
    let tally = count(&output.map_err(|e| not_started(command, &e))?);
    match succeeded(command, status) {
        Ok(()) => Ok(tally),
        Err(failure) => Err(Failure { tally, ..failure }),
    }
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` ended with {status}", shown(command)), ""))
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "is it installed and on the PATH?",
        _ => "",
    };
    Failure::new(format!("`{}` did not run: {error}", shown(command)), hint)
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program());
    let name = name.file_name().unwrap_or(command.get_program());
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let failure = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(failure.what.starts_with("`sh -c exit 3` ended with"), "{failure}");
        assert!(failure.what.ends_with('3'), "{failure}");
    }

    #[test]
    fn a_missing_program_says_so() {
        let failure = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(failure.what.contains("did not run"), "{failure}");
        assert!(failure.hint.contains("PATH"), "{failure}");
    }

    #[test]
    fn counts_survive_a_failing_program() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored'; exit 1"]);
        let mut shown = Vec::new();
        let failure = run_counted_to(&mut shown, &mut command, Tally::of_cargo).unwrap_err();
        assert!(shown.starts_with(b"test result"));
        assert_eq!(failure.tally, Tally { passed: 2, failed: 1, skipped: 0 });
    }
}
