//! `chaski dev`: a broker that leaves nothing behind, and what to type next.
//!
//! The directory is removed when the broker has stopped, however it came to that; only a process
//! that is killed leaves it, below the directory for temporary files.

mod ports;
mod snippets;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use chaski_broker::gateway::{GatewayError, GatewayKind, GatewaySpec};
use chaski_broker::{Builder, Gateways, Server, StartError};
use tempfile::TempDir;

use crate::args::Dev;
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::serve::{self, Ending};
use ports::{ANY_ENDPOINT, HTTP, KAFKA, PUBLISH, PULL, Port};
use snippets::{Places, Sockets};

/// The name under which processes of this machine find it, if nobody else has that.
const SHM: &str = "chaski";

pub(crate) fn run(args: &Dev) -> Result<(), Failure> {
    serve::start_log(&args.log)?;
    let ending = Ending::expect()?;
    let dir = tempfile::Builder::new()
        .prefix("chaski-dev-")
        .tempdir()
        .map_err(|e| Failure::because("cannot make a temporary directory", &e))?;
    let server = start(args, &dir)?;
    create(&server, &args.topics)?;
    let topic = args.topics.first().map_or("greetings", String::as_str);
    let zmq = join(&server, topic);
    if let (Some(kafka), Some(http)) = (server.kafka_addr(), server.http_addr()) {
        let places = Places { kafka: kafka.to_string(), topic: topic.to_owned(), zmq };
        greet(args, &places, http, server.shm_name().unwrap_or_default(), &dir);
    }
    let ended = ending.wait_and_stop(server);
    remove(dir, args.keep)?;
    ended
}

/// Where the defaults are taken, on ports that are free; an address that was given is kept to.
fn start(args: &Dev, dir: &TempDir) -> Result<Server, Failure> {
    let kafka = Port::choose(args.kafka.as_deref(), KAFKA);
    let http = Port::choose(args.http.as_deref(), HTTP);
    // A name that nobody else has.
    let own = format!("{SHM}-{}", std::process::id());
    let started = match builder(dir, &kafka, &http, SHM).start() {
        // Taken by somebody else since it was looked at.
        Err(StartError::Listen { .. }) => {
            builder(dir, &kafka.or_any(), &http.or_any(), &own).start()
        }
        Err(StartError::Shm { .. }) => builder(dir, &kafka, &http, &own).start(),
        started => started,
    };
    started.map_err(serve::explain)
}

fn builder(dir: &TempDir, kafka: &Port<'_>, http: &Port<'_>, shm: &str) -> Builder {
    // What is thrown away in the end need not be on disk before it is acknowledged.
    let builder = Builder::new().data_dir(dir.path()).set("acks.all", "page-cache");
    builder.kafka(kafka.address()).http(http.address()).set("shm.listen", shm)
}

fn create(server: &Server, topics: &[String]) -> Result<(), Failure> {
    let client = server.client();
    for name in topics {
        client.create_topic(name, None, &[]).map_err(|e| {
            Failure::because(format!("topic `{name}` was not created"), &e).code(CALLED_WRONGLY)
        })?;
    }
    Ok(())
}

/// Joins the topic to two sockets. Where that cannot be, the rest is still of use.
fn join(server: &Server, topic: &str) -> Option<Sockets> {
    let gateways = server.client().gateways();
    let pull = open(&gateways, GatewayKind::Pull, topic, PULL);
    let joined = pull.and_then(|pull| {
        let publish = open(&gateways, GatewayKind::Pub, topic, PUBLISH)?;
        Ok(Sockets { pull, publish })
    });
    joined.inspect_err(|error| tracing::warn!(%error, "no sockets for ZeroMQ")).ok()
}

/// A gateway at the default endpoint, else on a port that is free. Where it is.
fn open(
    gateways: &Gateways,
    kind: GatewayKind,
    topic: &str,
    default: &str,
) -> Result<String, GatewayError> {
    let at = |endpoint| gateways.add(GatewaySpec::new(kind.as_str(), kind, topic).bind(endpoint));
    let status = at(default).or_else(|_| at(ANY_ENDPOINT))?;
    Ok(status.endpoints.into_iter().next().unwrap_or_default())
}

/// Says where everything is and what to do with it.
fn greet(args: &Dev, places: &Places, http: SocketAddr, shm: &str, dir: &TempDir) {
    let Places { kafka, topic, zmq } = places;
    let fate = if args.keep { "kept at the end" } else { "removed at the end" };
    let mut text = format!(
        "chaski {} for development
  kafka    {kafka}
  console  http://{http}/
  shm      {shm}
  data     {} ({fate})
  topics   {}
{}
Try, in another terminal:
  echo hello | chaski send kafka://{kafka}/{topic}
  chaski recv kafka://{kafka}/{topic} --from earliest
  chaski top --http {http}
",
        env!("CARGO_PKG_VERSION"),
        dir.path().display(),
        args.topics.join(", "),
        zmq.as_ref().map_or_else(String::new, Sockets::described),
    );
    text += &match args.snippets {
        Some(language) => snippets::programs(language, places),
        None => snippets::short(places),
    };
    text += "\nCtrl-C ends it.\n";
    let mut out = io::stdout().lock();
    // A closed standard output is no reason to stop.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn remove(dir: TempDir, keep: bool) -> Result<(), Failure> {
    if keep {
        let kept: PathBuf = dir.keep();
        eprintln!("kept {0}; `chaski serve --data {0}` goes on with it", kept.display());
        return Ok(());
    }
    let shown = dir.path().display().to_string();
    dir.close().map_err(|e| Failure::because(format!("cannot remove {shown}"), &e))
}
