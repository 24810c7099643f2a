//! A bare ROUTER, the limit of many peers: a thread shakes hands with each; then it waits with
//! epoll, reads what is there and shows the frames of one length that it finds. It sends
//! nothing and knows nobody.

use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::{Errno, read};

use super::dealers::{GREETING_BYTES, greeting, ready, take_ready};
use super::{Lacks, Library, Read, Role, Socket, Spec, run_at_once};

/// What one read takes.
const READ_BYTES: usize = 64 * 1024;

/// Flags and length of a short frame.
const HEADER_BYTES: usize = 2;

/// Connections that are told of at once.
const EVENTS_MAX: usize = 64;

#[derive(Debug)]
pub struct Bare;

/// All connections, and what waits for them.
#[derive(Debug)]
pub struct Router {
    epoll: Arc<OwnedFd>,
    accepted: Arc<Mutex<Vec<TcpStream>>>,
    peers: Vec<Peer>,
    frame_bytes: usize,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    /// The beginning of a frame.
    rest: Vec<u8>,
}

impl Library for Bare {
    type Bound = Router;
    type Socket = Router;

    const LACKS: &'static [Lacks] = &[];

    fn run<T>(side: impl Future<Output = Result<T>>) -> Result<T> {
        run_at_once(side)
    }

    async fn bind(role: Role, spec: &Spec) -> Result<(Router, String)> {
        ensure!(role == Role::Router, "a ROUTER and nothing else");
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("tcp://{}", listener.local_addr()?);
        let router = Router {
            epoll: Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?),
            accepted: Arc::default(),
            peers: Vec::new(),
            frame_bytes: HEADER_BYTES + spec.bytes,
            buffer: Vec::with_capacity(READ_BYTES),
        };
        let (epoll, accepted) = (Arc::clone(&router.epoll), Arc::clone(&router.accepted));
        thread::spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                let admitted = stream.map_err(Into::into).and_then(|stream| {
                    let stream = admit(stream)?;
                    // Who is told of it finds it once this is done.
                    let mut accepted = accepted.lock().expect("nobody panics here");
                    let events = epoll::EventFlags::IN;
                    epoll::add(&epoll, &stream, epoll::EventData::new_u64(at as u64), events)?;
                    accepted.push(stream);
                    anyhow::Ok(())
                });
                if let Err(error) = admitted {
                    eprintln!("a peer: {error:#}");
                }
            }
        });
        Ok((router, endpoint))
    }

    async fn accept(bound: Router, _: usize) -> Result<Router> {
        Ok(bound)
    }

    async fn connect(_: Role, _: &str, _: &Spec) -> Result<Router> {
        bail!("a ROUTER that connects to nobody")
    }
}

fn admit(mut stream: TcpStream) -> Result<TcpStream> {
    let mut theirs = [0; GREETING_BYTES];
    stream.read_exact(&mut theirs)?;
    stream.write_all(&greeting())?;
    take_ready(&mut stream)?;
    stream.write_all(&ready(b"ROUTER"))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl Socket for Router {
    async fn send(&mut self, _: &[u8]) -> Result<()> {
        bail!("a ROUTER that knows nobody")
    }

    async fn recv(&mut self, mut show: impl Read) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let at = event.data.u64() as usize;
            if at >= self.peers.len() {
                let mut accepted = self.accepted.lock().expect("nobody panics here");
                let peer = |stream| Peer { stream, rest: Vec::new() };
                self.peers.extend(accepted.drain(..).map(peer));
            }
            self.peers[at].read_some(self.frame_bytes, &mut self.buffer, &mut show)?;
        }
        Ok(())
    }

    async fn echo(&mut self) -> Result<()> {
        bail!("a ROUTER that knows nobody")
    }
}

impl Peer {
    fn read_some(
        &mut self,
        frame_bytes: usize,
        buffer: &mut Vec<u8>,
        show: &mut impl Read,
    ) -> Result<()> {
        buffer.clear();
        buffer.append(&mut self.rest);
        match read(&self.stream, spare_capacity(buffer)) {
            Ok(0) => bail!("a peer is gone"),
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        let frames = buffer.chunks_exact(frame_bytes);
        self.rest.extend_from_slice(frames.remainder());
        frames.map(|frame| &frame[HEADER_BYTES..]).try_for_each(show)
    }
}
