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
            return beginning(typed, services());
        }
        let broker = broker().map_or_else(String::new, |address| format!("{KAFKA}{address}/"));
        beginning(typed, vec![broker, "shm://".to_owned(), "zmq+tcp://".to_owned()])
    })
}

/// What a broker names, if it answers in time.
fn named(
    typed: &OsStr,
    broker: Option<Address>,
    names: impl FnOnce(&mut Client) -> Vec<String> + Send + 'static,
) -> Vec<CompletionCandidate> {
    let Some(address) = broker else { return Vec::new() };
    let (told, names_told) = mpsc::channel();
    // Left behind when it takes too long: the process ends soon.
    thread::spawn(move || {
        let found = Client::connect(&address).map(|mut client| names(&mut client));
        let _ = told.send(found.unwrap_or_default());
    });
    beginning(typed, names_told.recv_timeout(PATIENCE).unwrap_or_default())
}

/// The names that go on from what was typed.
fn beginning(typed: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let fits = |name: &String| !name.is_empty() && name.starts_with(typed);
    names.into_iter().filter(fits).take(NAMES_MAX).map(CompletionCandidate::new).collect()
}

/// The broker that the words typed so far name, else the one that is asked without.
fn broker() -> Option<Address> {
    let words: Vec<String> = std::env::args().collect();
    let typed = words.iter().enumerate().find_map(|(at, word)| match word.as_str() {
        "--broker" => words.get(at + 1).cloned(),
        word => word.strip_prefix("--broker=").map(str::to_owned),
    });
    let typed = typed.or_else(|| std::env::var("CHASKI_BROKER").ok());
    typed.unwrap_or_else(|| "127.0.0.1".to_owned()).parse().ok()
}

#[cfg(target_os = "linux")]
fn services() -> Vec<String> {
    let found = chaski_shm::survey::list_in(&chaski_shm::directory()).unwrap_or_default();
    found.into_iter().map(|service| format!("shm://{}", service.name)).collect()
}

#[cfg(not(target_os = "linux"))]
fn services() -> Vec<String> {
    Vec::new()
}
