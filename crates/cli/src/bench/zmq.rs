//! `chaski bench zmq`: two threads, over TCP on this machine.

mod bare;
mod report;

use std::thread;
use std::time::Instant;

use chaski_zmq::{Endpoint, Message, Pull, Push, RecvError, Rep, Req};

use super::extent::Extent;
use super::histogram::Histogram;
use super::machine::{Facts, Pinning};
use super::numbered::{LAST, Sum, number, number_it};
use super::round_trip;
use super::throughput::Run;
use crate::args::BenchZmq;
use crate::failure::Failure;
use crate::output;
use crate::progress::Step;
use report::Report;

/// Any port of this machine.
const ENDPOINT: &str = "tcp://127.0.0.1:*";
/// Messages sent between two looks at the clock.
const STRETCH: u64 = 256;

pub(super) fn run(args: &BenchZmq) -> Result<(), Failure> {
    let machine = Facts::gather();
    let pinning = machine.pinning(args.pin.wanted(), 2);
    let task = Task {
        size: args.size as usize,
        batch: args.batch as usize,
        extent: Extent::of(&args.extent),
        clock_ns: machine.clock_ns(),
        pinning,
    };
    let measured = task.rounds(args.extent.rounds)?;
    output::describe(args.output.output, &Report::new(args, machine, pinning, &measured))
}

/// What is measured in each round.
#[derive(Clone, Copy)]
struct Task {
    /// Bytes of a message.
    size: usize,
    /// Messages received in one call.
    batch: usize,
    extent: Extent,
    clock_ns: u64,
    pinning: Pinning,
}

/// What all rounds came to.
#[derive(Default)]
struct Measured {
    laps: Histogram,
    streams: Vec<Run>,
    limit_laps: Histogram,
    limit_streams: Vec<Run>,
}

impl Task {
    fn rounds(self, rounds: u16) -> Result<Measured, Failure> {
        let mut measured = Measured::default();
        let mut step = Step::new();
        for round in 1..=rounds {
            step.show(&format!("round {round} of {rounds}: zmq"));
            measured.laps.merge(&self.laps()?);
            measured.streams.push(self.stream()?);
            step.show(&format!("round {round} of {rounds}: limit"));
            measured.limit_laps.merge(&bare::laps(self)?);
            measured.limit_streams.push(bare::stream(self)?);
        }
        step.clear();
        Ok(measured)
    }

    /// Round trips between a REQ and a REP.
    fn laps(self) -> Result<Histogram, Failure> {
        let (req, rep) = (Req::new(), Rep::new());
        let endpoint = rep.bind(ENDPOINT).map_err(|error| unbound(&error))?;
        connected(req.connect(&endpoint), &endpoint)?;
        let (seats, mut message) = (self.pinning.seats(2), vec![0; self.size]);
        let ping = |number_of_lap| {
            number_it(&mut message, number_of_lap);
            req.send(&message[..]).is_ok()
                && req.recv().is_ok_and(|answer| answer[0] == message[..])
        };
        thread::scope(|scope| {
            let seats = &seats;
            scope.spawn(move || {
                seats.take(1);
                echo(&rep)
            });
            // On a thread of its own: the caller is not to be bound to a CPU.
            let pinging = scope.spawn(move || {
                seats.take(0);
                round_trip::laps(self.extent, self.clock_ns, ping)
            });
            joined(pinging)
        })
        .ok_or_else(|| Failure::new("the socket brought back another message"))
    }

    /// Messages from a PUSH to a PULL. The clock stops when the last one was received.
    fn stream(self) -> Result<Run, Failure> {
        let (push, pull) = (Push::new(), Pull::new());
        let endpoint = pull.bind(ENDPOINT).map_err(|error| unbound(&error))?;
        connected(push.connect(&endpoint), &endpoint)?;
        let seats = self.pinning.seats(2);
        let (sent, received) = thread::scope(|scope| {
            let (seats, pull) = (&seats, &pull);
            let pulling = scope.spawn(move || {
                seats.take(1);
                self.receive(pull)
            });
            let pushing = scope.spawn(move || {
                seats.take(0);
                self.send(&push)
            });
            (joined(pushing), joined(pulling))
        });
        let (began, sent) = sent?;
        let (ended, received) = received
            .map_err(|error| Failure::because("the stream broke where it is received", &error))?;
        match sent == received {
            true => Ok(Run { messages: sent.messages, took: ended - began }),
            false => Err(Failure::new("what was received is not what was sent")),
        }
    }

    fn send(self, push: &Push) -> Result<(Instant, Sum), Failure> {
        let (mut message, mut sum) = (vec![0; self.size], Sum::default());
        let mut send = |number| {
            number_it(&mut message, number);
            push.send(&message[..])
                .map_err(|error| Failure::because("the stream broke where it is sent", &error))
        };
        let began = Instant::now();
        while self.extent.goes_on(sum.messages, began, Instant::now()) {
            for number in sum.messages..sum.messages + STRETCH {
                send(number)?;
                sum.add(number);
            }
        }
        send(LAST)?;
        push.flush();
        Ok((began, sum))
    }

    fn receive(self, pull: &Pull) -> Result<(Instant, Sum), RecvError> {
        let (mut messages, mut sum) = (Vec::new(), Sum::default());
        loop {
            pull.recv_many(&mut messages, self.batch)?;
            for message in messages.drain(..) {
                match number(&message[0]) {
                    LAST => return Ok((Instant::now(), sum)),
                    number => sum.add(number),
                }
            }
        }
    }
}

/// Answers each request with itself, up to the last.
fn echo(rep: &Rep) {
    let is_last = |request: &Message| number(&request[0]) == round_trip::STOP;
    while let Ok(request) = rep.recv() {
        let last = is_last(&request);
        if rep.send(request).is_err() || last {
            return;
        }
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn unbound(error: &chaski_zmq::BindError) -> Failure {
    Failure::because("cannot bind a port of this machine", error)
}

fn connected(
    connecting: Result<(), chaski_zmq::ConnectError>,
    endpoint: &Endpoint,
) -> Result<(), Failure> {
    connecting.map_err(|error| Failure::because(format!("cannot connect to {endpoint}"), &error))
}
