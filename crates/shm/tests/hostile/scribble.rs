//! Scribbling: random words over all the memory of a connection that this process can write, while
//! its other thread keeps up something like traffic.
//!
//! Words are stored where they hurt: at the cursors, doze words, headers, ledgers and boards, which
//! all lie near the beginning of some page, and at random; and they are such that might pass for
//! something: small numbers, borders, other words of the same memory.

use std::fs;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chaski_shm::pipe::Pipe;
use chaski_shm::{Client, Server};

use super::NAME;
use super::processes::child;
use super::processes::dice::Dice;
use super::processes::mail::Wish;

/// Words written in a row, before the other thread gets its turn, at most.
const BURST: usize = 200;

/// Words of a page in which headers of areas keep what matters.
const HEADER_WORDS: usize = 64;

/// Words that say what an area is.
const MAGIC_WORDS: usize = 3;

/// Traffic goes on for so long before it begins anew.
const REQUESTS: usize = 60;

/// A client that asks, and scribbles.
pub(crate) fn client() -> ExitCode {
    let seed = begin();
    let mut dice = Dice::new(seed ^ 1);
    loop {
        // What it wrote may as well make its own side panic.
        let turn = dice.word();
        let _ = catch_unwind(|| ask(&mut Dice::new(turn)));
    }
}

fn ask(dice: &mut Dice) {
    let limit = Duration::from_millis(50);
    let builder = Client::builder().reconnect_within(limit);
    let Ok(mut client) = builder.connect(NAME) else { return };
    for _ in 0..REQUESTS {
        let wish = Wish { parts: 0, ..Wish::random((1 << 60) + dice.word() / 64, dice) };
        let _ = client.try_send(&wish.request());
        // One that never reads is hostile too.
        if !dice.one_in(4) {
            let _ = client.recv_timeout(Duration::from_millis(2));
        }
    }
}

/// A server that answers, and scribbles.
pub(crate) fn server() -> ExitCode {
    let seed = begin();
    let mut dice = Dice::new(seed ^ 1);
    loop {
        let turn = dice.word();
        let _ = catch_unwind(|| answer(&mut Dice::new(turn)));
    }
}

fn answer(dice: &mut Dice) {
    let Ok(mut server) = Server::bind(NAME) else { return };
    for _ in 0..REQUESTS * 4 {
        if let Ok(request) = server.recv_timeout(Duration::from_millis(20)) {
            let wanted = Wish::of(&request).map_or(100, |wish| wish.wanted);
            if !dice.one_in(16) {
                let _ = request.reply(&vec![7; wanted]);
            }
        }
    }
}

/// The end of a pipe that sends and receives, and scribbles.
pub(crate) fn pipe() -> ExitCode {
    let seed = begin();
    let mut dice = Dice::new(seed ^ 1);
    loop {
        let turn = dice.word();
        let _ = catch_unwind(|| talk(&mut Dice::new(turn)));
    }
}

fn talk(dice: &mut Dice) {
    let limit = Duration::from_millis(50);
    let Ok(mut pipe) = Pipe::builder().connect_within(limit).connect(NAME) else { return };
    for _ in 0..REQUESTS * 2 {
        let payload = vec![7; dice.below(30_000)];
        let sent = pipe.send_timeout(&[&payload, b"-"], Duration::from_millis(1));
        let got = pipe.recv_timeout(Duration::from_micros(dice.below(1000) as u64));
        if sent.is_err() && got.is_err() && pipe.is_closed() {
            return;
        }
    }
}

/// Starts the thread that scribbles; the seed that this process was told.
fn begin() -> u64 {
    // What goes wrong here is of no interest.
    std::panic::set_hook(Box::new(|_| ()));
    let seed = child::told_number("CHASKI_FIRST").expect("a number");
    std::thread::spawn(move || scribble(Dice::new(seed)));
    seed
}

fn scribble(mut dice: Dice) {
    loop {
        let memory = writable();
        for _ in 0..dice.below(BURST) {
            if let Some(&(start, words)) = memory.get(dice.below(memory.len().max(1))) {
                scribble_into(start, words, &mut dice);
            }
        }
        // Long enough, mostly, for a connection to be made in between.
        std::thread::sleep(Duration::from_micros(dice.below(4000) as u64));
    }
}

fn scribble_into(start: usize, words: usize, dice: &mut Dice) {
    let at = match dice.below(4) {
        0 => dice.below(words),
        // Near the beginning of a page, on the multiples of 16 words where cursors are.
        1 => dice.below(words / 512) * 512 + dice.below(HEADER_WORDS / 16) * 16,
        _ => dice.below(words / 512) * 512 + dice.below(HEADER_WORDS),
    };
    // Memory without its magic is refused at once, and nothing else would be tried.
    if at % 512 < MAGIC_WORDS && !dice.one_in(2000) {
        return;
    }
    let word = |at: usize| start + at % words * 8;
    // SAFETY: inside a mapping, a moment ago. If it is gone this process dies, and deserves it.
    let there = unsafe { AtomicU64::from_ptr(word(at) as *mut u64) };
    // SAFETY: as above.
    let other = unsafe { AtomicU64::from_ptr(word(dice.below(words)) as *mut u64) };
    let value = match dice.below(9) {
        0 => 0,
        1 => u64::MAX,
        2 => dice.word(),
        3 => dice.below(100) as u64,
        4 => other.load(Ordering::Relaxed),
        5 => there.load(Ordering::Relaxed).wrapping_add(8),
        6 => there.load(Ordering::Relaxed).wrapping_sub(dice.below(9000) as u64),
        7 => there.load(Ordering::Relaxed) ^ 1 << dice.below(64),
        // The header of a record, of some length.
        _ => dice.word() << 48 | 1 << 32 | dice.below(70_000) as u64,
    };
    there.store(value, Ordering::Relaxed);
}

/// Where the memory of this crate can be written in this process, and how many words there are.
fn writable() -> Vec<(usize, usize)> {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    let ours =
        maps.lines().filter(|line| line.contains(" rw-s ") && line.contains("/memfd:chaski"));
    let span = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16));
        let (start, end) = (start.ok()?, end.ok()?);
        Some((start, (end - start) / 8))
    };
    ours.filter_map(span).collect()
}
