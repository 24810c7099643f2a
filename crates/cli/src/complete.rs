//! Completing what is typed in a shell, with the names that are there now.
//!
//! A shell asks by running the program with the variable COMPLETE and the words typed so far
//! (`chaski generate completions` prints what makes it do so). It waits for the answer, so whoever
//! is asked for names has [`PATIENCE`] to tell them; without an answer there are none.

use std::ffi::OsStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::address::Address;
use crate::args::Args;
use crate::client::Client;
use crate::gateway;

/// How long a person who pressed Tab is made to wait for names.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names offered at most.
const NAMES_MAX: usize = 1_000;
const KAFKA: &str = "kafka://";

/// Answers a shell that asks, and ends; else returns at once.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(Args::command).complete();
}

/// Names of topics.
pub(crate) fn topics() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        named(typed, broker(), |client| {
            let topics = client.topics().unwrap_or_default();
            topics.into_iter().map(|topic| topic.name).collect()
        })
    })
}

/// Names of consumer groups.
pub(crate) fn groups() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        named(typed, broker(), |client| client.group_names().unwrap_or_default())
    })
}

/// URLs of topics and services: the start of one that has none, the names where there is a start.
pub(crate) fn urls() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let Some(text) = typed.to_str() else { return Vec::new() };
        if let Some((host, _)) = text.strip_prefix(KAFKA).and_then(|rest| rest.split_once('/')) {
            let start = format!("{KAFKA}{host}/");
            let Ok(address) = host.parse() else { return Vec::new() };
            return named(typed, Some(address), move |client| {
                let topics = client.topics().unwrap_or_default();
                topics.into_iter().map(|topic| format!("{start}{}", topic.name)).collect()
            });
        }
        if text.starts_with("shm://") {
            let urls = in_time(bound).into_iter().map(|name| format!("shm://{name}"));
            return beginning(typed, urls.collect());
        }
        let broker = broker().map_or_else(String::new, |address| format!("{KAFKA}{address}/"));
        beginning(typed, vec![broker, "shm://".to_owned(), "zmq+tcp://".to_owned()])
    })
}

/// Names of gateways.
pub(crate) fn gateways() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| beginning(typed, in_time(gateway::names)))
}

/// Names of services in shared memory.
pub(crate) fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| beginning(typed, in_time(bound)))
}

/// What a broker names, if it answers in time.
fn named(
    typed: &OsStr,
    broker: Option<Address>,
    names: impl FnOnce(&mut Client) -> Vec<String> + Send + 'static,
) -> Vec<CompletionCandidate> {
    let Some(address) = broker else { return Vec::new() };
    let ask = move || Client::connect(&address).map(|mut client| names(&mut client));
    beginning(typed, in_time(|| ask().unwrap_or_default()))
}

/// The names, or none if it takes too long: who asks is left behind, since the process ends soon.
fn in_time(names: impl FnOnce() -> Vec<String> + Send + 'static) -> Vec<String> {
    let (told, names_told) = mpsc::channel();
    thread::spawn(move || drop(told.send(names())));
    names_told.recv_timeout(PATIENCE).unwrap_or_default()
}

/// The names that go on from what was typed.
fn beginning(typed: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let fits = |name: &String| !name.is_empty() && name.starts_with(typed);
    names.into_iter().filter(fits).take(NAMES_MAX).map(CompletionCandidate::new).collect()
}

/// The broker that the words typed so far name, else the one that is asked without.
fn broker() -> Option<Address> {
    let typed = option("--broker").or_else(|| std::env::var("CHASKI_BROKER").ok());
    typed.unwrap_or_else(|| "127.0.0.1".to_owned()).parse().ok()
}

/// The value of an option among the words typed so far.
pub(crate) fn option(name: &str) -> Option<String> {
    let words: Vec<String> = std::env::args().collect();
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(name)? {
        "" => words.get(at + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

/// Services that somebody is bound to.
#[cfg(target_os = "linux")]
fn bound() -> Vec<String> {
    let found = chaski_shm::survey::list_in(&chaski_shm::directory()).unwrap_or_default();
    found.into_iter().map(|service| service.name).collect()
}

#[cfg(not(target_os = "linux"))]
fn bound() -> Vec<String> {
    Vec::new()
}
