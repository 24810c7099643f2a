//! The `chaski` command: one tool for all distances.
//!
//! `args` says what can be typed; one module a command does it. `client` speaks to brokers, `shm`
//! to processes of this machine, `zmq` to sockets of any; `output` prints, `failure` tells a person
//! what went wrong.
#![forbid(unsafe_code)]

mod address;
mod args;
mod bench;
mod client;
mod failure;
mod group;
mod inspect;
mod interrupt;
mod json_bytes;
mod lines;
mod output;
mod pages;
mod position;
mod progress;
mod question;
mod recv;
mod send;
mod serve;
mod service;
#[cfg(target_os = "linux")]
mod shm;
#[cfg(not(target_os = "linux"))]
#[path = "shm_elsewhere.rs"]
mod shm;
mod start;
mod table;
mod topic;
#[cfg(target_os = "linux")]
mod zmq;
#[cfg(not(target_os = "linux"))]
#[path = "zmq_elsewhere.rs"]
mod zmq;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Serve(args) => serve::run(&args),
        Command::Topic(args) => topic::run(&args),
        Command::Group(args) => group::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Shm(args) => shm::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Keygen(args) => zmq::keygen::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
