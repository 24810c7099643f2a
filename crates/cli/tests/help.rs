//! Help, manual, completions and exit codes: what is said of the commands is so.

mod common;

use std::collections::BTreeSet;
use std::io::PipeWriter;
use std::path::Path;
use std::time::Duration;

use common::{Broker, Outcome, Process, chaski, command, finish, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

/// Every command there is.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["dev"],
    &["topic"],
    &["topic", "create"],
    &["topic", "list"],
    &["topic", "describe"],
    &["topic", "alter"],
    &["topic", "delete"],
    &["group"],
    &["group", "list"],
    &["group", "describe"],
    &["group", "reset"],
    &["group", "delete"],
    &["gateway"],
    &["gateway", "list"],
    &["gateway", "describe"],
    &["gateway", "add"],
    &["gateway", "remove"],
    &["send"],
    &["recv"],
    &["shm"],
    &["shm", "ls"],
    &["shm", "inspect"],
    &["shm", "top"],
    &["top"],
    &["inspect"],
    &["inspect", "segment"],
    &["inspect", "index"],
    &["inspect", "shm"],
    &["inspect", "limits"],
    &["doctor"],
    &["bundle"],
    &["bench"],
    &["bench", "channel"],
    &["bench", "pool"],
    &["bench", "shm"],
    &["bench", "zmq"],
    &["keygen"],
    &["keygen", "curve"],
    &["keygen", "public"],
    &["generate"],
    &["generate", "grafana"],
    &["generate", "prometheus"],
    &["generate", "systemd"],
    &["generate", "completions"],
    &["generate", "man"],
];

/// What the help is held against. `CHASKI_SNAPSHOTS=write` writes it anew, to be looked at.
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/help.txt");

/// Help as everybody sees it: in a terminal of 100 columns, with nothing in the environment.
fn help(words: &[&str]) -> String {
    let args = [words, &["--help"]].concat();
    let mut process = Process::start(command(&args).env_clear().env("COLUMNS", "100"));
    drop(process.stdin.take());
    finish(process).ok().stdout
}

fn name(words: &[&str], between: &str) -> String {
    ["chaski"].iter().chain(words).copied().collect::<Vec<_>>().join(between)
}

#[test]
fn the_help_of_every_command_names_an_example() {
    for command in COMMANDS {
        let (help, name) = (help(command), name(command, " "));
        assert!(help.contains(&format!("Usage: {name}")), "{help}");
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        assert!(examples.contains(&name), "{help}");
        assert!(!help.contains('\x1b'), "colour without a terminal: {help}");
    }
}

#[test]
fn the_help_is_what_was_looked_at() {
    let now: String = COMMANDS
        .iter()
        .map(|command| format!("==== {} ====\n{}\n", name(command, " "), help(command)))
        .collect();
    if std::env::var("CHASKI_SNAPSHOTS").as_deref() == Ok("write") {
        std::fs::create_dir_all(Path::new(SNAPSHOT).parent().unwrap()).unwrap();
        return std::fs::write(SNAPSHOT, now).unwrap();
    }
    let then = std::fs::read_to_string(SNAPSHOT).unwrap();
    for (at, (then, now)) in then.lines().zip(now.lines()).enumerate() {
        assert_eq!(now, then, "line {}; CHASKI_SNAPSHOTS=write takes it over", at + 1);
    }
    assert_eq!(then.len(), now.len(), "CHASKI_SNAPSHOTS=write takes it over");
}

#[test]
fn a_slip_in_a_verb_or_an_option_is_met_with_what_was_meant() {
    for (words, meant) in [
        (&["toipc"][..], "'topic'"),
        (&["docter"], "'doctor'"),
        (&["gateway", "lsit"], "'list'"),
        (&["generate", "grafna"], "'grafana'"),
        (&["topic", "create", "x", "--partitons", "3"], "'--partitions'"),
        (&["top", "--onec"], "'--once'"),
        (&["dev", "--snippets", "pyton"], "'python'"),
        (&["topic", "list", "-o", "jsno"], "'json'"),
    ] {
        chaski(words).fails(2, &[meant]);
    }
}

/// The codes that the help documents.
fn documented() -> BTreeSet<i32> {
    let help = help(&[]);
    let (_, codes) = help.split_once("Exit codes:\n").expect("exit codes");
    codes.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn every_exit_code_that_is_documented_occurs() {
    let occur = [
        chaski(&["--version"]).code,
        chaski(&["inspect", "segment", "/no/such/path"]).code,
        chaski(&["toipc"]).code,
        chaski(&["topic", "list", "--broker", "127.0.0.1:1"]).code,
        interrupted_twice().code,
    ];
    assert_eq!(BTreeSet::from(occur), documented());
}

/// A reader that is told to end, and cannot, for nobody takes what it prints; and is told again.
fn interrupted_twice() -> Outcome {
    let broker = Broker::start();
    // More than a pipe holds.
    broker.send("t", &"x\n".repeat(100_000));
    let (_unread, printed) = std::io::pipe().unwrap();
    let output = printed.try_clone().unwrap();
    let mut reader = Process::start(command(&["recv", &broker.url("t")]).stdout(output));
    // As long as there is room, the reader may yet see that it is to end.
    while has_room(&printed) {
        assert!(reader.try_wait().unwrap().is_none(), "it ended before it was told to");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&reader, Signal::INT);
    while reader.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
        signal(&reader, Signal::TERM);
    }
    finish(reader)
}

fn has_room(pipe: &PipeWriter) -> bool {
    let mut polled = [PollFd::new(pipe, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec::default())).unwrap() > 0
}

#[test]
fn every_shell_is_told_how_to_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = chaski(&["generate", "completions", shell]).ok().stdout;
        assert!(script.contains("COMPLETE") && script.contains("chaski"), "{shell}: {script}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("man1");
    chaski(&["generate", "man", man.to_str().unwrap()]).ok();
    let pages = std::fs::read_dir(&man).unwrap().map(|entry| entry.unwrap().file_name());
    let pages: BTreeSet<String> = pages.map(|name| name.into_string().unwrap()).collect();
    // Of `help` itself nobody asks for a page.
    let pages: BTreeSet<String> =
        pages.into_iter().filter(|page| !page.contains("-help")).collect();
    let expected = COMMANDS.iter().map(|words| format!("{}.1", name(words, "-"))).collect();
    assert_eq!(pages, expected);
    let page = std::fs::read_to_string(man.join("chaski-top.1")).unwrap();
    assert!(page.contains(".TH"), "{page}");
}
