//! The generator: one thread keeps a fixed number of identical requests in flight over a few
//! connections. A request is encoded once, so the generator does no work per record and what is
//! measured is the server.
//!
//! ```text
//! tape:  | frame | frame | frame |   copies of the one request, up to 64 KiB of them
//!              ^at                   written round and round; `owed` bytes are due
//! ```

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll::{self, EventData, EventFlags};

/// Small requests that are due together leave in one write of up to this many bytes.
const TAPE_BYTES: usize = 64 * 1024;

/// Responses are small; this many bytes of them are read at once.
const READ_BYTES: usize = 64 * 1024;

/// A server silent for this long has failed.
const SILENCE_MAX_SECONDS: i64 = 60;

/// What a parser found at the front of the bytes it was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of whole replies.
    pub bytes: usize,
    pub replies: usize,
}

/// Counts replies of one protocol.
pub trait Replies {
    /// Takes as many whole replies as `bytes` begins with; an error if one reports a failure.
    fn take(&mut self, bytes: &[u8]) -> Result<Taken>;
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// After this many requests.
    Requests(u64),
    /// No new request after this time.
    After(Duration),
}

/// What a run saw.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub seconds: f64,
    /// From the write of a request to the read of its reply; sorted.
    pub latencies_ns: Vec<u64>,
    /// The longest time without any reply.
    pub stall_ns: u64,
}

/// One connection of the generator.
pub struct Lane {
    socket: TcpStream,
    replies: Box<dyn Replies>,
    tape: Vec<u8>,
    frame_bytes: usize,
    at: usize,
    owed: usize,
    sent: VecDeque<Instant>,
    inbox: Vec<u8>,
    filled: usize,
    blocked: bool,
}

impl Lane {
    pub fn new(socket: TcpStream, frame: &[u8], replies: Box<dyn Replies>) -> Result<Lane> {
        socket.set_nodelay(true)?;
        Ok(Lane {
            socket,
            replies,
            tape: frame.repeat((TAPE_BYTES / frame.len()).max(1)),
            frame_bytes: frame.len(),
            at: 0,
            owed: 0,
            sent: VecDeque::new(),
            inbox: vec![0; READ_BYTES],
            filled: 0,
            blocked: false,
        })
    }

    fn write_owed(&mut self) -> Result<()> {
        self.blocked = false;
        while self.owed > 0 {
            let end = self.tape.len().min(self.at + self.owed);
            match self.socket.write(&self.tape[self.at..end]) {
                Ok(0) => bail!("the server has closed the connection"),
                Ok(written) => {
                    self.at = (self.at + written) % self.tape.len();
                    self.owed -= written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads once and records what has been answered; how many replies that was.
    fn read_replies(&mut self, latencies_ns: &mut Vec<u64>) -> Result<usize> {
        let read = match self.socket.read(&mut self.inbox[self.filled..]) {
            Ok(0) => bail!("the server has closed the connection"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        self.filled += read;
        let taken = self.replies.take(&self.inbox[..self.filled])?;
        self.inbox.copy_within(taken.bytes..self.filled, 0);
        self.filled -= taken.bytes;
        ensure!(self.filled < self.inbox.len(), "a reply longer than {READ_BYTES} bytes");
        for _ in 0..taken.replies {
            let sent = self.sent.pop_front().context("a reply without a request")?;
            latencies_ns.push((now - sent).as_nanos() as u64);
        }
        Ok(taken.replies)
    }
}

/// A set of connections, each with the same number of requests in flight.
pub struct Load {
    lanes: Vec<Lane>,
    in_flight: usize,
    epoll: OwnedFd,
}

impl Load {
    pub fn new(lanes: Vec<Lane>, in_flight: usize) -> Result<Load> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, lane) in lanes.iter().enumerate() {
            lane.socket.set_nonblocking(true)?;
            epoll::add(&epoll, &lane.socket, EventData::new_u64(index as u64), EventFlags::IN)?;
        }
        Ok(Load { lanes, in_flight, epoll })
    }

    /// Runs until `stop` and until every request has its reply.
    pub fn run(&mut self, stop: Stop) -> Result<Tally> {
        if self.lanes.len() == 1 && self.in_flight == 1 {
            return self.run_in_turn(stop);
        }
        let mut tally = Tally::default();
        let start = Instant::now();
        let mut last_reply = start;
        let mut admitted = 0;
        for index in 0..self.lanes.len() {
            admitted += self.admit(index, stop, start, admitted)?;
        }
        let mut events = Vec::with_capacity(self.lanes.len());
        while tally.requests < admitted {
            events.clear();
            let silence = rustix::event::Timespec { tv_sec: SILENCE_MAX_SECONDS, tv_nsec: 0 };
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&silence))?;
            ensure!(!events.is_empty(), "no reply for {SILENCE_MAX_SECONDS} s");
            for event in &events {
                let index = event.data.u64() as usize;
                let replies = self.lanes[index].read_replies(&mut tally.latencies_ns)?;
                if replies > 0 {
                    let now = Instant::now();
                    if tally.requests > 0 {
                        tally.stall_ns = tally.stall_ns.max((now - last_reply).as_nanos() as u64);
                    }
                    last_reply = now;
                    tally.requests += replies as u64;
                }
                admitted += self.admit(index, stop, start, admitted)?;
            }
        }
        tally.finish(start)
    }

    /// Lets a connection send what its window has room for; how many requests that was.
    fn admit(&mut self, index: usize, stop: Stop, start: Instant, admitted: u64) -> Result<u64> {
        let lane = &mut self.lanes[index];
        let was_blocked = lane.blocked;
        let now = Instant::now();
        let left = stop.left(admitted, now - start);
        let room = (self.in_flight.saturating_sub(lane.sent.len()) as u64).min(left);
        lane.sent.extend((0..room).map(|_| now));
        lane.owed += room as usize * lane.frame_bytes;
        lane.write_owed()?;
        if lane.blocked != was_blocked {
            let mut interest = EventFlags::IN;
            interest.set(EventFlags::OUT, lane.blocked);
            let data = EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &self.lanes[index].socket, data, interest)?;
        }
        Ok(room)
    }

    /// One request at a time over one connection, on a blocking socket: no poll in between, so that
    /// the latency is the server's.
    fn run_in_turn(&mut self, stop: Stop) -> Result<Tally> {
        let lane = &mut self.lanes[0];
        lane.socket.set_nonblocking(false)?;
        lane.socket.set_read_timeout(Some(Duration::from_secs(SILENCE_MAX_SECONDS as u64)))?;
        let mut tally = Tally::default();
        let start = Instant::now();
        let mut last_reply = start;
        while stop.left(tally.requests, last_reply - start) > 0 {
            let sent = Instant::now();
            lane.sent.push_back(sent);
            lane.owed = lane.frame_bytes;
            lane.write_owed()?;
            while lane.read_replies(&mut tally.latencies_ns)? == 0 {
                let silent = sent.elapsed().as_secs() as i64 >= SILENCE_MAX_SECONDS;
                ensure!(!silent, "no reply for {SILENCE_MAX_SECONDS} s");
            }
            last_reply = Instant::now();
            tally.stall_ns = tally.stall_ns.max((last_reply - sent).as_nanos() as u64);
            tally.requests += 1;
        }
        tally.finish(start)
    }
}

impl Stop {
    fn left(self, admitted: u64, elapsed: Duration) -> u64 {
        match self {
            Stop::Requests(total) => total.saturating_sub(admitted),
            Stop::After(limit) if elapsed >= limit => 0,
            Stop::After(_) => u64::MAX,
        }
    }
}

impl Tally {
    fn finish(mut self, start: Instant) -> Result<Tally> {
        self.seconds = start.elapsed().as_secs_f64();
        ensure!(self.requests > 0, "nothing was sent");
        self.latencies_ns.sort_unstable();
        Ok(self)
    }

    pub fn requests_per_s(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Every byte received is a reply.
    struct Bytes;

    impl Replies for Bytes {
        fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
            Ok(Taken { bytes: bytes.len(), replies: bytes.len() })
        }
    }

    fn lanes(count: usize, frame: &[u8]) -> (TcpListener, Vec<Lane>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lanes = (0..count)
            .map(|_| Lane::new(TcpStream::connect(address).unwrap(), frame, Box::new(Bytes)))
            .collect::<Result<Vec<_>>>()
            .unwrap();
        (listener, lanes)
    }

    /// Answers every frame on every connection with one byte, until the other side hangs up.
    fn answer(listener: TcpListener, count: usize, frame_bytes: usize) {
        for _ in 0..count {
            let (mut socket, _) = listener.accept().unwrap();
            std::thread::spawn(move || {
                let mut frame = vec![0; frame_bytes];
                while socket.read_exact(&mut frame).is_ok() {
                    assert_eq!(frame[0], b'<');
                    if socket.write_all(&[1]).is_err() {
                        break;
                    }
                }
            });
        }
    }

    #[test]
    fn sends_and_counts_exactly_what_was_asked() {
        for (connections, frame_bytes, in_flight) in [(1, 5, 1), (1, 100_000, 8), (3, 200, 64)] {
            let mut frame = vec![b'.'; frame_bytes];
            frame[0] = b'<';
            let (listener, lanes) = lanes(connections, &frame);
            answer(listener, connections, frame_bytes);
            let mut load = Load::new(lanes, in_flight).unwrap();
            for requests in [1, 1000] {
                let tally = load.run(Stop::Requests(requests)).unwrap();
                assert_eq!(tally.requests, requests);
                assert_eq!(tally.latencies_ns.len() as u64, requests);
            }
        }
    }

    #[test]
    fn a_server_that_hangs_up_is_an_error() {
        let (listener, lanes) = lanes(1, b"<");
        drop(listener.accept().unwrap());
        assert!(Load::new(lanes, 8).unwrap().run(Stop::Requests(10)).is_err());
    }
}
