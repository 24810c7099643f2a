//! Death between any two instructions: the victim is stepped into an operation, and killed there.
//!
//! ```text
//!   child                        this process
//!     at the gate        ---->     takes the thread
//!     waits              <----     lets it go, one instruction at a time
//!     the operation ...            counts, and kills it after some of them
//!     behind the gate              finds it asleep: so long is the operation
//! ```
//!
//! The operations of the background thread, which greets and dials, begin when the main thread has
//! given it something to do.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use super::deaths::Stage as _;
use super::processes::child::{Actor, Ended};
use super::processes::dice::Dice;
use super::processes::runner::progress;
use super::tracing::{Tracee, thread_named};
use super::{client_dies, gate, is_nightly, server_dies};

/// The thread in the background.
const DOORMAN: &str = "chaski-doorman";

/// The most instructions that are run in one operation.
const INSTRUCTIONS_MAX: usize = 20_000;

/// As many in the nightly form.
const INSTRUCTIONS_MAX_NIGHTLY: usize = 100_000;

/// How many deaths an operation gets here. In the nightly form it is one at each of its
/// instructions, if there are no more than that, and else so many, evenly spread.
const DEATHS: usize = 5;
const LENGTH_MAX: usize = 5000;
const DEATHS_SPREAD: usize = 1000;

/// An operation to die in.
struct Operation {
    /// Where its gate is, see `gate`.
    gate: &'static str,
    /// Of the main thread, or the one in the background.
    thread: Option<&'static str>,
}

const SERVER: [Operation; 4] = [
    Operation { gate: "bind:1", thread: None },
    Operation { gate: "greet:1", thread: Some(DOORMAN) },
    Operation { gate: "recv:3", thread: None },
    Operation { gate: "reply:3", thread: None },
];

const CLIENT: [Operation; 4] = [
    Operation { gate: "connect:1", thread: None },
    Operation { gate: "connect:2", thread: Some(DOORMAN) },
    Operation { gate: "send:5", thread: None },
    Operation { gate: "recv:3", thread: None },
];

/// In each operation of a server.
pub(crate) fn server() {
    let mut stage = server_dies::Stage::new(Dice::thrown_for("any_instruction"));
    for operation in SERVER {
        let mut dice = stage.dice.clone();
        let done = operation.deaths(&mut dice, |limit| {
            let mut victim = stage.enter(&[("CHASKI_GATE", operation.gate)]);
            let ran = operation.run(&mut victim, limit, || stage.ask());
            drop(victim);
            if stage.deaths().is_multiple_of(8) {
                stage.settle(operation.gate);
            }
            ran
        });
        if !done {
            return;
        }
        stage.settle(operation.gate);
    }
    stage.end();
}

/// In each operation of a client.
pub(crate) fn client() {
    let mut stage = client_dies::Stage::new(Dice::thrown_for("any_instruction"));
    for operation in CLIENT {
        let mut dice = stage.dice.clone();
        let done = operation.deaths(&mut dice, |limit| {
            let mut victim = stage.enter(&[("CHASKI_GATE", operation.gate)]);
            let ran = operation.run(&mut victim, limit, || stage.serve());
            drop(victim);
            stage.died();
            stage.settle(operation.gate);
            ran
        });
        if !done {
            return;
        }
    }
    stage.end();
}

impl Operation {
    /// Dies after each of some numbers of instructions; false if that is not permitted here.
    fn deaths(&self, dice: &mut Dice, mut die: impl FnMut(usize) -> io::Result<usize>) -> bool {
        let max = if is_nightly() { INSTRUCTIONS_MAX_NIGHTLY } else { INSTRUCTIONS_MAX };
        let mut length = match die(max) {
            // On a machine that has no time for it, the first instruction is taken for a sleep.
            Ok(length) => length.max(1),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                println!("SKIPPED: ptrace is not permitted here, nobody dies between instructions");
                return false;
            }
            Err(error) => panic!("{}: {error}", self.gate),
        };
        let deaths = match is_nightly() {
            false => DEATHS,
            true if length <= LENGTH_MAX => length,
            true => DEATHS_SPREAD,
        };
        for n in 0..deaths {
            let limit = match is_nightly() {
                true => n * length / deaths,
                false => dice.below(length),
            };
            let ran = die(limit).unwrap_or_else(|error| panic!("{}: {error}", self.gate));
            length = length.max(ran);
        }
        println!("{}: {deaths} deaths within {length} instructions", self.gate);
        true
    }

    /// Lets the victim come to the gate, runs so much of the operation, and kills it there.
    fn run(&self, victim: &mut Actor, limit: usize, mut each: impl FnMut()) -> io::Result<usize> {
        not_blocking(victim);
        while !has_come(victim) {
            each();
            assert!(victim.ended().is_none(), "{}: it ended on its way", self.gate);
        }
        let process = victim.id();
        let thread = match self.thread {
            None => process,
            Some(name) => thread_named(process, name),
        };
        let tracee = Tracee::seize(process, thread)?;
        victim.stdin().write_all(&[gate::AT_THE_GATE])?;
        let ran = tracee.run(limit)?;
        tracee.kill();
        assert_eq!(victim.wait(), Ended::Killed);
        progress();
        Ok(ran)
    }
}

fn has_come(victim: &mut Actor) -> bool {
    let mut byte = [0];
    match victim.stdout().read(&mut byte) {
        Ok(1) => byte == [gate::AT_THE_GATE],
        _ => false,
    }
}

fn not_blocking(victim: &mut Actor) {
    let fd = victim.stdout().as_raw_fd();
    // SAFETY: a number, and a descriptor of ours.
    let done = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(done, 0);
}
