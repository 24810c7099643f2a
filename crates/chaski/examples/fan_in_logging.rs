//! Many threads log, one thread writes.
//!
//! Each thread that logs has a lane of its own, so none waits for another, and the writer takes
//! whatever has gathered at once: under load one write carries hundreds of lines, and a lone line
//! is written as soon as it comes.
//!
//!     cargo run --release -p chaski --example fan_in_logging

use std::fmt::Write as _;
use std::io::{self, Write};
use std::thread;

use chaski::channel::fan_in::{self, Receiver};

/// Lines that a thread may be ahead of the writer.
const LINES_AHEAD: usize = 1024;
/// Lines in one write at most.
const LINES_AT_ONCE: usize = 256;

struct Line {
    thread: usize,
    text: String,
}

/// What the writer did.
#[derive(Debug, PartialEq)]
struct Written {
    lines: usize,
    writes: usize,
}

fn main() -> io::Result<()> {
    let written = run(4, 50, &mut io::stdout().lock())?;
    println!("{} lines in {} writes", written.lines, written.writes);
    Ok(())
}

/// So many threads log so many lines each into `out`.
fn run(threads: usize, lines: usize, out: &mut impl Write) -> io::Result<Written> {
    let (log, gathered) = fan_in::channel(LINES_AHEAD);
    thread::scope(|scope| {
        for thread in 0..threads {
            let mut log = log.clone();
            scope.spawn(move || {
                for number in 0..lines {
                    let line = Line { thread, text: format!("request {number} served") };
                    if log.send(line).is_err() {
                        return; // the writer has failed
                    }
                }
            });
        }
        // The writer ends when all senders are gone; this one would keep it waiting.
        drop(log);
        write_all(gathered, out)
    })
}

fn write_all(mut lines: Receiver<Line>, out: &mut impl Write) -> io::Result<Written> {
    let mut written = Written { lines: 0, writes: 0 };
    let (mut batch, mut text) = (Vec::with_capacity(LINES_AT_ONCE), String::new());
    while let Ok(count) = lines.recv_many(&mut batch, LINES_AT_ONCE) {
        text.clear();
        for line in batch.drain(..) {
            writeln!(text, "[{}] {}", line.thread, line.text).expect("a string takes all");
        }
        out.write_all(text.as_bytes())?;
        written.lines += count;
        written.writes += 1;
    }
    Ok(written)
}

#[test]
fn every_line_is_written_once_and_in_its_threads_order() {
    let mut out = Vec::new();
    let written = run(4, 300, &mut out).unwrap();
    assert_eq!(written.lines, 1200);
    assert!(written.writes <= 1200);
    let text = String::from_utf8(out).unwrap();
    for thread in 0..4 {
        let prefix = format!("[{thread}] ");
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (0..300).map(|n| format!("request {n} served")).collect();
        assert_eq!(lines, expected);
    }
}
