//! Runs tests one after the other on the main thread, in the manner of the standard harness.
//!
//! The standard one cannot be used: a child is this same program, and must become its role before
//! anything else happens in it; and what is counted here (descriptors, mappings) belongs to the
//! whole process, so that no two tests may run at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A test and its name.
pub(crate) type Test = (&'static str, fn());

/// Without a sign of progress for so long, the run is ended: long enough for a machine that does
/// something else as well.
const STUCK: Duration = Duration::from_secs(120);

/// Signs of progress so far.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// A sign of progress, for the watchdog.
pub(crate) fn progress() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// Runs the tests that the arguments select, and says how they went.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut filters, mut skips, mut exact, mut list) = (Vec::new(), Vec::new(), false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--exact" => exact = true,
            "--list" => list = true,
            "--skip" => skips.extend(arguments.next()),
            "--test-threads" | "--format" | "--color" => drop(arguments.next()),
            flag if flag.starts_with('-') => {}
            _ => filters.push(argument),
        }
    }
    let matches = |name: &str, filter: &String| {
        if exact { name == filter } else { name.contains(filter.as_str()) }
    };
    let selected = |(name, _): &&Test| {
        (filters.is_empty() || filters.iter().any(|filter| matches(name, filter)))
            && !skips.iter().any(|skip| matches(name, skip))
    };
    let chosen: Vec<_> = tests.iter().filter(selected).collect();
    if list {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    watch();
    println!("\nrunning {} tests", chosen.len());
    let failed: Vec<_> = chosen.iter().filter(|(name, test)| !passes(name, *test)).collect();
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    let out = tests.len() - chosen.len();
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; {out} filtered out",
        chosen.len() - failed.len(),
        failed.len(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str, test: fn()) -> bool {
    let begun = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
    let verdict = if passed { "ok" } else { "FAILED" };
    println!("test {name} ... {verdict} ({:.1} s)", begun.elapsed().as_secs_f64());
    passed
}

/// Ends the program when nothing moves any more. Its children end with it.
fn watch() {
    let watchdog = || {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = PROGRESS.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > STUCK {
                eprintln!("no progress for {} s", STUCK.as_secs());
                std::process::abort();
            }
        }
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(watchdog).expect("a thread");
}
