//! A stream of messages from one client to another, whatever is between them: as fast as they go,
//! or at an even rate with the time that each has taken.
//!
//! ```text
//!   message   | flow, 8 bytes | number, 8 | sent at, 8 | dots ..
//!   numbers   0 0 0 .. until the other side has heard one, 1 2 3 .., END END .. until it has too
//! ```
//! Messages of another flow, which a path may still hold, are passed over. Those of this one may be
//! lost, but must come in order and once. Each side is a thread that makes its own client, because
//! some may not change threads; one that stalls is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Messages handed over in one call where there is no pace.
const CALL_MESSAGES: usize = 250;

/// Pause between messages that only look whether the other side is there.
const KNOCK: Duration = Duration::from_millis(5);

/// A flow that takes so much longer than it is to stalls.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number of a message behind the last.
const END: u64 = u64::MAX;

/// Who sends.
pub trait Source {
    /// Queues all of them, and waits while there is no room.
    fn send(&mut self, messages: &[Vec<u8>]) -> Result<()>;
}

/// Who receives.
pub trait Sink {
    /// Waits for messages, and shows those that are there.
    fn take(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()>;
}

/// Makes a client in the thread that will use it.
pub type Make<T> = Box<dyn FnOnce() -> Result<Box<T>> + Send>;

/// How messages follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As fast as they go, for so long.
    Free(Duration),
    /// So many a second, for so long.
    Even(u64, Duration),
}

/// A stream to be.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// No other flow on the same path has it.
    pub number: u64,
    pub pace: Pace,
    /// Length of each message.
    pub bytes: usize,
}

/// What became of one.
#[derive(Debug)]
pub struct Arrived {
    /// Messages that came, by the time from the first that was sent to the end.
    pub per_s: f64,
    /// The share that did not come.
    pub lost: f64,
    /// From before the send to after the receipt, sorted; none where there is no pace.
    pub latencies_ns: Vec<u64>,
}

/// What both sides see.
#[derive(Debug)]
struct Board {
    epoch: Instant,
    /// The receiver has heard something.
    has_begun: AtomicBool,
    /// The receiver has seen the end.
    has_ended: AtomicBool,
    started_ns: AtomicU64,
    sent: AtomicU64,
}

/// What the receiver has seen.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    last: u64,
    disorder: Option<(u64, u64)>,
    ended_ns: Option<u64>,
    latencies_ns: Vec<u64>,
}

impl Flow {
    /// Sends from one to the other until the time is over, and all that will come has come.
    pub fn run(self, source: Make<dyn Source>, sink: Make<dyn Sink>) -> Result<Arrived> {
        let board = Arc::new(Board {
            epoch: Instant::now(),
            has_begun: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            started_ns: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let (tell, told) = mpsc::channel();
        side(&tell, &board, move |board| self.receive(&mut *sink()?, board).map(Some));
        side(&tell, &board, move |board| self.send(&mut *source()?, board).map(|()| None));
        drop(tell);
        let deadline = Instant::now() + self.time() + PATIENCE;
        let mut seen = None;
        for _ in 0..2 {
            let left = deadline.saturating_duration_since(Instant::now());
            seen = told.recv_timeout(left).context("the flow has stalled")??.or(seen);
        }
        let seen = seen.context("nobody has received")?;
        let sent = board.sent.load(Ordering::Acquire);
        let ended_ns = seen.ended_ns.context("no end")?;
        let took_ns = ended_ns.saturating_sub(board.started_ns.load(Ordering::Acquire));
        ensure!(sent > 0 && took_ns > 0, "nothing was sent");
        Ok(Arrived {
            per_s: seen.count as f64 * 1e9 / took_ns as f64,
            lost: 1.0 - seen.count as f64 / sent as f64,
            latencies_ns: seen.latencies_ns,
        })
    }

    fn time(&self) -> Duration {
        match self.pace {
            Pace::Free(time) | Pace::Even(_, time) => time,
        }
    }

    fn send(self, source: &mut dyn Source, board: &Board) -> Result<()> {
        self.knock(source, board, 0, &board.has_begun)?;
        let started = board.epoch.elapsed();
        board.started_ns.store(started.as_nanos() as u64, Ordering::Release);
        let sent = match self.pace {
            Pace::Free(time) => self.send_freely(source, board, started + time)?,
            Pace::Even(rate, time) => self.send_evenly(source, board, rate, time)?,
        };
        board.sent.store(sent, Ordering::Release);
        self.knock(source, board, END, &board.has_ended)
    }

    /// Sends the same number again and again, until it was heard.
    fn knock(
        &self,
        source: &mut dyn Source,
        board: &Board,
        number: u64,
        heard: &AtomicBool,
    ) -> Result<()> {
        let mut message = self.blank();
        let deadline = Instant::now() + PATIENCE;
        while !heard.load(Ordering::Acquire) {
            ensure!(Instant::now() < deadline, "nobody hears");
            self.write(&mut message, number, board);
            source.send(std::slice::from_ref(&message))?;
            thread::sleep(KNOCK);
        }
        Ok(())
    }

    fn send_freely(self, source: &mut dyn Source, board: &Board, until: Duration) -> Result<u64> {
        let mut messages = vec![self.blank(); CALL_MESSAGES];
        let mut number: u64 = 0;
        while board.epoch.elapsed() < until {
            for message in &mut messages {
                number += 1;
                message[8..16].copy_from_slice(&number.to_le_bytes());
            }
            source.send(&messages)?;
        }
        Ok(number)
    }

    fn send_evenly(
        self,
        source: &mut dyn Source,
        board: &Board,
        rate: u64,
        time: Duration,
    ) -> Result<u64> {
        let mut message = self.blank();
        let begin = Instant::now();
        let count = rate * time.as_millis() as u64 / 1000;
        for number in 1..=count {
            let due = Duration::from_nanos(1_000_000_000 * number / rate);
            thread::sleep(due.saturating_sub(begin.elapsed()));
            self.write(&mut message, number, board);
            source.send(std::slice::from_ref(&message))?;
        }
        Ok(count)
    }

    fn receive(self, sink: &mut dyn Sink, board: &Board) -> Result<Seen> {
        let mut seen = Seen::default();
        let timed = matches!(self.pace, Pace::Even(..));
        while seen.ended_ns.is_none() {
            sink.take(&mut |message| {
                let word =
                    |at: usize| message.get(at..)?.first_chunk().map(|w| u64::from_le_bytes(*w));
                let (Some(flow), Some(number), Some(sent)) = (word(0), word(8), word(16)) else {
                    return;
                };
                if flow != self.number || seen.ended_ns.is_some() {
                    return;
                }
                let now = || board.epoch.elapsed().as_nanos() as u64;
                match number {
                    0 => board.has_begun.store(true, Ordering::Release),
                    END => seen.ended_ns = Some(now()),
                    number => {
                        if number <= seen.last {
                            seen.disorder = Some((number, seen.last));
                        }
                        (seen.last, seen.count) = (number, seen.count + 1);
                        if timed {
                            seen.latencies_ns.push(now().saturating_sub(sent));
                        }
                    }
                }
            })?;
            if let Some((number, last)) = seen.disorder {
                anyhow::bail!("{number} after {last}");
            }
        }
        board.has_ended.store(true, Ordering::Release);
        seen.latencies_ns.sort_unstable();
        Ok(seen)
    }

    fn blank(&self) -> Vec<u8> {
        let mut message = vec![b'.'; self.bytes.max(24)];
        message[..8].copy_from_slice(&self.number.to_le_bytes());
        message
    }

    fn write(&self, message: &mut [u8], number: u64, board: &Board) {
        let now = board.epoch.elapsed().as_nanos() as u64;
        message[8..16].copy_from_slice(&number.to_le_bytes());
        message[16..24].copy_from_slice(&now.to_le_bytes());
    }
}

fn side(
    tell: &Sender<Result<Option<Seen>>>,
    board: &Arc<Board>,
    work: impl FnOnce(&Board) -> Result<Option<Seen>> + Send + 'static,
) {
    let (tell, board) = (tell.clone(), Arc::clone(board));
    thread::spawn(move || {
        // Who listened may have given up.
        tell.send(work(&board)).ok();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Into(mpsc::SyncSender<Vec<u8>>);
    struct OutOf(mpsc::Receiver<Vec<u8>>);

    impl Source for Into {
        fn send(&mut self, messages: &[Vec<u8>]) -> Result<()> {
            // The other end is gone once it has seen the end.
            messages.iter().for_each(|message| drop(self.0.send(message.clone())));
            Ok(())
        }
    }

    impl Sink for OutOf {
        fn take(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
            each(&self.0.recv()?);
            Ok(())
        }
    }

    #[test]
    fn a_flow_over_a_channel_loses_nothing() {
        for pace in [Pace::Free(KNOCK), Pace::Even(1000, 4 * KNOCK)] {
            let (into, out_of) = mpsc::sync_channel(100);
            let flow = Flow { number: 7, pace, bytes: 64 };
            let arrived = flow
                .run(
                    Box::new(move || Ok(Box::new(Into(into)))),
                    Box::new(move || Ok(Box::new(OutOf(out_of)))),
                )
                .expect("both ends are there");
            assert_eq!(arrived.lost, 0.0);
            let timed = matches!(pace, Pace::Even(..));
            assert_eq!(arrived.latencies_ns.len(), if timed { 20 } else { 0 });
        }
    }
}
