//! A turn in a process of its own: `bench turn CASE WHO`. It can be killed when it stalls, which a
//! thread cannot, and every turn starts on a fresh heap, so that no round inherits the luck of
//! another's addresses. It answers with a line for each metric, name and value.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::{METRICS, Setup};
use crate::machine::Cores;
use crate::run::{Case, Entrant, Metric, Samples};

/// The slowest turn takes two seconds.
const TURN_MAX: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// After each turn the machine rests for this part of it. The kernel lets real-time threads have
/// only 95 % of a core and would take its share back in the middle of some turn.
const REST_SHARE: u32 = 12;

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

/// The same case, its turns apart.
pub(super) fn apart(case: Case, setup: Setup) -> Case {
    let entrant = |entrant: Entrant| {
        let who = entrant.who.clone();
        Entrant::new(&entrant.who, move || turn_apart(case.name, &who, setup))
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
    let mut cases = super::cases_in_this_process(setup);
    let case = cases.iter_mut().find(|case| case.name == args.case).context("no such case")?;
    let entrant =
        case.entrants.iter_mut().find(|e| e.who == args.who).context("nobody of that name")?;
    for (metric, value) in (entrant.turn)()? {
        println!("{} {value}", metric.name);
    }
    Ok(())
}

/// A turn of which one thread has panicked would never end, or not be the whole turn.
fn end_with_the_first_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(1);
    }));
}

fn turn_apart(case: &str, who: &str, setup: Setup) -> Result<Samples> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["turn", case, who]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(setup.quick.then_some("--quick"));
    command.args(setup.cores.is_none().then_some("--no-pin"));
    let mut child = command.spawn().context("a turn cannot be started")?;
    if !ends_in_time(&child)? {
        child.kill()?;
        child.wait()?;
        bail!("stalled for {} s", TURN_MAX.tv_sec);
    }
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, errors.trim().replace('\n', " "));
    std::thread::sleep(setup.turn() / REST_SHARE);
    String::from_utf8(output.stdout)?.lines().map(sample).collect()
}

/// Sleeps until the process has ended, or has taken too long; whether it ended.
fn ends_in_time(child: &Child) -> Result<bool> {
    let pid = Pid::from_child(child);
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    Ok(poll(&mut ended, Some(&TURN_MAX))? > 0)
}

/// `NAME VALUE` of a known metric.
fn sample(line: &str) -> Result<(Metric, f64)> {
    let (name, value) = line.split_once(' ').context("a turn answered without a value")?;
    let metric = METRICS.iter().find(|metric| metric.name == name);
    Ok((*metric.with_context(|| format!("no metric {name}"))?, value.parse()?))
}

#[cfg(test)]
mod tests {
    use super::super::NS_PER_MSG;
    use super::*;

    #[test]
    fn answers_are_known_metrics_with_values() {
        let answer = sample("ns_per_msg 3.25").expect("name and value");
        assert_eq!(answer, (NS_PER_MSG, 3.25));
        assert!(sample("ns_per_msg").is_err());
        assert!(sample("ns_per_msg fast").is_err());
        assert!(sample("ns_per_message 3.25").is_err());
    }
}
