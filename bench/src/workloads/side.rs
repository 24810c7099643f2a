//! The other side of a turn: `bench side CASE WHO`, a process on a core of its own. It dies when
//! its turn does, and a turn whose other side fails dies as well: either would wait for ever.
//! Where a case is about two threads of one process, the other side is the other thread.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Signal, getppid, kill_process, set_parent_process_death_signal};

use super::{machines, processes};
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
    sweep: fn(u32),
    _pinned: Pinned,
}

/// The other side, which ends with this.
#[derive(Debug)]
pub struct Peer {
    pub link: Link,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    Process(Child),
    /// A thread of this process. It cannot be ended: once this is true nobody cares how it fails,
    /// and the process is about to end anyway.
    Thread(Arc<AtomicBool>),
}

/// The directory of a turn, for those who need one.
pub fn turn_dir(turn: u32) -> PathBuf {
    Path::new(DIRECTORIES).join(format!("bench-turn-{turn}"))
}

impl Turn {
    /// `sweep` removes what a turn with its process id leaves behind.
    pub fn begin(
        setup: Setup,
        case: &'static str,
        who: &'static str,
        sweep: fn(u32),
    ) -> Result<Turn> {
        let id = std::process::id();
        fs::DirBuilder::new().mode(0o700).create(turn_dir(id))?;
        let pinned = Pinned::to(setup.cores.map(|cores| cores.client));
        Ok(Turn { setup, case, who, id, sweep, _pinned: pinned })
    }

    /// Starts the other side on the server's core.
    pub fn start(&self) -> Result<Peer> {
        self.start_on(self.setup.cores.map(|cores| cores.server), 0)
    }

    /// Starts one of many clients on the client's core.
    pub fn start_client(&self, number: usize) -> Result<Peer> {
        self.start_on(self.setup.cores.map(|cores| cores.client), number)
    }

    /// Starts the other side as a thread of this process, on the server's core.
    pub fn start_thread(
        &self,
        take_side: impl FnOnce(&Side) -> Result<()> + Send + 'static,
    ) -> Result<Peer> {
        let (link, theirs) = Link::pair(self.id)?;
        let side = Side { link: Link::of_turn(theirs, self.id), number: 0, setup: self.setup };
        let core = self.setup.cores.map(|cores| cores.server);
        let (over, who) = (Arc::new(AtomicBool::new(false)), self.who);
        let nobody_cares = Arc::clone(&over);
        thread::spawn(move || {
            let _pinned = Pinned::to(core);
            if let Err(error) = take_side(&side)
                && !nobody_cares.load(Ordering::Relaxed)
            {
                eprintln!("{who}, the other side: {error:#}");
                std::process::exit(1);
            }
        });
        Ok(Peer { link, runs: Runs::Thread(over) })
    }

    fn start_on(&self, core: Option<usize>, number: usize) -> Result<Peer> {
        let (link, theirs) = Link::pair(self.id)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["side", self.case, self.who]);
        command.args(["--turn", &self.id.to_string(), "--number", &number.to_string()]);
        command.args(core.iter().flat_map(|core| ["--core".to_owned(), core.to_string()]));
        command.args(self.setup.quick.then_some("--quick"));
        command.env("TMPDIR", turn_dir(self.id)).stdin(theirs).stdout(Stdio::null());
        let child = command.spawn().context("a side cannot be started")?;
        Ok(Peer { link, runs: Runs::Process(child) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        (self.sweep)(self.id);
    }
}

impl Peer {
    /// Its process.
    pub fn id(&self) -> u32 {
        match &self.runs {
            Runs::Process(child) => child.id(),
            Runs::Thread(_) => std::process::id(),
        }
    }

    /// Ends it before the turn's own ends are dropped, which it would take for a failure.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        match &mut self.runs {
            Runs::Process(child) => {
                // It may have ended by itself.
                child.kill().ok();
                child.wait().ok();
            }
            Runs::Thread(over) => over.store(true, Ordering::Relaxed),
        }
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
    let mut contests = processes::contests().into_iter().chain(machines::contests());
    let contest = contests.find(|contest| contest.name == args.case);
    contest.context("no such case")?.contestant(&args.who)?.take_side(&side)
}
