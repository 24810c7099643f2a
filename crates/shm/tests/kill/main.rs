//! Death at any instruction: real processes that are killed, and an account of every message.
//!
//! A server and its clients exchange requests whose every byte can be checked. One of them is
//! killed: at each named step of the sources (`step::step`, for the 1st, 2nd, 3rd and 17th time),
//! at random times, and between any two instructions of an operation, with the help of ptrace. The
//! others live in this process, so that what they hold can be counted.
//!
//! ```text
//!   this process                        children, the same program in another role
//!     three clients             <--->     a server, killed; the next; ...
//!     a server                  <--->     a client, killed; the next; ...
//!                               <--->     a client that lives, and keeps asking
//! ```
//!
//! Everybody appends to one journal: a client what it sent and what it was told, a server what it
//! is about to answer. From it follows, for each request:
//!
//! - it is answered, in doubt, or not taken: one of them, once, if its client lives;
//! - it was worked on at most once, however many servers it was offered to;
//! - if it was answered it was worked on, and if it was not taken it was not.
//!
//! Beyond that: no file but a stale socket, no descriptor, no mapping, no growth.
//!
//! `CHASKI_KILL_ROUNDS` says how many deaths at random times; 10,000 make the nightly form, in
//! which every instruction of an operation gets its turn. `CHASKI_SEED` repeats a run's dice.

#[path = "../processes/mod.rs"]
mod processes;

mod account;
mod asking;
mod client_dies;
mod deaths;
mod gate;
mod patterns;
mod server_dies;
mod serving;
mod steps;
mod traced;
mod tracing;

use std::process::ExitCode;

use processes::child;
use processes::runner::{self, Test};

/// The name of the service.
const NAME: &str = "victim";

/// Deaths at random times, in all.
fn rounds() -> usize {
    child::told_number("CHASKI_KILL_ROUNDS").unwrap_or(300)
}

/// Whether this is the long form.
fn is_nightly() -> bool {
    rounds() >= 10_000
}

/// Who dies at each step of the sources.
const AT_EVERY_STEP: [Test; 9] = [
    ("a_server_may_die_at_every_step", deaths::at_every_step::<server_dies::Stage>),
    ("a_client_may_die_at_every_step", deaths::at_every_step::<client_dies::Stage>),
    ("senders_may_die_at_every_step", patterns::senders),
    ("workers_may_die_at_every_step", patterns::workers),
    ("publishers_may_die_at_every_step", patterns::publishers),
    ("subscribers_may_die_at_every_step", patterns::subscribers),
    ("notifiers_may_die_at_every_step", patterns::notifiers),
    ("those_who_connect_a_pipe_may_die_at_every_step", patterns::pipes),
    ("those_who_listen_for_pipes_may_die_at_every_step", patterns::pipe_listeners),
];

/// What is known after these, and deaths of other kinds.
const OTHERS: [Test; 6] = [
    ("every_step_was_somebodys_last", steps::all_were_fatal),
    ("a_server_may_die_at_any_time", deaths::at_any_time::<server_dies::Stage>),
    ("a_client_may_die_at_any_time", deaths::at_any_time::<client_dies::Stage>),
    ("who_finds_no_other_server_is_told", server_dies::nobody_comes),
    ("a_server_may_die_at_any_instruction", traced::server),
    ("a_client_may_die_at_any_instruction", traced::client),
];

fn main() -> ExitCode {
    match child::role().as_deref() {
        None => {}
        Some("serve") => return serving::role(),
        Some("ask") => return asking::role(),
        Some(
            name
            @ ("push" | "pull" | "publish" | "subscribe" | "notify" | "pipe" | "pipe-listener"),
        ) => {
            return patterns::role(name);
        }
        Some(other) => panic!("no role {other}"),
    }
    runner::run(&[&AT_EVERY_STEP[..], &OTHERS].concat())
}
