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
use crate::failure::Failure;

pub(super) const COUNT: &[u8] = b"c";
pub(super) const END: &[u8] = b"e";
/// The number of the message that ends a stream; the others count from 0.
pub(super) const LAST: u64 = u64::MAX;

/// How often it looks whether anybody is left.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Messages counted, and their numbers added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) messages: u64,
    numbers: u64,
}

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

/// Writes its number into a message.
pub(super) fn number_it(message: &mut [u8], number: u64) {
    message[..8].copy_from_slice(&number.to_le_bytes());
}

/// The number of a message; one that is too short has a wrong one.
fn number(message: &[u8]) -> u64 {
    message.first_chunk().map_or(LAST - 1, |bytes| u64::from_le_bytes(*bytes))
}

impl Sum {
    pub(super) fn add(&mut self, number: u64) {
        self.messages += 1;
        self.numbers = self.numbers.wrapping_add(number);
    }

    fn write(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.messages.to_le_bytes());
        bytes[8..].copy_from_slice(&self.numbers.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Sum> {
        let (messages, numbers) = bytes.split_first_chunk()?;
        let numbers = numbers.try_into().ok()?;
        Some(Sum { messages: u64::from_le_bytes(*messages), numbers: u64::from_le_bytes(numbers) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_comes_back_and_a_lost_message_is_noticed() {
        let mut sum = Sum::default();
        (0..10).for_each(|number| sum.add(number));
        assert_eq!(Sum::read(&sum.write()), Some(sum));
        let mut other = Sum::default();
        (1..11).for_each(|number| other.add(number));
        assert_ne!(sum, other);
        assert_eq!(Sum::read(b"short"), None);
    }

    #[test]
    fn a_message_has_a_number() {
        let mut message = [0; 12];
        number_it(&mut message, 77);
        assert_eq!(number(&message), 77);
        assert_ne!(number(b""), LAST);
    }
}
