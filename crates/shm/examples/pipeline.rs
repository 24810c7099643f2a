//! What a pipeline between two processes carries, each pinned to a core:
//! `cargo run --release -p chaski-shm --example pipeline [seconds per row]`.
//!
//! The sender is this process, the receiver a child. Both ways to send and to receive are measured,
//! one by one and in batches.

use std::hint::black_box;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use chaski_shm::{Batch, Error, Pull, Push};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Tells the child what to do.
const ROLE: &str = "CHASKI_EXAMPLE_ROLE";
const DIRECTORY: &str = "CHASKI_EXAMPLE_DIRECTORY";

/// Messages of a batch, on either side.
const BATCH: usize = 256;

/// More than the start of a process takes.
const LONG: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Ok(role) = std::env::var(ROLE) {
        return receive(&role, &std::env::var(DIRECTORY)?);
    }
    let seconds = std::env::args().nth(1).map_or(Ok(1.0), |word| word.parse())?;
    let limit = Duration::from_secs_f64(seconds);
    println!("| sender | sent | received | ring | bytes | M msg/s | GB/s |");
    println!("|---|---|---|---|---|---|---|");
    for bound in [true, false] {
        for (send, receive) in [("one", "one"), ("one", "batch"), ("batch", "batch")] {
            for (ring, bytes) in [(64 << 10, 64), (256 << 10, 64), (256 << 10, 1024)] {
                let rate = measure(bound, send, receive, ring, bytes, limit)?;
                let sender = if bound { "bound" } else { "connected" };
                let (m, g, kib) = (rate / 1e6, rate * bytes as f64 / 1e9, ring >> 10);
                println!(
                    "| {sender} | {send} | {receive} | {kib} KiB | {bytes} | {m:.1} | {g:.1} |"
                );
            }
        }
    }
    Ok(())
}

/// Messages per second.
fn measure(
    bound: bool,
    send: &str,
    receive: &str,
    ring: usize,
    bytes: usize,
    limit: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let builder = Push::builder().directory(directory.path()).ring_bytes(ring).connect_within(LONG);
    let role = format!("{bound} {receive} {ring}");
    let start = || -> std::io::Result<Child> {
        Command::new(std::env::current_exe()?)
            .env(ROLE, &role)
            .env(DIRECTORY, directory.path())
            .spawn()
    };
    let (mut push, mut child) = match bound {
        true => (builder.bind("stream")?, start()?),
        false => {
            let child = start()?;
            (builder.connect("stream")?, child)
        }
    };
    pin(0)?;
    let payload = vec![7; bytes];
    let batch = vec![&payload; BATCH];
    push.send(&payload)?;
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < limit {
        match send {
            "one" => (0..BATCH).try_for_each(|_| push.send(black_box(&payload)))?,
            _ => push.send_all(black_box(&batch))?,
        }
        sent += BATCH;
    }
    let left = push.flush(LONG)?;
    let rate = sent as f64 / begun.elapsed().as_secs_f64();
    assert_eq!(left, 0, "the receiver does not keep up");
    drop(push);
    child.kill()?;
    child.wait()?;
    Ok(rate)
}

/// What the child does.
fn receive(role: &str, directory: &str) -> Result<(), Box<dyn std::error::Error>> {
    pin(1)?;
    let words: Vec<_> = role.split(' ').collect();
    let builder = Pull::builder().directory(directory).connect_within(LONG);
    let builder = builder.ring_bytes(words[2].parse()?).reconnect_within(Duration::ZERO);
    let mut pull = match words[0] {
        "true" => builder.connect("stream")?,
        _ => builder.bind("stream")?,
    };
    let mut batch = Batch::new();
    loop {
        let done = match words[1] {
            "one" => pull.recv().map(|message| _ = black_box(&message[..])),
            _ => pull.recv_many(&mut batch, BATCH).map(|_| _ = black_box(&batch)),
        };
        match done {
            Ok(()) => {}
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn pin(core: usize) -> std::io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}
