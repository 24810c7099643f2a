//! A turn in a process of its own: `bench turn CASE WHO`. It can be killed when it stalls, which a
//! thread cannot, and every turn starts on a fresh heap, so that no round inherits the luck of
//! another's addresses. It answers with a line for each metric, name and value.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{machines, processes, threads};
use crate::machine::Cores;
use crate::run::{Case, Entrant, Metric, Samples};

/// The slowest turn takes two seconds.
const TURN_MAX: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// After each turn the machine rests for this part of it. The kernel lets real-time threads have
/// only 95 % of a core and would take its share back in the middle of some turn.
const REST_SHARE: u32 = 12;

/// What a killed turn has started dies with it, a moment later.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// All distances whose turns are apart: a turn finds its case in one of them.
const DISTANCES: [Distance; 3] = [threads::APART, processes::APART, machines::APART];

/// A distance whose turns are apart.
#[derive(Debug, Clone, Copy)]
pub struct Distance {
    /// Its cases, with turns that are taken in this process.
    pub cases: fn(Setup) -> Vec<Case>,
    /// All its metrics: a turn reports by name across its process.
    pub metrics: &'static [Metric],
    /// Removes what the turn with this process id, which is over, may have left behind.
    pub sweep: fn(u32),
}

/// What the workloads need to know of this run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Shorter turns, for a look and not for a claim.
    pub quick: bool,
    /// A core for the sending and one for the receiving side; None: nothing is pinned.
    pub cores: Option<Cores>,
}

impl Setup {
    /// About how long one turn measures.
    pub fn turn(&self) -> Duration {
        Duration::from_millis(if self.quick { 40 } else { 100 })
    }
}

/// What a turn needs to be told.
#[derive(Debug, clap::Args)]
pub struct TurnArgs {
    case: String,
    who: String,
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    no_pin: bool,
}

/// The cases of a distance, their turns apart.
pub fn cases(distance: Distance, setup: Setup) -> Vec<Case> {
    (distance.cases)(setup).into_iter().map(|case| apart(distance, case, setup)).collect()
}

fn apart(distance: Distance, case: Case, setup: Setup) -> Case {
    let entrant = |entrant: Entrant| {
        let who = entrant.who.clone();
        Entrant::new(&entrant.who, move || turn_apart(distance, case.name, &who, setup))
    };
    Case { entrants: case.entrants.into_iter().map(entrant).collect(), ..case }
}

/// Takes the one turn and prints what it measured.
pub fn turn(args: &TurnArgs) -> Result<()> {
    end_with_the_first_panic();
    // A turn may spin for ever, and nobody else would end it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let cores = if args.no_pin { None } else { Cores::split() };
    let setup = Setup { quick: args.quick, cores };
    let mut cases = DISTANCES.iter().flat_map(|distance| (distance.cases)(setup));
    let mut case = cases.find(|case| case.name == args.case).context("no such case")?;
    let entrant =
        case.entrants.iter_mut().find(|e| e.who == args.who).context("nobody of that name")?;
    for (metric, value) in (entrant.turn)()? {
        println!("{} {value}", metric.name);
    }
    Ok(())
}

/// A turn of which one thread has panicked would never end, or not be the whole turn.
pub fn end_with_the_first_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(1);
    }));
}

fn turn_apart(distance: Distance, case: &str, who: &str, setup: Setup) -> Result<Samples> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["turn", case, who]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(setup.quick.then_some("--quick"));
    command.args(setup.cores.is_none().then_some("--no-pin"));
    // A group of its own, so that whatever it starts can be killed with it.
    let start = Instant::now();
    let mut child = command.process_group(0).spawn().context("a turn cannot be started")?;
    let turn = child.id();
    let ended = ends_in_time(&child);
    if !matches!(ended, Ok(true)) {
        kill(&mut child)?;
        (distance.sweep)(turn);
        ended?;
        bail!("stalled for {} s", TURN_MAX.tv_sec);
    }
    let output = child.wait_with_output()?;
    (distance.sweep)(turn);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, errors.trim().replace('\n', " "));
    std::thread::sleep(start.elapsed() / REST_SHARE);
    let answer = String::from_utf8(output.stdout)?;
    answer.lines().map(|line| sample(line, distance.metrics)).collect()
}

fn kill(child: &mut Child) -> Result<()> {
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait()?;
    std::thread::sleep(LAST_MOMENT);
    Ok(())
}

/// Sleeps until the process has ended, or has taken too long; whether it ended.
fn ends_in_time(child: &Child) -> Result<bool> {
    let pid = Pid::from_child(child);
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    Ok(poll(&mut ended, Some(&TURN_MAX))? > 0)
}

/// `NAME VALUE` of a known metric.
fn sample(line: &str, metrics: &[Metric]) -> Result<(Metric, f64)> {
    let (name, value) = line.split_once(' ').context("a turn answered without a value")?;
    let metric = metrics.iter().find(|metric| metric.name == name);
    Ok((*metric.with_context(|| format!("no metric {name}"))?, value.parse()?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn answers_are_known_metrics_with_values() {
        let metrics = [Metric::lower("ns_per_msg", "ns")];
        let answer = sample("ns_per_msg 3.25", &metrics).expect("name and value");
        assert_eq!(answer, (metrics[0], 3.25));
        assert!(sample("ns_per_msg", &metrics).is_err());
        assert!(sample("ns_per_msg fast", &metrics).is_err());
        assert!(sample("ns_per_message 3.25", &metrics).is_err());
    }

    #[test]
    fn a_turn_finds_its_case_by_name_alone() {
        let setup = Setup { quick: true, cores: None };
        let names = DISTANCES.iter().flat_map(|distance| (distance.cases)(setup));
        let names: Vec<&str> = names.map(|case| case.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
