//! Bare streams, the limit: messages in frames as long as ZMTP's, and nothing else. No handshake,
//! no routing, blocking calls.
//!
//! ```text
//!   up to 255 bytes   | 0 | length |  body ..            |
//!   longer            | 2 | length, 8 bytes |  body ..   |
//! ```
//!
//! [`Blocks`] puts frames together until there are 64 KiB for one write, which nobody who has to
//! deliver the last message can do. [`Singly`] writes each message at once, as [`Spinning`] does,
//! which never sleeps.

use std::fs;
use std::io::{ErrorKind, IoSlice, Read as _, Write};
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result, bail};

use super::{
    Lacks, Library, Read, Role, Socket, Spec, TOPIC_BYTES, Transport, is_wanted, run_at_once,
};

/// What one write carries where messages are put together, and one read where they are many. A
/// message that is longer is read by itself.
const BLOCK_BYTES: usize = 64 * 1024;

/// Longest frame that is put together with others.
const SHARED_FRAME_BYTES_MAX: usize = BLOCK_BYTES / 2;

/// How a stream is written and waited for.
pub trait Manner: 'static {
    const BLOCKS: bool;
    const SPINS: bool;
}

#[derive(Debug)]
pub struct InBlocks;

#[derive(Debug)]
pub struct OneByOne;

#[derive(Debug)]
pub struct WithoutSleep;

impl Manner for InBlocks {
    const BLOCKS: bool = true;
    const SPINS: bool = false;
}

impl Manner for OneByOne {
    const BLOCKS: bool = false;
    const SPINS: bool = false;
}

impl Manner for WithoutSleep {
    const BLOCKS: bool = false;
    const SPINS: bool = true;
}

pub type Blocks = Bare<InBlocks>;
pub type Singly = Bare<OneByOne>;
pub type Spinning = Bare<WithoutSleep>;

#[derive(Debug)]
pub struct Bare<M>(PhantomData<M>);

#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    spec: Spec,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl<M: Manner> Library for Bare<M> {
    type Bound = Bound;
    type Socket = Streams<M>;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(_: Role, spec: &Spec) -> Result<(Bound, String)> {
        let endpoint = spec.endpoint();
        let (listener, endpoint) = match spec.transport {
            Transport::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let address = format!("tcp://{}", listener.local_addr()?);
                (Listener::Tcp(listener), address)
            }
            Transport::Ipc => {
                let path = endpoint.strip_prefix("ipc://").context("a path")?;
                // One that was killed may have left it.
                fs::remove_file(path).ok();
                (Listener::Unix(UnixListener::bind(path)?), endpoint)
            }
            Transport::Inproc => bail!("a stream leaves the process"),
        };
        Ok((Bound { listener, spec: *spec }, endpoint))
    }

    async fn accept(bound: Bound, peers: usize) -> Result<Streams<M>> {
        let accept = |_| {
            Ok(match &bound.listener {
                Listener::Tcp(listener) => Stream::Tcp(listener.accept()?.0),
                Listener::Unix(listener) => Stream::Unix(listener.accept()?.0),
            })
        };
        let streams = (0..peers).map(accept).collect::<Result<_>>()?;
        Streams::new(streams, &bound.spec)
    }

    async fn connect(_: Role, endpoint: &str, spec: &Spec) -> Result<Streams<M>> {
        let stream = match endpoint.split_once("://") {
            Some(("tcp", address)) => Stream::Tcp(TcpStream::connect(address)?),
            Some(("ipc", path)) => Stream::Unix(UnixStream::connect(path)?),
            _ => bail!("{endpoint}: not a stream"),
        };
        Streams::new(vec![stream], spec)
    }
}

/// Streams to all peers: what is sent goes to each of them, what is received comes from the first.
#[derive(Debug)]
pub struct Streams<M> {
    streams: Vec<Stream>,
    header: Vec<u8>,
    bytes: usize,
    topics: bool,
    block: Vec<u8>,
    buffer: Vec<u8>,
    /// Of the buffer, what is filled and not yet taken.
    from: usize,
    to: usize,
    manner: PhantomData<M>,
}

impl<M: Manner> Streams<M> {
    fn new(streams: Vec<Stream>, spec: &Spec) -> Result<Streams<M>> {
        for stream in &streams {
            match stream {
                Stream::Tcp(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(M::SPINS)?;
                }
                Stream::Unix(stream) => stream.set_nonblocking(M::SPINS)?,
            }
        }
        let header = header(spec.bytes);
        let buffer = vec![0; BLOCK_BYTES.max(spec.bytes + header.len())];
        let block = Vec::with_capacity(BLOCK_BYTES);
        Ok(Streams {
            streams,
            header,
            bytes: spec.bytes,
            topics: spec.topics,
            block,
            buffer,
            from: 0,
            to: 0,
            manner: PhantomData,
        })
    }

    fn frame_bytes(&self) -> usize {
        self.header.len() + self.bytes
    }

    /// Reads until there is a whole message.
    fn fill(&mut self) -> Result<()> {
        while self.to - self.from < self.frame_bytes() {
            if self.from > 0 {
                self.buffer.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
            }
            match self.streams[0].read(&mut self.buffer[self.to..]) {
                Ok(0) => bail!("the other side is gone"),
                Ok(count) => self.to += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<()> {
        self.streams.iter_mut().try_for_each(|stream| stream.write_all_of(&[], &self.block))?;
        self.block.clear();
        Ok(())
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        if !M::BLOCKS || self.frame_bytes() > SHARED_FRAME_BYTES_MAX {
            let header = &self.header;
            return self.streams.iter_mut().try_for_each(|s| s.write_all_of(header, message));
        }
        if self.topics && !is_wanted(topic_in(message)) {
            return Ok(());
        }
        if self.block.len() + self.frame_bytes() > BLOCK_BYTES {
            self.write_block()?;
        }
        self.block.extend_from_slice(&self.header);
        self.block.extend_from_slice(message);
        Ok(())
    }
}

impl<M: Manner> Socket for Streams<M> {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.write(message)
    }

    async fn recv(&mut self, mut read: impl Read) -> Result<()> {
        self.fill()?;
        while self.to - self.from >= self.frame_bytes() {
            let body = self.from + self.header.len();
            self.from = body + self.bytes;
            read(&self.buffer[body..self.from])?;
        }
        Ok(())
    }

    async fn echo(&mut self) -> Result<()> {
        self.fill()?;
        let frame = self.from..self.from + self.frame_bytes();
        self.from = frame.end;
        self.streams[0].write_all_of(&[], &self.buffer[frame])
    }

    async fn flush(&mut self) -> Result<()> {
        self.write_block()
    }
}

impl Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }

    fn write_all_of(&mut self, header: &[u8], body: &[u8]) -> Result<()> {
        let mut parts = [IoSlice::new(header), IoSlice::new(body)];
        let mut parts = &mut parts[..];
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let written = match self {
                Stream::Tcp(stream) => stream.write_vectored(parts),
                Stream::Unix(stream) => stream.write_vectored(parts),
            };
            match written {
                Ok(0) => bail!("the other side is gone"),
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn header(bytes: usize) -> Vec<u8> {
    match u8::try_from(bytes) {
        Ok(length) => vec![0, length],
        Err(_) => [&[2], &(bytes as u64).to_be_bytes()[..]].concat(),
    }
}

/// The topic whose name the message begins with.
fn topic_in(message: &[u8]) -> usize {
    let digits = message[4..TOPIC_BYTES].iter();
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit.wrapping_sub(b'0')))
}
