//! A server under test: a child process with its own data directory, on its own core, whose memory
//! and processor time are read from `/proc`.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::machine::Pinned;

/// How long a server may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(30);

/// Pause between two attempts to connect to a server that starts; the resolution of `accept_ms`.
const START_POLL: Duration = Duration::from_micros(100);

/// What to start. Arguments may hold `{port}`, `{http}` and `{data}`.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The core the whole process is kept on.
    pub core: Option<usize>,
}

/// A running server; killed when dropped.
pub struct Server {
    pub address: SocketAddr,
    /// Time from exec to the first accepted connection.
    pub accepted_after: Duration,
    /// When exec was called.
    pub started: Instant,
    child: Child,
    data: TempDir,
    launch: Launch,
}

impl Server {
    /// Starts a server on an empty directory below `parent` and waits until it accepts.
    pub fn start(launch: Launch, parent: &Path) -> Result<Server> {
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?;
        Server::start_in(launch, data)
    }

    /// Starts a server on a directory that an earlier one has left.
    pub fn start_in(launch: Launch, data: TempDir) -> Result<Server> {
        let (port, http) = (free_port()?, free_port()?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let path = data.path().to_str().context("the data directory's name is not UTF-8")?;
        let args: Vec<String> = launch
            .args
            .iter()
            .map(|arg| {
                arg.replace("{port}", &port.to_string())
                    .replace("{http}", &http.to_string())
                    .replace("{data}", path)
            })
            .collect();
        let log = File::create(data.path().join("server.log"))?;
        let mut command = Command::new(&launch.program);
        command.args(&args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.current_dir(data.path());
        let pinned = Pinned::to(launch.core);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        drop(pinned);
        let accepted_after = Duration::ZERO;
        let mut server = Server { address, accepted_after, started, child, data, launch };
        server.wait_until_accepting()?;
        Ok(server)
    }

    /// Ends the process at once (SIGKILL) and keeps its directory.
    pub fn kill(mut self) -> Result<(Launch, TempDir)> {
        self.child.kill()?;
        self.child.wait()?;
        // The fields cannot move out of a type with a Drop, so an empty directory takes the place.
        let data = std::mem::replace(&mut self.data, tempfile::tempdir()?);
        Ok((self.launch.clone(), data))
    }

    /// Seconds of processor time used so far, user and system, all threads.
    pub fn cpu_seconds(&self) -> f64 {
        // proc_pid_stat(5): utime and stime are fields 14 and 15, the name in parentheses field 2.
        let stat = self.proc("stat");
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// Resident bytes now, and at their highest.
    pub fn resident_bytes(&self) -> (u64, u64) {
        let status = self.proc("status");
        let field = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap_or("");
            let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
            kib.unwrap_or(0) * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    fn wait_until_accepting(&mut self) -> Result<()> {
        loop {
            if TcpStream::connect(self.address).is_ok() {
                self.accepted_after = self.started.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.launch.program.display(), self.log_tail());
            }
            if self.started.elapsed() > START_MAX {
                let limit = START_MAX.as_secs();
                bail!("not accepting after {limit} s: {}", self.log_tail());
            }
            std::thread::sleep(START_POLL);
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.data.path().join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
