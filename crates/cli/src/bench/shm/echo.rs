//! The other process: answers, and counts.
//!
//! | request | what it does |
//! |---|---|
//! | [`COUNT`] | receives the stream up to its [`LAST`] message, answers with the [`Sum`] |
//! | [`END`] | answers, and ends |
//! | any other | answers with the same |

use std::time::Duration;

use chaski_shm::{Batch, Error, Pull, Server};

use super::wait;
use crate::args::BenchShm;
use crate::bench::machine::Pinning;
use crate::bench::numbered::{LAST, Sum, number};
use crate::failure::Failure;

pub(super) const COUNT: &[u8] = b"c";
pub(super) const END: &[u8] = b"e";

/// How often it looks whether anybody is left.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// The name of the stream beside a server.
pub(super) fn stream(name: &str) -> String {
    format!("{name}-stream")
}

pub(super) fn run(name: &str, args: &BenchShm, pinning: Pinning) -> Result<(), Failure> {
    let failed = |error| Failure::because("cannot bind", &error);
    let (wait, ring) = (wait(args.wait), 1 << 30);
    let pull = Pull::builder().wait(wait).ring_bytes_max(ring);
    let pull = pull.bind(&stream(name)).map_err(failed)?;
    let server = Server::builder().wait(wait).ring_bytes_max(ring);
    let server = server.bind(name).map_err(failed)?;
    pinning.seats(2).take(1);
    let broken = |error| Failure::because("the other side of the measurement broke", &error);
    serve(server, pull, args.batch as usize).map_err(broken)
}

fn serve(mut server: Server, mut pull: Pull, batch: usize) -> Result<(), Error> {
    let mut payload = Vec::new();
    loop {
        let taken = server.recv_timeout(LOOKS_EVERY).map(|request| {
            payload.clear();
            payload.extend_from_slice(&request);
            request.defer()
        });
        let ticket = match taken {
            Ok(ticket) => ticket,
            Err(Error::TimedOut) if server.departures().next().is_some() => return Ok(()),
            Err(Error::TimedOut) => continue,
            Err(error) => return Err(error),
        };
        match &*payload {
            COUNT => server.reply(ticket, &count(&mut pull, batch)?.write())?,
            END => return server.reply(ticket, b""),
            same => server.reply(ticket, same)?,
        }
    }
}

/// Receives one by one, or in batches, until the last one.
fn count(pull: &mut Pull, batch: usize) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    if batch == 1 {
        loop {
            match number(&pull.recv()?) {
                LAST => return Ok(sum),
                number => sum.add(number),
            }
        }
    }
    let mut messages = Batch::new();
    loop {
        pull.recv_many(&mut messages, batch)?;
        for message in &messages {
            match number(message) {
                LAST => return Ok(sum),
                number => sum.add(number),
            }
        }
    }
}
