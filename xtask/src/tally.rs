//! Counting tests in what `cargo test` and pytest print.

use std::fmt;
use std::ops::AddAssign;

/// Tests that ran, and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Ignored tests of Rust, skipped ones of pytest.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Sums the `test result:` lines of `cargo test`, one per binary and doc-test run.
    pub(crate) fn of_cargo(output: &str) -> Tally {
        let mut sum = Tally::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            sum.add_counts(line);
        }
        sum
    }

    /// Reads the last line of pytest: `==== 1 failed, 80 passed, 2 skipped in 70.31s ====`.
    pub(crate) fn of_pytest(output: &str) -> Tally {
        let mut sum = Tally::default();
        let summary = output.lines().rev().find(|line| is_pytest_summary(line));
        sum.add_counts(summary.unwrap_or_default());
        sum
    }

    /// Adds every `NUMBER WORD` pair whose word is known.
    fn add_counts(&mut self, line: &str) {
        let mut number: Option<u64> = None;
        for word in line.split([' ', ',', ';', '.', '=']).filter(|word| !word.is_empty()) {
            if let Some(n) = number {
                match word {
                    "passed" | "xpassed" => self.passed += n,
                    "failed" | "error" | "errors" => self.failed += n,
                    "ignored" | "skipped" | "xfailed" => self.skipped += n,
                    _ => {}
                }
            }
            number = word.parse().ok();
        }
    }
}

fn is_pytest_summary(line: &str) -> bool {
    let line = line.trim_matches(['=', ' ']);
    line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(" in ")
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_results_are_summed() {
        let output = "\
running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.2s
";
        assert_eq!(Tally::of_cargo(output), Tally { passed: 3, failed: 1, skipped: 1 });
    }

    #[test]
    fn pytest_summary_is_read() {
        let output = "\
interop/test_x.py::test_y PASSED
=========================== short test summary info ============================
FAILED interop/test_x.py::test_z - 3 failed in 2 ways
============= 1 failed, 80 passed, 2 skipped, 1 error in 70.31s (0:01:10) =============
";
        assert_eq!(Tally::of_pytest(output), Tally { passed: 80, failed: 2, skipped: 2 });
        assert_eq!(Tally::of_pytest("4 passed in 0.10s\n").passed, 4);
        assert_eq!(Tally::of_pytest("no summary, 3 passed"), Tally::default());
    }

    #[test]
    fn the_line_reads_as_promised() {
        let mut sum = Tally { passed: 1, failed: 0, skipped: 2 };
        sum += Tally { passed: 9, failed: 1, skipped: 0 };
        assert_eq!(sum.to_string(), "10 passed, 1 failed, 2 skipped");
    }
}
