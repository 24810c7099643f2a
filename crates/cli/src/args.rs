//! What can be typed: one definition for parsing, help, completions and man pages.
//!
//! One file a command. Every command ends its help with examples, and a test parses each of them.

mod bench;
mod bundle;
mod dev;
mod doctor;
mod gateway;
mod generate;
mod group;
mod http;
mod inspect;
mod keygen;
mod recv;
mod security;
mod send;
mod serve;
mod shm;
mod top;
mod topic;

use clap::{Parser, Subcommand};

pub(crate) use bench::{
    Bench, BenchChannel, BenchPool, BenchShm, BenchZmq, ExtentArg, KindName, PartitionerName,
    ShmWaitName, Size, WaitName,
};
pub(crate) use bundle::Bundle;
pub(crate) use dev::{Dev, Language};
pub(crate) use doctor::Doctor;
pub(crate) use gateway::{Gateway, GatewayAdd, GatewayRemove};
pub(crate) use generate::{Generate, GenerateCompletions, GenerateMan, GenerateSystemd};
pub(crate) use group::{Group, GroupDelete, GroupDescribe, GroupList, GroupReset};
pub(crate) use http::HttpArg;
pub(crate) use inspect::{Inspect, InspectIndex, InspectLimits, InspectSegment, InspectShm};
pub(crate) use keygen::{Keygen, KeygenCurve, KeygenPublic};
pub(crate) use recv::{Recv, RecvFormat};
pub(crate) use security::SecurityArgs;
pub(crate) use send::{Acks, CodecName, Send};
pub(crate) use serve::Serve;
pub(crate) use shm::{DirArg, Shm, ShmInspect, ShmLs, ShmTop};
pub(crate) use top::Top;
pub(crate) use topic::{Topic, TopicAlter, TopicCreate, TopicDelete, TopicDescribe, TopicList};

use crate::address::Address;
use crate::output::Format;

/// Messages at four distances: threads, processes, machines, time.
#[derive(Debug, Parser)]
#[command(name = "chaski", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  chaski dev
  chaski serve
  echo hello | chaski send kafka://127.0.0.1:9092/greetings
  chaski recv kafka://127.0.0.1:9092/greetings --from earliest
  chaski topic list
  chaski top
  chaski doctor
  chaski recv shm://lines
  echo hello | chaski send shm://lines
  chaski shm ls
  chaski recv 'zmq+tcp://*:5555'
  echo hello | chaski send zmq+tcp://localhost:5555

Exit codes:
  0  done
  1  failed; standard error says why and what to do
  2  called wrongly
  3  the broker, or the other process, could not be reached or went away
  130  ended at once by a second Ctrl-C")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Dev(Dev),
    #[command(subcommand)]
    Topic(Topic),
    #[command(subcommand)]
    Group(Group),
    #[command(subcommand)]
    Gateway(Gateway),
    Send(Send),
    Recv(Recv),
    #[command(subcommand)]
    Shm(Shm),
    Top(Top),
    #[command(subcommand)]
    Inspect(Inspect),
    Doctor(Doctor),
    Bundle(Bundle),
    #[command(subcommand)]
    Keygen(Keygen),
    #[command(subcommand)]
    Bench(Bench),
    #[command(subcommand)]
    Generate(Generate),
}

/// Which broker to talk to.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArg {
    /// Broker to talk to
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092", env = "CHASKI_BROKER")]
    pub(crate) broker: Address,
}

/// In what form to list.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArg {
    /// Form of the output: for people, one JSON document, or one JSON object a line
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// Splits `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    if name.is_empty() {
        Err("the name is missing")?
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    /// Where people are told what to type.
    const DOCUMENTS: &[&str] = &[
        "README.md",
        "CONTRIBUTING.md",
        "crates/pool/README.md",
        "crates/ring/README.md",
        "crates/shm/README.md",
        "crates/zmq/README.md",
        "docs/api.md",
        "docs/console.md",
        "docs/gateways.md",
        "docs/local.md",
    ];

    /// Calls `visit` with every command, itself and all below it.
    fn each_command(command: &clap::Command, visit: &mut impl FnMut(&clap::Command)) {
        visit(command);
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            each_command(below, visit);
        }
    }

    /// The `chaski ...` part of each example line, without what explains it.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        help.lines()
            .filter(|line| line.starts_with("  "))
            .filter_map(|line| line.find("chaski ").map(|at| &line[at..]))
            .map(|line| line.split("   ").next().unwrap_or_default().to_owned())
            .map(|line| line.split(['|', '>', '<']).next().unwrap_or_default().to_owned())
            .collect()
    }

    /// Splits as a shell does, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.trim().chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().expect("never empty").push(c),
            }
        }
        words
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        each_command(&Args::command(), &mut |command| {
            let examples = examples(command);
            assert!(!examples.is_empty(), "`{}` has no example", command.get_name());
            for example in examples {
                if let Err(error) = Args::try_parse_from(words(&example)) {
                    panic!("`{example}`: {error}");
                }
            }
        });
    }

    /// The commands of a document: each in the code blocks, and in the text those of known verbs.
    fn commands(document: &str) -> Vec<Vec<String>> {
        let (mut found, mut fenced) = (Vec::new(), false);
        for line in document.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if fenced {
                // What it prints begins with its version.
                let typed = |words: &Vec<String>| !words[1].starts_with(char::is_numeric);
                found.extend(commands_of_a_shell(line).into_iter().filter(typed));
            } else {
                let code = line.split('`').skip(1).step_by(2);
                found.extend(code.flat_map(commands_of_a_shell).filter(|words| is_verb(&words[1])));
            }
        }
        found
    }

    fn is_verb(word: &str) -> bool {
        Args::command().get_subcommands().any(|command| command.get_name() == word)
    }

    /// The words of each `chaski ..` in a line, up to what the shell takes for itself.
    fn commands_of_a_shell(line: &str) -> Vec<Vec<String>> {
        let line = match line.split_once("\"$(") {
            Some((before, inside)) => &format!("{before}KEY ; {}", inside.replace(")\"", "")),
            None => line,
        };
        let ends = |word: &String| matches!(word.as_str(), "|" | ";" | "&" | ">" | "<" | "#");
        let mut words = words(&line.replace("; ", " ; "));
        words.retain(|word| !word.is_empty());
        let parts = words.split(ends).map(|part| part.strip_prefix(&["$".into()]).unwrap_or(part));
        parts.filter(|part| part.len() > 1 && part[0] == "chaski").map(<[String]>::to_vec).collect()
    }

    #[test]
    fn every_command_of_the_documents_parses() {
        let mut seen = 0;
        for document in DOCUMENTS {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../").to_owned() + document;
            let text = std::fs::read_to_string(&path).expect(document);
            for command in commands(&text) {
                seen += 1;
                let Err(error) = Args::try_parse_from(&command) else { continue };
                // A verb alone may be named without what it needs.
                let named = error.kind() == ErrorKind::MissingRequiredArgument
                    && !command.iter().any(|word| word.starts_with('-'));
                let helps = error.exit_code() == 0 || command.len() == 2;
                assert!(named || helps, "{document}: {command:?}: {error}");
            }
        }
        assert!(seen > 50, "only {seen}");
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        each_command(&Args::command(), &mut |command| {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        });
    }

    #[test]
    fn a_pair_needs_a_name() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err());
        assert!(pair("=a").is_err());
    }
}
