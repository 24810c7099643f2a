//! The `chaski` command: one tool for all distances.
//!
//! `args` says what can be typed; one module a command does it. `client` speaks to brokers, `shm`
//! to processes of this machine, `zmq` to sockets of any; `output` prints, `failure` tells a person
//! what went wrong.
#![forbid(unsafe_code)]

mod address;
mod args;
mod bench;
mod bundle;
mod client;
mod complete;
mod dev;
mod doctor;
mod failure;
mod gateway;
mod generate;
mod group;
mod http;
mod inspect;
mod interrupt;
mod json_bytes;
mod lines;
mod output;
mod position;
mod progress;
mod query;
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
mod top;
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
    complete::answer_shell();
    let args = Args::parse();
    let done = match args.command {
        Command::Serve(args) => serve::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Bundle(args) => bundle::run(&args),
        Command::Topic(args) => topic::run(&args),
        Command::Group(args) => group::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Shm(args) => shm::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Keygen(args) => zmq::keygen::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Generate(args) => generate::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
