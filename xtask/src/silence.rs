//! A test run that says nothing for long hangs. What hangs is named and killed, so that the run
//! goes on with what is left, and ends red with a name instead of never.
//!
//! The programs that a silent one has started are killed first: with `cargo test` that is the test
//! binary, and cargo goes on with the next. What has started nothing is killed itself.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Many times what the longest test takes, on a machine that does much else.
pub(crate) const LIMIT: Duration = Duration::from_secs(8 * 60);

/// Copies the standard output of `child`, which is piped, to `to` as it comes, and returns it all.
pub(crate) fn tee(child: &mut Child, to: &mut impl Write, limit: Duration) -> io::Result<String> {
    let Some(mut from) = child.stdout.take() else { return Ok(String::new()) };
    let (sender, said) = mpsc::channel();
    // Ends with the pipe, or with the receiver.
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut seen = Vec::new();
    loop {
        match said.recv_timeout(limit) {
            Ok(bytes) => {
                seen.extend_from_slice(&bytes);
                to.write_all(&bytes)?;
                to.flush()?;
            }
            Err(RecvTimeoutError::Timeout) => end(child.id(), limit),
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(String::from_utf8_lossy(&seen).into_owned());
            }
        }
    }
}

/// Kills what `child` has started, or `child`, and says what it was.
fn end(child: u32, limit: Duration) {
    eprintln!("\nnothing was said for {} s; killed, with the threads they had:", limit.as_secs());
    let started = descendants(child);
    let doomed = if started.is_empty() { vec![child] } else { started };
    for pid in &doomed {
        eprintln!("  {pid} {}\n    {}", command_line(*pid), threads(*pid).join(", "));
    }
    let pids = doomed.iter().map(u32::to_string);
    // The shell's own: a program of that name is not on every machine. What has ended meanwhile
    // makes it complain, which is of no interest.
    let _ = Command::new("sh").args(["-c", "kill -KILL \"$@\"", "kill"]).args(pids).output();
}

/// Processes below this one. None where there is no `/proc`.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = numbers("/proc").into_iter().filter_map(with_parent).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

fn with_parent(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A name in parentheses, which may hold anything, then the state, then the parent.
    let (_, rest) = stat.rsplit_once(')')?;
    Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned()
}

/// Their names: libtest gives each thread the name of its test, cut to fifteen bytes.
fn threads(pid: u32) -> Vec<String> {
    let name = |tid| fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).ok();
    let tasks = numbers(&format!("/proc/{pid}/task"));
    tasks.into_iter().filter_map(name).map(|name| name.trim_end().to_owned()).take(64).collect()
}

/// Entries of a directory whose names are numbers.
fn numbers(dir: &str) -> Vec<u32> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    fn start(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn what_a_silent_program_started_is_killed_and_it_goes_on() {
        let mut child = start("echo a; sleep 1000; echo b; exit 3");
        let mut shown = Vec::new();
        let said = tee(&mut child, &mut shown, Duration::from_secs(3)).unwrap();
        assert_eq!((said.as_str(), shown.as_slice()), ("a\nb\n", &b"a\nb\n"[..]));
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn a_silent_program_alone_is_killed_itself() {
        let mut child = start("exec sleep 1000");
        assert_eq!(tee(&mut child, &mut Vec::new(), Duration::from_secs(3)).unwrap(), "");
        assert_eq!(child.wait().unwrap().code(), None);
    }
}
