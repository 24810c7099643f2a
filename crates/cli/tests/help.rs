//! Help, completions and manual: all from one definition.

mod common;

use common::chaski;

/// Every command there is.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
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
    &["send"],
    &["recv"],
    &["shm"],
    &["shm", "ls"],
    &["shm", "inspect"],
    &["shm", "top"],
    &["inspect"],
    &["inspect", "segment"],
    &["bench"],
    &["bench", "channel"],
    &["bench", "pool"],
    &["bench", "shm"],
    &["bench", "zmq"],
    &["keygen"],
    &["keygen", "curve"],
    &["keygen", "public"],
    &["completions"],
    &["man"],
];

#[test]
fn the_help_of_every_command_names_an_example() {
    for command in COMMANDS {
        let help = chaski(&[command, &["--help"][..]].concat()).ok().stdout;
        let name = ["chaski"].iter().chain(*command).copied().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("Usage: {name}")), "{help}");
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        assert!(examples.contains(&name), "{help}");
        assert!(!help.contains('\x1b'), "colour without a terminal: {help}");
    }
}

#[test]
fn the_help_names_the_exit_codes() {
    let help = chaski(&["--help"]).ok().stdout;
    for code in ["  0  done", "  1  failed", "  2  called wrongly", "  3  the broker"] {
        assert!(help.contains(code), "{help}");
    }
    chaski(&["toipc"]).fails(2, &["'topic'"]);
    assert!(chaski(&["--version"]).ok().stdout.starts_with("chaski "));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = chaski(&["completions", shell]).ok().stdout;
        assert!(script.contains("if-not-exists"), "{shell}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("man1");
    chaski(&["man", man.to_str().unwrap()]).ok();
    for command in COMMANDS {
        let name = ["chaski"].iter().chain(*command).copied().collect::<Vec<_>>().join("-");
        let page = std::fs::read_to_string(man.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH"), "{name}");
    }
}
