//! A word on a cache line in each direction: what two processes that spin cannot be quicker than.
//! Of each message only the first word travels.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::rivals::processes::link::Link;
use crate::rivals::processes::shared::{Shareable, Shared};
use crate::rivals::processes::{Calls, Mux, Opens, Read, Serves, Spec, Wait};
use crate::workloads::padded::Padded;

/// Requests count from 1, so that zero is none.
#[derive(Debug)]
#[repr(C)]
pub struct Words {
    pub there: Padded<AtomicU32>,
    pub back: Padded<AtomicU32>,
}

// SAFETY: two atomics, of which zero is a value.
unsafe impl Shareable for Words {}

/// Lines on which a client asks.
#[derive(Debug)]
pub struct Asking {
    lines: Vec<Line>,
    wait: Wait,
}

/// Lines on which a server answers.
#[derive(Debug)]
pub struct Answering(Vec<Line>);

/// The words, and the number that was seen last.
#[derive(Debug)]
struct Line {
    words: Shared<Words>,
    seen: u32,
}

impl Opens for Asking {
    fn open(links: &[&Link], spec: Spec) -> Result<Asking> {
        let line = |link: &&Link| Ok(Line { words: Shared::give(link)?, seen: 0 });
        Ok(Asking { lines: links.iter().map(line).collect::<Result<_>>()?, wait: spec.wait })
    }
}

impl Opens for Answering {
    fn open(links: &[&Link], _: Spec) -> Result<Answering> {
        let line = |link: &&Link| Ok(Line { words: Shared::take(link)?, seen: 0 });
        links.iter().map(line).collect::<Result<_>>().map(Answering)
    }
}

impl Line {
    #[inline]
    fn ask(&self, request: &[u8]) {
        // ORDERING: the number is the message; there is nothing to order it with.
        self.words.there.0.store(number_of(request), Ordering::Relaxed);
    }

    #[inline]
    fn answered(&mut self, mut read: impl Read) -> Result<bool> {
        let number = self.words.back.0.load(Ordering::Relaxed);
        let new = number != self.seen;
        if new {
            self.seen = number;
            read(&number.to_ne_bytes())?;
        }
        Ok(new)
    }

    #[inline]
    fn answer(&mut self) {
        let number = self.words.there.0.load(Ordering::Relaxed);
        if number != self.seen {
            self.seen = number;
            self.words.back.0.store(number, Ordering::Relaxed);
        }
    }
}

impl Calls for Asking {
    fn call(&mut self, request: &[u8], mut read: impl Read) -> Result<()> {
        let line = &mut self.lines[0];
        line.ask(request);
        while !line.answered(&mut read)? {
            self.wait.pause();
        }
        Ok(())
    }
}

impl Mux for Asking {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        self.lines[at].ask(request);
        Ok(())
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(0..self.lines.len());
        Ok(())
    }

    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool> {
        self.lines[at].answered(read)
    }
}

impl Serves for Answering {
    fn serve(&mut self) -> Result<()> {
        self.0.iter_mut().for_each(Line::answer);
        std::hint::spin_loop();
        Ok(())
    }
}

/// The first word of a message.
pub fn number_of(message: &[u8]) -> u32 {
    u32::from_ne_bytes(message[..4].try_into().expect("a message has a word"))
}
