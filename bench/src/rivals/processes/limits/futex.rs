//! A word and a futex in each direction: the least that wakes a process which sleeps. Of each
//! message only the first word travels.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use rustix::io::Errno;
use rustix::thread::futex;

use super::line::{Words, number_of};
use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::Shared;
use crate::rivals::processes::{Calls, Opens, Read, Serves, Spec};

#[derive(Debug)]
pub struct Asking {
    words: Shared<Words>,
    seen: u32,
}

#[derive(Debug)]
pub struct Answering {
    words: Shared<Words>,
    seen: u32,
}

impl Opens for Asking {
    fn open(links: &[&Link], _: Spec) -> Result<Asking> {
        Ok(Asking { words: Shared::give(links[0])?, seen: 0 })
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], _: Spec) -> Result<Answering> {
        Ok(Answering { words: Shared::take(links[0])?, seen: 0 })
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        ring(&self.words.there.0, number_of(request))?;
        self.seen = sleep_while(&self.words.back.0, self.seen)?;
        read(&self.seen.to_ne_bytes())
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        self.seen = sleep_while(&self.words.there.0, self.seen)?;
        ring(&self.words.back.0, self.seen)
    }
}

fn ring(word: &AtomicU32, number: u32) -> Result<()> {
    // ORDERING: the number is the message; there is nothing to order it with.
    word.store(number, Ordering::Relaxed);
    futex::wake(word, futex::Flags::empty(), 1)?;
    Ok(())
}

/// The number that the word changes to.
fn sleep_while(word: &AtomicU32, seen: u32) -> Result<u32> {
    loop {
        match futex::wait(word, futex::Flags::empty(), seen, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let number = word.load(Ordering::Relaxed);
        if number != seen {
            return Ok(number);
        }
    }
}
