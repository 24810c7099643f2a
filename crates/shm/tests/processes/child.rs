//! Children: this same program in another role.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::runner::progress;

/// Names the role to the child.
const ROLE: &str = "CHASKI_TEST_ROLE";

/// Roles that may end in any way.
const HOSTILE: [&str; 4] = ["scribbling-client", "scribbling-server", "scribbling-pipe", "bells"];

/// How long a child that has been told to end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The role that this process has, if it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// What the child was told under this name.
pub(crate) fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// As [`told`], a number.
pub(crate) fn told_number<N: std::str::FromStr>(name: &str) -> Option<N> {
    told(name)?.parse().ok()
}

/// A child that is killed when it is dropped, and when this process dies.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Child,
    what: String,
    is_hostile: bool,
}

impl Actor {
    /// Starts a child in a role, with things to tell it.
    pub(crate) fn start(role: &str, told: &[(&str, &str)]) -> Actor {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(ROLE, role).envs(told.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: between fork and exec it makes a system call, and nothing else.
        unsafe { command.pre_exec(die_with_parent) };
        let child = command.spawn().expect("this program starts");
        progress();
        let is_hostile = HOSTILE.contains(&role);
        Actor { child, what: format!("{role} {told:?}"), is_hostile }
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().expect("it was not taken")
    }

    pub(crate) fn stdout(&mut self) -> &mut ChildStdout {
        self.child.stdout.as_mut().expect("it was not taken")
    }

    /// Tells it to end, by closing its input.
    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("it is our child")?;
        progress();
        Some(self.verdict(status))
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Ended {
        let begun = Instant::now();
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            assert!(begun.elapsed() < PATIENCE, "{} does not end", self.what);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Tells it to end, and waits until it has, in good order.
    pub(crate) fn stop(mut self) {
        self.end_input();
        assert_eq!(self.wait(), Ended::Well, "{}", self.what);
    }

    /// Kills it, if it still lives, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Ended {
        // One that has just ended cannot be killed, which is as good.
        let _ = self.child.kill();
        self.wait()
    }

    fn verdict(&self, status: ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            (Some(0), _) => Ended::Well,
            (_, Some(libc::SIGKILL)) => Ended::Killed,
            // They may have spoilt themselves.
            _ if self.is_hostile => Ended::Badly,
            _ => panic!("{} ended with {status}", self.what),
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a child may end. Everything else is a failure of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Killed,
    Badly,
}

/// Whether whoever started this process has closed its input.
pub(crate) fn input_ended() -> bool {
    let mut poll = libc::pollfd { fd: 0, events: 0, revents: 0 };
    // SAFETY: one entry, which is ours.
    let found = unsafe { libc::poll(&mut poll, 1, 0) };
    found == 1 && poll.revents & libc::POLLHUP != 0
}

fn die_with_parent() -> std::io::Result<()> {
    // SAFETY: it takes a number and sets a property of this process.
    let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
