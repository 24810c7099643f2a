//! `chaski serve`.

use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use chaski_broker::gateway::GatewaySpec;
use chaski_broker::settings::{BROKER, Given, SettingError};
use chaski_broker::{Builder, Server, StartError};
use tracing_subscriber::EnvFilter;

use crate::args::Serve;
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::output::{count, wants_colour};

pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    if args.settings {
        print_settings();
        return Ok(());
    }
    let began = Instant::now();
    start_log(&args.log)?;
    let given = settings(args)?;
    let token = given.get("http.token").is_some_and(|token| !token.is_empty());
    let ending = Ending::expect()?;
    let server = gateways(args)?.into_iter().fold(Builder::from_settings(given), Builder::gateway);
    let server = server.start().map_err(explain)?;
    greet(&server, began, token);
    ending.wait_and_stop(server)
}

/// Logs to standard error what passes this filter.
pub(crate) fn start_log(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|e| Failure::because(format!("`--log {filter}` is not a filter"), &e))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(wants_colour())
        .with_writer(io::stderr)
        .init();
    Ok(())
}

/// What ends a broker.
enum End {
    Signal(&'static str),
    Failed(String),
}

/// Waits for what ends a broker.
pub(crate) struct Ending {
    sender: mpsc::Sender<End>,
    ended: mpsc::Receiver<End>,
}

impl Ending {
    /// From here on a signal means a clean stop, even while the log is still being recovered.
    pub(crate) fn expect() -> Result<Ending, Failure> {
        let (sender, ended) = mpsc::channel();
        send_signals(sender.clone())?;
        Ok(Ending { sender, ended })
    }

    /// Lets the broker run until it is to end, and stops it.
    pub(crate) fn wait_and_stop(self, server: Server) -> Result<(), Failure> {
        let sender = self.sender;
        server.when_failed(move |why| drop(sender.send(End::Failed(why.to_owned()))));
        let failed = match self.ended.recv() {
            Ok(End::Failed(why)) => Some(why),
            Ok(End::Signal(signal)) => {
                tracing::info!(signal, "stopping: answering what is under way, flushing the log");
                None
            }
            // Whoever could send is gone: nothing is left to wait for.
            Err(mpsc::RecvError) => None,
        };
        let closed = server.stop();
        if let Some(why) = failed {
            return Err(Failure::new("the broker has failed").cause(why).hint(
                "start it again: what was acknowledged is in the log; and report the panic above",
            ));
        }
        closed.map_err(|e| Failure::because("the log was not closed cleanly", &e))?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Gathers settings from all sources, the stronger later.
fn settings(args: &Serve) -> Result<Given, Failure> {
    let mut given = Given::new();
    if let Some(path) = &args.config {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::because(format!("cannot read {shown}"), &e))?;
        given.read_toml(BROKER, &text).map_err(|e| {
            Failure::because(format!("in {shown}"), &*e)
                .hint("`chaski serve --settings` lists every setting")
        })?;
    }
    for setting in BROKER {
        let variable = format!("CHASKI_{}", setting.name.replace('.', "_").to_uppercase());
        if let Ok(value) = std::env::var(&variable) {
            given.set(BROKER, setting.name, &value).map_err(|e| refuse(&variable, &e))?;
        }
    }
    for pair in &args.set {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::new(format!("`--set {pair}` is not NAME=VALUE")).code(CALLED_WRONGLY)
        })?;
        given.set(BROKER, name, value).map_err(|e| refuse("--set", &e))?;
    }
    let data = args.data.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("data.dir", &data),
        ("kafka.listen", &args.kafka),
        ("kafka.advertised", &args.advertised),
        ("http.listen", &args.http),
        ("shm.listen", &args.shm),
        ("acks.all", &args.acks_all),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            given.set(BROKER, name, value).map_err(|e| refuse("flag", &e))?;
        }
    }
    Ok(given)
}

/// The `[[gateway]]` tables of the configuration file.
fn gateways(args: &Serve) -> Result<Vec<GatewaySpec>, Failure> {
    let Some(path) = &args.config else { return Ok(Vec::new()) };
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::because(format!("cannot read {shown}"), &e))?;
    GatewaySpec::read_toml(&text).map_err(|e| Failure::because(format!("in {shown}"), &e))
}

fn refuse(source: &str, error: &SettingError) -> Failure {
    Failure::because(format!("{source} was refused"), error)
        .hint("`chaski serve --settings` lists every setting")
        .code(CALLED_WRONGLY)
}

pub(crate) fn explain(error: StartError) -> Failure {
    let hint = match &error {
        StartError::Listen { source, .. } => not_listening(source.kind()),
        StartError::Address(_) => "`--advertised` takes HOST:PORT, such as broker.example:9092",
        StartError::Shm { .. } => {
            "is another broker of this user running? `--shm NAME` chooses another name"
        }
        StartError::Unclaimed { .. } => {
            "bring meta.redb back from where it went, or move the log directory away to begin anew"
        }
        StartError::Data { .. } => "`--data DIR` chooses another directory",
        _ => "`--log debug` tells more",
    };
    Failure::because("the broker did not start", &error).hint(hint)
}

/// What to do about an address that cannot be had.
fn not_listening(why: io::ErrorKind) -> &'static str {
    match why {
        io::ErrorKind::AddrInUse => {
            "is another broker running? `--kafka ADDR` and `--http ADDR` choose other addresses"
        }
        io::ErrorKind::AddrNotAvailable => {
            "`--kafka` and `--http` take an address of this machine, or 0.0.0.0 for all it has; \
             what clients are told is `--advertised`"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root; take a higher one",
        _ => "`--kafka` and `--http` take HOST:PORT, such as 127.0.0.1:9092",
    }
}

/// Says where it listens and what to type next.
fn greet(server: &Server, began: Instant, token: bool) {
    let (Some(kafka), Some(http)) = (server.kafka_addr(), server.http_addr()) else { return };
    let recovered = server.recovered();
    let console = match http.ip().to_canonical().is_loopback() || token {
        true => format!("http://{http}/"),
        false => "closed: others reach this address; set CHASKI_HTTP_TOKEN to open it".to_owned(),
    };
    let mut out = io::stdout().lock();
    let text = format!(
        "chaski {} is up after {:.0?}
  kafka    {kafka}
  console  {console}
  metrics  http://{http}/metrics
  log      {}, {}, opened in {:.0?}
  shards   {}

Try, in another terminal:
  echo hello | chaski send kafka://{kafka}/greetings
  chaski recv kafka://{kafka}/greetings --from earliest
  chaski topic list --broker {kafka}

Ctrl-C stops it cleanly.\n",
        env!("CARGO_PKG_VERSION"),
        began.elapsed(),
        count(recovered.topics as u64, "topic"),
        count(recovered.partitions as u64, "partition"),
        recovered.took,
        server.shards(),
    );
    // A closed standard output is no reason to stop.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_settings() {
    let mut out = io::stdout().lock();
    for setting in BROKER {
        let default = if setting.default.is_empty() { "(empty)" } else { setting.default };
        let line = format!("{:<40} {:<22} {}\n", setting.name, default, setting.doc);
        if out.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// Has the first signal that asks for an end sent to who waits for it.
fn send_signals(end: mpsc::Sender<End>) -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let failed = |e: io::Error| Failure::because("cannot wait for signals", &e);
    let mut awaited = vec![SIGINT, SIGTERM];
    // Whose terminal is closed wants no more of it, unless it was started by nohup.
    if !is_hangup_ignored() {
        awaited.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(awaited).map_err(failed)?;
    let wait = move || {
        let name = match signals.forever().next() {
            Some(SIGINT) => "SIGINT",
            Some(SIGHUP) => "SIGHUP",
            _ => "SIGTERM",
        };
        let _ = end.send(End::Signal(name));
    };
    thread::Builder::new().name("chaski-signals".to_owned()).spawn(wait).map_err(failed)?;
    Ok(())
}

/// Whether this process was started to outlive its terminal, or nothing is known of that.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is signal 1, SIGHUP.
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_none_or(|mask| mask & 1 == 1)
}
