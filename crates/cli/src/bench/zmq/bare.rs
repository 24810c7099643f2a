//! The limit: TCP without sockets of a pattern. A message there and back, and as many bytes as go.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::{Task, joined};
use crate::bench::histogram::Histogram;
use crate::bench::numbered::{number, number_it};
use crate::bench::round_trip;
use crate::bench::throughput::Run;
use crate::failure::Failure;

/// Bytes written and read at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Round trips of a message.
pub(super) fn laps(task: Task) -> Result<Histogram, Failure> {
    let (mut here, mut there) = pair().map_err(|error| broken(&error))?;
    let (seats, mut message) = (task.pinning.seats(2), vec![0; task.size]);
    let mut answer = message.clone();
    let ping = |number_of_lap| {
        number_it(&mut message, number_of_lap);
        let there_and_back = here.write_all(&message).and_then(|()| here.read_exact(&mut answer));
        there_and_back.is_ok() && answer == message
    };
    thread::scope(|scope| {
        let seats = &seats;
        scope.spawn(move || {
            seats.take(1);
            let mut message = vec![0; task.size];
            while there.read_exact(&mut message).is_ok()
                && there.write_all(&message).is_ok()
                && number(&message) != round_trip::STOP
            {}
        });
        let pinging = scope.spawn(move || {
            seats.take(0);
            round_trip::laps(task.extent, task.clock_ns, ping)
        });
        joined(pinging)
    })
    .ok_or_else(|| Failure::new("a TCP socket brought back other bytes"))
}

/// Blocks one way, counted in messages.
pub(super) fn stream(task: Task) -> Result<Run, Failure> {
    let (mut here, mut there) = pair().map_err(|error| broken(&error))?;
    let seats = task.pinning.seats(2);
    let (sent, received) = thread::scope(|scope| {
        let seats = &seats;
        let reading = scope.spawn(move || -> io::Result<(Instant, u64)> {
            seats.take(1);
            let (mut block, mut bytes) = (vec![0; BLOCK_BYTES], 0);
            loop {
                match there.read(&mut block)? {
                    0 => return Ok((Instant::now(), bytes)),
                    read => bytes += read as u64,
                }
            }
        });
        let writing = scope.spawn(move || -> io::Result<Instant> {
            seats.take(0);
            let (block, mut bytes) = (vec![0; BLOCK_BYTES], 0_u64);
            let began = Instant::now();
            while task.extent.goes_on(bytes / task.size as u64, began, Instant::now()) {
                here.write_all(&block)?;
                bytes += BLOCK_BYTES as u64;
            }
            here.shutdown(Shutdown::Write)?;
            Ok(began)
        });
        (joined(writing), joined(reading))
    });
    let began = sent.map_err(|error| broken(&error))?;
    let (ended, bytes) = received.map_err(|error| broken(&error))?;
    // Less than one message is still some time.
    Ok(Run { messages: (bytes / task.size as u64).max(1), took: ended - began })
}

/// Both ends of a connection, without Nagle's delay.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    let (there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    Ok((here, there))
}

fn broken(error: &io::Error) -> Failure {
    Failure::because("a TCP connection on this machine broke", error)
}
