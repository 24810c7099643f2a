//! How far something long has come: a line on the terminal while it lasts, a summary at its end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is shorter shows nothing but its summary.
const FIRST_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// A rate that is lower, in records a second, is not worth a word.
const RATE_MIN: u64 = 10;
/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, more: Tally) {
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

/// A line that is drawn over and over.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What is counted.
    noun: &'static str,
    began: Instant,
    /// None: nobody sees it.
    next: Option<Instant>,
    drawn: bool,
}

impl Progress {
    /// Counts `noun`s. Shows itself if `wanted`, and if standard error is a terminal.
    pub(crate) fn new(wanted: bool, noun: &'static str) -> Progress {
        let began = Instant::now();
        let seen = wanted && io::stderr().is_terminal();
        Progress { noun, began, next: seen.then(|| began + FIRST_AFTER), drawn: false }
    }

    /// Draws the line if it is time.
    pub(crate) fn tick(&mut self, tally: Tally) {
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now >= next {
            self.next = Some(now + AGAIN_AFTER);
            self.drawn = true;
            let _ = write!(io::stderr(), "{CLEAR}{}", describe(tally, self.noun, now - self.began));
        }
    }

    /// Clears the line. What was done, and how fast.
    pub(crate) fn finish(self, tally: Tally) -> String {
        if self.drawn {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
        describe(tally, self.noun, self.began.elapsed())
    }
}

/// A line that names what is under way, for work of known steps.
#[derive(Debug)]
pub(crate) struct Step {
    seen: bool,
}

impl Step {
    /// Shows itself if standard error is a terminal.
    pub(crate) fn new() -> Step {
        Step { seen: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&mut self, step: &str) {
        if self.seen {
            let _ = write!(io::stderr(), "{CLEAR}{step}");
        }
    }

    pub(crate) fn clear(&mut self) {
        self.show("");
    }
}

fn describe(tally: Tally, noun: &str, took: Duration) -> String {
    let Tally { records, bytes } = tally;
    let seconds = took.as_secs_f64();
    let mut text = format!("{}, {}", crate::output::count(records, noun), show_bytes(bytes));
    if took >= FIRST_AFTER {
        text += &format!(" in {seconds:.1} s");
        let per_second = |n: u64| (n as f64 / seconds) as u64;
        // Of a few that were typed, or never came, it says nothing.
        if per_second(records) >= RATE_MIN {
            let [records, bytes] = [records, bytes].map(per_second);
            text += &format!(": {records} {noun}s/s, {}/s", show_bytes(bytes));
        }
    }
    text
}

/// Bytes in the largest unit that leaves a digit before the point.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(size, _)| bytes as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_unit_of_their_size() {
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(1_000), "1.0 kB");
        assert_eq!(show_bytes(12_345_678), "12.3 MB");
        assert_eq!(show_bytes(u64::MAX), "18446744073.7 GB");
    }

    #[test]
    fn a_rate_is_told_when_it_means_something() {
        let tally = Tally { records: 3_000, bytes: 6_000_000 };
        assert_eq!(describe(tally, "record", Duration::from_millis(5)), "3000 records, 6.0 MB");
        assert_eq!(
            describe(tally, "message", Duration::from_secs(2)),
            "3000 messages, 6.0 MB in 2.0 s: 1500 messages/s, 3.0 MB/s"
        );
        let typed = Tally { records: 1, bytes: 5 };
        assert_eq!(describe(typed, "record", Duration::from_secs(2)), "1 record, 5 B in 2.0 s");
    }
}
