//! What the reactor costs, next to a bare blocking program, in one process on the loopback.
//!
//! `cargo run --release -p chaski-reactor --example figures [sink|echo|file]`
//!
//! - sink: a client writes frames as fast as they are taken; by turn size and frame size. The bare
//!   row is a blocking thread that reads into one buffer of 256 KiB.
//! - echo: the round trip of 64 bytes, one at a time. The bare row is a blocking thread that reads
//!   and writes.
//! - file: a client asks for ranges of a file in the page cache, four at a time. The bare rows are
//!   a blocking thread that sends a header and then the range by `sendfile`, or both copied
//!   together.
//!
//! Each row is the best of several runs, each figure by itself.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chaski_reactor::{Closed, ConnId, Io, Limits, Output, Progress, Reactor, Service};
use rustix::net::SendFlags;

/// Runs of each row.
const ROUNDS: usize = 5;

/// Bytes moved for one throughput figure.
const TOTAL: usize = 2 << 30;

/// Round trips for one figure, at most.
const TRIPS: usize = 50_000;

/// Bytes of one long file range, its header included.
const RANGE: usize = 1 << 20;

/// Bytes of a request, and of the header of a file range.
const HEADER: usize = 64;

/// What one run, or the best of several, showed.
#[derive(Clone, Copy)]
enum Figures {
    Throughput { rate: f64, processor: f64 },
    Latency { p50: f64, p99: f64 },
}

impl Figures {
    fn best(self, other: Figures) -> Figures {
        use Figures::*;
        match (self, other) {
            (Throughput { rate, processor }, Throughput { rate: r, processor: p }) => {
                Throughput { rate: rate.max(r), processor: processor.min(p) }
            }
            (Latency { p50, p99 }, Latency { p50: a, p99: b }) => {
                Latency { p50: p50.min(a), p99: p99.min(b) }
            }
            (one, _) => one,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Figures::Throughput { rate, processor } => {
                write!(f, "{rate:5.2} GB/s  {processor:5.3} s of server CPU per GB")
            }
            Figures::Latency { p50, p99 } => write!(f, "p50 {p50:5.1} us  p99 {p99:5.1} us"),
        }
    }
}

/// What a server does with a frame.
#[derive(Clone, Copy)]
enum Work {
    /// Nothing.
    Sink,
    /// Sends it back.
    Echo,
    /// Sends a header and a range of a file, [`RANGE`] bytes together.
    File,
}

struct Server {
    work: Work,
    file: Arc<File>,
}

impl Service for Server {
    type Message = ();

    fn opened(&mut self, _io: &mut Io<'_>, _id: ConnId, _peer: SocketAddr) -> bool {
        true
    }

    fn received(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        let (mut consumed, mut need) = (0, 4);
        while let Some(length) = input[consumed..].first_chunk() {
            need = 4 + u32::from_be_bytes(*length) as usize;
            let Some(frame) = input.get(consumed..consumed + need) else { break };
            match self.work {
                Work::Sink => {}
                Work::Echo => io.send(id, Output::Bytes(frame.to_vec())),
                Work::File => {
                    let file = Arc::clone(&self.file);
                    io.send(id, Output::Bytes(vec![0; HEADER]));
                    io.send(id, Output::File { file, position: 0, len: RANGE - HEADER });
                }
            }
            (consumed, need) = (consumed + need, 4);
        }
        Progress { consumed, need }
    }

    fn closed(&mut self, io: &mut Io<'_>, _id: ConnId, _why: Closed) {
        io.stop(Duration::ZERO);
    }

    fn timer(&mut self, _io: &mut Io<'_>, _key: u64) {}

    fn message(&mut self, _io: &mut Io<'_>, _message: ()) {}
}

/// A server's thread, which returns the processor time it used, and the connection to it.
struct Run {
    stream: TcpStream,
    thread: thread::JoinHandle<Duration>,
}

impl Run {
    fn reactor(limits: Limits, work: Work, file: &Arc<File>) -> Run {
        let server = Server { work, file: Arc::clone(file) };
        Run::start(move |listener| {
            let mut reactor = Reactor::new(limits).unwrap();
            reactor.listen(listener, Vec::new()).unwrap();
            reactor.run(server).unwrap();
        })
    }

    fn bare(serve: impl FnOnce(TcpStream) + Send + 'static) -> Run {
        Run::start(move |listener| {
            let (peer, _) = listener.accept().unwrap();
            peer.set_nodelay(true).unwrap();
            serve(peer);
        })
    }

    fn start(serve: impl FnOnce(TcpListener) + Send + 'static) -> Run {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        let thread = thread::spawn(move || {
            serve(listener);
            processor_time()
        });
        Run { stream, thread }
    }

    /// A bare server of `piece` bytes for every request, of which all but a header are a file's.
    fn bare_files(file: &Arc<File>, piece: usize, copied: bool) -> Run {
        let file = Arc::clone(file);
        Run::bare(move |mut peer| {
            let mut buffer = vec![0; piece];
            while peer.read_exact(&mut [0; HEADER]).is_ok() {
                if copied {
                    file.read_exact_at(&mut buffer[HEADER..], 0).unwrap();
                    peer.write_all(&buffer).unwrap();
                    continue;
                }
                rustix::net::send(&peer, &buffer[..HEADER], SendFlags::MORE).unwrap();
                let (mut at, mut left) = (0, piece - HEADER);
                while left > 0 {
                    left -= rustix::fs::sendfile(&peer, &file, Some(&mut at), left).unwrap();
                }
            }
        })
    }

    /// Writes [`TOTAL`] bytes of frames and waits until all are read.
    fn flood(self, frame: usize) -> Figures {
        let bytes = frame_of(frame);
        let start = Instant::now();
        for _ in 0..TOTAL / frame {
            (&self.stream).write_all(&bytes).unwrap();
        }
        drop(self.stream);
        let processor = self.thread.join().unwrap();
        throughput(TOTAL, start.elapsed(), processor)
    }

    /// Asks for [`TOTAL`] bytes in pieces of this size.
    fn fetch(self, piece: usize) -> Figures {
        let count = (TOTAL / piece).min(TRIPS);
        let ask = frame_of(HEADER);
        let mut buffer = vec![0; piece];
        let start = Instant::now();
        (&self.stream).write_all(&ask.repeat(4)).unwrap();
        for n in 0..count {
            (&self.stream).read_exact(&mut buffer).unwrap();
            if n + 4 < count {
                (&self.stream).write_all(&ask).unwrap();
            }
        }
        let elapsed = start.elapsed();
        drop(self.stream);
        throughput(count * piece, elapsed, self.thread.join().unwrap())
    }

    /// Times single round trips.
    fn ping(self) -> Figures {
        let ask = frame_of(HEADER);
        let mut answer = vec![0; ask.len()];
        let mut trips: Vec<Duration> = (0..TRIPS)
            .map(|_| {
                let start = Instant::now();
                (&self.stream).write_all(&ask).unwrap();
                (&self.stream).read_exact(&mut answer).unwrap();
                start.elapsed()
            })
            .collect();
        drop(self.stream);
        self.thread.join().unwrap();
        trips.sort_unstable();
        let at = |percent: usize| trips[trips.len() * percent / 100].as_secs_f64() * 1e6;
        Figures::Latency { p50: at(50), p99: at(99) }
    }
}

/// A frame of so many bytes, its length field included.
fn frame_of(bytes: usize) -> Vec<u8> {
    let mut frame = (bytes as u32 - 4).to_be_bytes().to_vec();
    frame.resize(bytes, 7);
    frame
}

fn throughput(bytes: usize, elapsed: Duration, processor: Duration) -> Figures {
    let gigabytes = bytes as f64 / 1e9;
    Figures::Throughput {
        rate: gigabytes / elapsed.as_secs_f64(),
        processor: processor.as_secs_f64() / gigabytes,
    }
}

/// What the calling thread used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs something a few times and prints the best of it.
fn row(name: &str, run: impl Fn() -> Figures) {
    let best = (1..ROUNDS).fold(run(), |best, _| best.best(run()));
    println!("{name:34} {best}");
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![5; RANGE]).unwrap();
    let file = Arc::new(file);
    if "sink".contains(&only) {
        sink(&file);
    }
    if "echo".contains(&only) {
        echo(&file);
    }
    if "file".contains(&only) {
        files(&file);
        pieces(&file);
    }
}

fn limits(turn_bytes: usize, spin: Duration) -> Limits {
    Limits { turn_bytes, spin, ..Limits::default() }
}

fn sink(file: &Arc<File>) {
    for frame in [16 << 10, 64 << 10, 1 << 20] {
        let kib = frame >> 10;
        row(&format!("sink {kib} KiB frames, bare"), || {
            let bare = Run::bare(|mut peer| {
                let mut buffer = vec![0; 256 << 10];
                while peer.read(&mut buffer).unwrap() > 0 {}
            });
            bare.flood(frame)
        });
        for turn in [64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20] {
            row(&format!("sink {kib} KiB frames, turn {} KiB", turn >> 10), || {
                Run::reactor(limits(turn, Duration::ZERO), Work::Sink, file).flood(frame)
            });
        }
    }
}

fn echo(file: &Arc<File>) {
    row("echo 64 B, bare", || {
        let bare = Run::bare(|mut peer| {
            let mut buffer = vec![0; 4 << 10];
            while let Ok(count @ 1..) = peer.read(&mut buffer) {
                peer.write_all(&buffer[..count]).unwrap();
            }
        });
        bare.ping()
    });
    for spin in [0, 20, 50] {
        row(&format!("echo 64 B, spin {spin} us"), || {
            let limits = limits(256 << 10, Duration::from_micros(spin));
            Run::reactor(limits, Work::Echo, file).ping()
        });
    }
}

fn files(file: &Arc<File>) {
    row("file 1 MiB ranges, bare", || Run::bare_files(file, RANGE, false).fetch(RANGE));
    row("file 1 MiB ranges", || {
        Run::reactor(limits(256 << 10, Duration::ZERO), Work::File, file).fetch(RANGE)
    });
}

/// From which size on a `sendfile` of its own is worth it.
fn pieces(file: &Arc<File>) {
    for piece in [2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10] {
        let kib = piece >> 10;
        for (how, copied) in [("sent", false), ("copied", true)] {
            row(&format!("file {kib} KiB range, {how}"), || {
                Run::bare_files(file, piece, copied).fetch(piece)
            });
        }
    }
}
