//! The other side of a turn: `bench side CASE WHO`, a process on a core of its own. It dies when
//! its turn does, and a turn whose other side fails dies as well: either would wait for ever.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Signal, getppid, kill_process, set_parent_process_death_signal};

use super::contests;
use crate::machine::Pinned;
use crate::rivals::processes::link::Link;
use crate::workloads::apart::{Setup, end_with_the_first_panic};

/// Where turns have their directories; short, because the names of sockets have to be.
const DIRECTORIES: &str = "/tmp";

/// What the other side needs to be told.
#[derive(Debug, clap::Args)]
pub struct SideArgs {
    case: String,
    who: String,
    /// Process id of the turn.
    #[arg(long)]
    turn: u32,
    /// 0, or which of many clients this is.
    #[arg(long)]
    number: usize,
    #[arg(long)]
    core: Option<usize>,
    #[arg(long)]
    quick: bool,
}

/// What the other side knows.
#[derive(Debug)]
pub struct Side {
    /// To the turn.
    pub link: Link,
    /// 0, or which of many clients this is.
    pub number: usize,
    pub setup: Setup,
}

/// A turn under way, on the client's core; its directory goes with it.
pub struct Turn {
    pub setup: Setup,
    case: &'static str,
    who: &'static str,
    id: u32,
    _pinned: Pinned,
}

/// Another process of the turn, which ends with this.
#[derive(Debug)]
pub struct Peer {
    pub link: Link,
    process: Child,
}

/// The directory of a turn, for those who need one.
pub fn turn_dir(turn: u32) -> PathBuf {
    Path::new(DIRECTORIES).join(format!("bench-turn-{turn}"))
}

impl Turn {
    pub fn begin(setup: Setup, case: &'static str, who: &'static str) -> Result<Turn> {
        let id = std::process::id();
        fs::DirBuilder::new().mode(0o700).create(turn_dir(id))?;
        let pinned = Pinned::to(setup.cores.map(|cores| cores.client));
        Ok(Turn { setup, case, who, id, _pinned: pinned })
    }

    /// Starts the other side on the server's core.
    pub fn start(&self) -> Result<Peer> {
        self.start_on(self.setup.cores.map(|cores| cores.server), 0)
    }

    /// Starts one of many clients on the client's core.
    pub fn start_client(&self, number: usize) -> Result<Peer> {
        self.start_on(self.setup.cores.map(|cores| cores.client), number)
    }

    fn start_on(&self, core: Option<usize>, number: usize) -> Result<Peer> {
        let (link, theirs) = Link::pair(self.id)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["side", self.case, self.who]);
        command.args(["--turn", &self.id.to_string(), "--number", &number.to_string()]);
        command.args(core.iter().flat_map(|core| ["--core".to_owned(), core.to_string()]));
        command.args(self.setup.quick.then_some("--quick"));
        command.env("TMPDIR", turn_dir(self.id)).stdin(theirs).stdout(Stdio::null());
        Ok(Peer { link, process: command.spawn().context("a side cannot be started")? })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        super::sweep(self.id);
    }
}

impl Peer {
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it before the turn's own ends are dropped, which it would take for a failure.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Takes the other side's part of the one turn.
pub fn side(args: &SideArgs) -> Result<()> {
    end_with_the_first_panic();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let turn = getppid().filter(|parent| parent.as_raw_nonzero().get() as u32 == args.turn);
    // It may have gone before the signal was asked for.
    let turn = turn.context("the turn is gone")?;
    let _pinned = Pinned::to(args.core);
    if let Err(error) = take_part(args) {
        // Said now: the turn takes this process along.
        eprintln!("{}, the other side: {error:#}", args.who);
        kill_process(turn, Signal::TERM)?;
    }
    Ok(())
}

fn take_part(args: &SideArgs) -> Result<()> {
    let setup = Setup { quick: args.quick, cores: None };
    let link = Link::inherited(args.turn)?;
    let side = Side { link, number: args.number, setup };
    let contests = contests();
    let contest = contests.iter().find(|contest| contest.name == args.case);
    contest.context("no such case")?.contestant(&args.who)?.take_side(&side)
}
