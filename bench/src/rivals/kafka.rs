//! Brokers that speak the Kafka protocol, started by a command line: the product, the bare server,
//! and whatever `--rival NAME=COMMAND` names.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::server::{Launch, Server};
use crate::wire::Client;

/// When a broker answers acks=all. Brokers without the choice are started the same either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcksAll {
    /// Once the page cache has the batch.
    PageCache,
    /// Once the disk has it.
    Fsync,
}

/// How to start a broker.
#[derive(Debug, Clone)]
pub struct Broker {
    pub who: String,
    program: PathBuf,
    args: Vec<String>,
    page_cache_args: Vec<String>,
    fsync_args: Vec<String>,
    /// Whether it can put a batch on disk before it answers.
    pub can_fsync: bool,
}

impl Broker {
    /// The product. `extra` goes behind `serve`.
    pub fn chaski(program: &Path, extra: &[String]) -> Result<Broker> {
        let program = program
            .canonicalize()
            .with_context(|| format!("no program {} (--chaski PATH)", program.display()))?;
        let mut args =
            words("serve --data {data}/log --kafka 127.0.0.1:{port} --http 127.0.0.1:{http}");
        args.extend(extra.iter().cloned());
        Ok(Broker {
            who: "chaski".to_owned(),
            program,
            args,
            page_cache_args: words("--acks-all page-cache"),
            fsync_args: words("--acks-all fsync"),
            can_fsync: true,
        })
    }

    /// The bare server in this binary.
    pub fn limit() -> Result<Broker> {
        Ok(Broker {
            who: "limit".to_owned(),
            program: std::env::current_exe()?,
            args: words("bare-server --port {port} --data {data}"),
            page_cache_args: Vec::new(),
            fsync_args: words("--sync"),
            can_fsync: true,
        })
    }

    /// `NAME=COMMAND`, where the command may hold `{port}`, `{http}` and `{data}`.
    pub fn rival(definition: &str) -> Result<Broker> {
        let (who, command) = definition.split_once('=').context("want NAME=COMMAND")?;
        let mut args = words(command);
        ensure!(!args.is_empty(), "no command for {who}");
        Ok(Broker {
            who: who.to_owned(),
            program: PathBuf::from(args.remove(0)),
            args,
            page_cache_args: Vec::new(),
            fsync_args: Vec::new(),
            can_fsync: false,
        })
    }

    pub fn launch(&self, acks_all: AcksAll, core: Option<usize>) -> Launch {
        let more = match acks_all {
            AcksAll::PageCache => &self.page_cache_args,
            AcksAll::Fsync => &self.fsync_args,
        };
        let args = self.args.iter().chain(more).cloned().collect();
        Launch { program: self.program.clone(), args, core }
    }
}

/// Starts a broker on an empty directory and creates one topic on it.
pub fn start_with_topic(
    launch: Launch,
    parent: &Path,
    topic: &str,
    partitions: i32,
    segment_bytes: Option<u64>,
) -> Result<Server> {
    let server = Server::start(launch, parent)?;
    Client::connect(server.address)?.create_topic(topic, partitions, segment_bytes)?;
    Ok(server)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
