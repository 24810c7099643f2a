//! Measures Chaski, its rivals and the machine's limit in one interleaved run.

mod load;
mod machine;
mod report;
mod rivals;
mod run;
mod server;
mod wire;
mod workloads;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use machine::{Cores, Facts};
use report::Format;
use rivals::bare::{self, BareArgs};
use rivals::kafka::Broker;
use rivals::{librdkafka, nats, redis};
use run::{Case, Rounds};
use wire::batch::Payload;
use workloads::apart::{self, Setup};
use workloads::{Plan, machines, processes, side, threads, time};

/// Rivals that come from Debian.
const PACKAGES: [&str; 3] = ["libzmq5", "nats-server", "redis-server"];

/// Set for the second start, under the real-time class, so that there is no third.
const RESTARTED: &str = "BENCH_RESTARTED";

/// How far messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Distance {
    All,
    /// Within one process: channels and pools. Needs no other program.
    Threads,
    /// Between processes of one machine, through shared memory. Needs no other program.
    Processes,
    /// ZeroMQ sockets of several libraries.
    Machines,
    /// Kept messages: the product's broker and other servers.
    Time,
}

impl Distance {
    fn includes(self, other: Distance) -> bool {
        self == Distance::All || self == other
    }
}

/// Measure Chaski, its rivals and the machine's limit in one interleaved run.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// What to measure.
    #[arg(required_unless_present = "setup")]
    distance: Option<Distance>,
    /// Only these cases; a name ending in `*` is a prefix.
    cases: Vec<String>,
    /// Small sizes and few rounds: a look, not a claim.
    #[arg(long)]
    quick: bool,
    /// Counted rounds; 5 by default (threads and processes: 9), 2 with --quick (3; machines: 1).
    #[arg(long)]
    rounds: Option<usize>,
    /// Form of the report.
    #[arg(short, value_enum, default_value = "table")]
    output: Format,
    /// Install the rivals that come from Debian, then measure if a distance is named.
    #[arg(long)]
    setup: bool,
    /// Print the names of the cases and stop.
    #[arg(long)]
    list: bool,
    /// The product's release binary [default: the one built in this checkout].
    #[arg(long, env = "CHASKI_BIN", hide_env_values = true)]
    chaski: Option<PathBuf>,
    /// A further argument for `chaski serve`; may be given often.
    #[arg(long, allow_hyphen_values = true)]
    chaski_arg: Vec<String>,
    /// Another broker that speaks Kafka; {port} and {data} stand for what it is to use.
    #[arg(long, value_name = "NAME=COMMAND")]
    rival: Vec<String>,
    /// Where data directories are made; the disk under it is measured.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// What librdkafka producers send in cases that compress.
    #[arg(long, value_enum, default_value = "pattern")]
    payload: Payload,
    /// Stay in the ordinary scheduling class.
    #[arg(long)]
    no_rt: bool,
    /// Let the scheduler place servers and generator.
    #[arg(long)]
    no_pin: bool,
}

/// What this binary is when it is not the bench.
#[derive(Debug, Subcommand)]
enum Role {
    /// The bare server that stands for the limit.
    #[command(hide = true)]
    BareServer(BareArgs),
    /// One turn of a case of "threads", "processes" or "machines".
    #[command(hide = true)]
    Turn(apart::TurnArgs),
    /// The other side of a turn of "processes" or "machines".
    #[command(hide = true)]
    Side(side::SideArgs),
}

fn main() -> ExitCode {
    match act(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &Args) -> Result<()> {
    match &args.role {
        Some(Role::BareServer(args)) => return bare::serve(args),
        Some(Role::Turn(args)) => return apart::turn(args),
        Some(Role::Side(args)) => return side::side(args),
        None => {}
    }
    if args.setup {
        install_rivals()?;
    }
    let Some(distance) = args.distance else { return Ok(()) };
    if !args.no_rt && !args.list {
        restart_in_real_time();
    }
    measure(args, distance)
}

fn measure(args: &Args, distance: Distance) -> Result<()> {
    let mut cases = cases(args, distance)?;
    for pattern in &args.cases {
        let known = cases.iter().any(|case| matches(pattern, case));
        ensure!(known, "no case {pattern}; --list names them");
    }
    cases.retain(|case| args.cases.is_empty() || args.cases.iter().any(|p| matches(p, case)));
    if args.list {
        cases.iter().for_each(|case| println!("{}/{}", case.distance, case.name));
        return Ok(());
    }
    report::header(args.output, &Facts::gather(&args.dir, versions(args, distance)));
    for case in cases {
        let rounds = rounds(args, &case);
        report::outcome(args.output, &run::run(case, rounds));
    }
    Ok(())
}

/// Turns that are processes are short, and what disturbs them is too: more of them tell more.
fn rounds(args: &Args, case: &Case) -> Rounds {
    let usual = match (case.distance, args.quick) {
        (threads::DISTANCE | processes::DISTANCE, true) => 3,
        (threads::DISTANCE | processes::DISTANCE, false) => 9,
        (machines::DISTANCE, true) => 1,
        (_, true) => 2,
        (_, false) => 5,
    };
    Rounds { warm_up: usize::from(!args.quick), counted: args.rounds.unwrap_or(usual) }
}

fn cases(args: &Args, distance: Distance) -> Result<Vec<Case>> {
    let cores = if args.no_pin { None } else { Cores::split() };
    let setup = Setup { quick: args.quick, cores };
    let mut cases = Vec::new();
    if distance.includes(Distance::Threads) {
        cases.extend(apart::cases(threads::APART, setup));
    }
    if distance.includes(Distance::Processes) {
        cases.extend(apart::cases(processes::APART, setup));
    }
    if distance.includes(Distance::Machines) {
        cases.extend(apart::cases(machines::APART, setup));
    }
    if distance.includes(Distance::Time) {
        let (plan, missing) = plan(args, cores)?;
        if let Some(why) = missing
            && !args.list
        {
            eprintln!("chaski skipped: {why}");
        }
        cases.extend(time::cases(&Rc::new(plan)));
    }
    Ok(cases)
}

/// The plan of the distance "time", and why the product is not in it, if so.
fn plan(args: &Args, cores: Option<Cores>) -> Result<(Plan, Option<String>)> {
    let (mut brokers, mut missing) = (Vec::new(), None);
    match Broker::chaski(&product(args), &args.chaski_arg) {
        Ok(broker) => brokers.push(broker),
        Err(error) => missing = Some(format!("{error:#}")),
    }
    for definition in &args.rival {
        brokers.push(Broker::rival(definition)?);
    }
    let dir = args.dir.canonicalize().with_context(|| format!("--dir {}", args.dir.display()))?;
    let plan = Plan {
        quick: args.quick,
        dir,
        cores,
        brokers,
        limit: Broker::limit()?,
        payload: args.payload,
    };
    Ok((plan, missing))
}

fn product(args: &Args) -> PathBuf {
    let built = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/chaski"));
    args.chaski.clone().unwrap_or_else(built)
}

fn matches(pattern: &str, case: &Case) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => case.name.starts_with(prefix),
        None => case.name == pattern,
    }
}

fn versions(args: &Args, distance: Distance) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    if distance.includes(Distance::Threads) {
        versions.extend(rivals::versions(&rivals::threads::PACKAGES));
    }
    if distance.includes(Distance::Processes) {
        versions.extend(rivals::versions(&rivals::processes::PACKAGES));
    }
    if distance.includes(Distance::Machines) {
        let libzmq = rivals::machines::libzmq::version().unwrap_or_else(|| "absent".to_owned());
        versions.push(("libzmq".to_owned(), libzmq));
        versions.extend(rivals::versions(&rivals::machines::PACKAGES));
    }
    if distance.includes(Distance::Time) {
        versions.extend(versions_of_servers(args));
    }
    versions
}

fn versions_of_servers(args: &Args) -> Vec<(String, String)> {
    let product = product(args);
    let chaski = product.to_str().and_then(|path| machine::first_line_of(path, &["--version"]));
    let known = [
        ("chaski", chaski),
        ("nats", nats::version()),
        ("redis", redis::version()),
        ("librdkafka", librdkafka::version()),
    ];
    let absent = || "absent".to_owned();
    known.into_iter().map(|(who, v)| (who.to_owned(), v.unwrap_or_else(absent))).collect()
}

fn install_rivals() -> Result<()> {
    let status = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends"])
        .args(PACKAGES)
        .status()
        .context("apt-get, which --setup needs")?;
    ensure!(status.success(), "apt-get has failed; is `apt-get update` due, or root needed?");
    Ok(())
}

/// Starts this program again as `chrt -r 1`, where that is permitted. What it starts inherits the
/// class, so that nothing else on the machine disturbs the figures. Threads that spin keep the
/// machine from everyone else for as long as their turn lasts, a fraction of a second.
fn restart_in_real_time() {
    let restarted = std::env::var_os(RESTARTED).is_some();
    let permitted = || Command::new("chrt").args(["-r", "1", "true"]).output();
    if restarted || machine::policy() != 0 || !permitted().is_ok_and(|out| out.status.success()) {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Comes back only if the restart failed; the run then keeps its class, as the header says.
        let _failed = Command::new("chrt")
            .args(["-r", "1"])
            .arg(program)
            .args(std::env::args_os().skip(1))
            .env(RESTARTED, "1")
            .exec();
    }
}
