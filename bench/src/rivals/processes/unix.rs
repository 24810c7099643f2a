//! Unix sockets: streams, where messages have one length and need no other mark, and packets. Where
//! there are many connections, epoll says which of them have something.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, bail};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with,
    bind, connect, listen, recv, send, socket_with, socketpair,
};

use super::bytes::{Reader, Writer, set_waiting};
use super::lanes::{Far, Near};
use super::link::Link;
use super::{Ends, Hosts, Mux, Opens, Read, Receives, Sends, Serves, Spec, Visits};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// A socket that carries a stream of bytes.
#[derive(Debug)]
pub struct Stream;

/// A socket that keeps messages apart.
#[derive(Debug)]
pub struct SeqPacket;

impl Ends for Stream {
    type Tx = Writer;
    type Rx = Reader;

    fn near(link: &Link, spec: Spec) -> Result<(Writer, Reader)> {
        stream(given(link, SocketType::STREAM)?, spec)
    }

    fn far(link: &Link, spec: Spec) -> Result<(Writer, Reader)> {
        let [socket] = link.take()?;
        stream(socket, spec)
    }
}

impl Ends for SeqPacket {
    type Tx = Packets;
    type Rx = Packets;

    fn near(link: &Link, spec: Spec) -> Result<(Packets, Packets)> {
        packets(given(link, SocketType::SEQPACKET)?, spec)
    }

    fn far(link: &Link, spec: Spec) -> Result<(Packets, Packets)> {
        let [socket] = link.take()?;
        packets(socket, spec)
    }
}

/// One of two connected sockets; the other side has the other.
fn given(link: &Link, kind: SocketType) -> Result<OwnedFd> {
    let (socket, other) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    link.give(&[other.as_fd()])?;
    Ok(socket)
}

fn stream(socket: OwnedFd, spec: Spec) -> Result<(Writer, Reader)> {
    Ok((Writer::new(socket.try_clone()?, spec)?, Reader::new(socket, spec)?))
}

fn packets(socket: OwnedFd, spec: Spec) -> Result<(Packets, Packets)> {
    set_waiting(&socket, spec.wait)?;
    let end = |socket| Packets { socket, buffer: vec![0; spec.bytes] };
    Ok((end(socket.try_clone()?), end(socket)))
}

/// One end of a socket that keeps messages apart.
#[derive(Debug)]
pub struct Packets {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Sends for Packets {
    fn offer(&mut self, message: &[u8]) -> Result<bool> {
        match send(&self.socket, message, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Receives for Packets {
    fn show(&mut self, mut read: impl Read) -> Result<bool> {
        let taken = take(&self.socket, &mut self.buffer)?;
        if taken {
            read(&self.buffer)?;
        }
        Ok(taken)
    }
}

fn take(socket: &OwnedFd, into: &mut [u8]) -> Result<bool> {
    match recv(socket, into, RecvFlags::empty()) {
        Ok((0, _)) => bail!("the other side is gone"),
        Ok(_) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The client of many connections.
pub struct Asking<E: Ends> {
    near: Near<E>,
    watched: Watched,
}

/// The server of many connections.
pub struct Answering<E: Ends> {
    far: Far<E>,
    watched: Watched,
}

impl<E: Ends<Rx: AsFd>> Opens for Asking<E> {
    fn open(links: &[&Link], spec: Spec) -> Result<Asking<E>> {
        let near = Near::<E>::open(links, spec)?;
        let watched = Watched::new(near.inboxes())?;
        Ok(Asking { near, watched })
    }
}

impl<E: Ends<Rx: AsFd>> Opens for Answering<E> {
    fn open(links: &[&Link], spec: Spec) -> Result<Answering<E>> {
        let far = Far::<E>::open(links, spec)?;
        let watched = Watched::new(far.inboxes())?;
        Ok(Answering { far, watched })
    }
}

impl<E: Ends<Rx: AsFd>> Mux for Asking<E> {
    fn request(&mut self, at: usize, request: &[u8]) -> Result<()> {
        self.near.request(at, request)
    }

    fn ready(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        ready.extend(self.watched.look()?);
        Ok(())
    }

    fn poll(&mut self, at: usize, read: impl Read) -> Result<bool> {
        self.near.poll(at, read)
    }
}

impl<E: Ends<Rx: AsFd>> Serves for Answering<E> {
    fn serve(&mut self) -> Result<()> {
        self.watched.look()?.try_for_each(|at| self.far.serve_one(at))
    }
}

/// Descriptors by their place.
struct Watched {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Watched {
    fn new<'a>(
        descriptors: impl ExactSizeIterator<Item = &'a (impl AsFd + 'a)>,
    ) -> Result<Watched> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(descriptors.len());
        for (at, descriptor) in descriptors.enumerate() {
            epoll::add(&epoll, descriptor, EventData::new_u64(at as u64), EventFlags::IN)?;
        }
        Ok(Watched { epoll, events })
    }

    /// Those that can be read; does not wait.
    fn look(&mut self) -> Result<impl Iterator<Item = usize>> {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        epoll::wait(&self.epoll, spare, Some(&at_once))?;
        Ok(self.events.iter().map(|event| event.data.u64() as usize))
    }
}

/// Connects a stream for each visit.
#[derive(Debug)]
pub struct Visitor<E> {
    address: Address,
    spec: Spec,
    kind: PhantomData<E>,
}

#[derive(Debug)]
pub struct Host {
    listener: OwnedFd,
    spec: Spec,
}

impl Opens for Visitor<Stream> {
    fn open(links: &[&Link], spec: Spec) -> Result<Self> {
        Ok(Visitor { address: Address::heard(links[0])?, spec, kind: PhantomData })
    }
}

impl Opens for Host {
    fn open(links: &[&Link], spec: Spec) -> Result<Host> {
        Ok(Host { listener: Address::listen(links[0], SocketType::STREAM)?, spec })
    }
}

impl Visits for Visitor<Stream> {
    fn visit(&mut self, request: &[u8], read: impl Read) -> Result<()> {
        let (mut tx, mut rx) = stream(self.address.connect(SocketType::STREAM)?, self.spec)?;
        tx.send(request)?;
        rx.receive(read)
    }
}

impl Hosts for Host {
    fn host(&mut self) -> Result<()> {
        let (mut tx, mut rx) = stream(accept(&self.listener)?, self.spec)?;
        while !rx.show(|request| tx.send(request))? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

/// Where a turn's server listens: a name without a file.
#[derive(Debug)]
pub struct Address(SocketAddrUnix);

impl Address {
    /// A listener, of which the other side of the link hears.
    pub fn listen(link: &Link, kind: SocketType) -> Result<OwnedFd> {
        let address = Address::of(link)?;
        let listener = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        bind(&listener, &address.0)?;
        listen(&listener, BACKLOG)?;
        link.meet()?;
        Ok(listener)
    }

    /// Where the other side of the link listens.
    pub fn heard(link: &Link) -> Result<Address> {
        link.meet()?;
        Address::of(link)
    }

    pub fn connect(&self, kind: SocketType) -> Result<OwnedFd> {
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &self.0)?;
        Ok(socket)
    }

    fn of(link: &Link) -> Result<Address> {
        let name = format!("bench-{}", link.turn());
        SocketAddrUnix::new_abstract_name(name.as_bytes()).context("a name").map(Address)
    }
}

pub fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    Ok(acceptfrom_with(listener, SocketFlags::CLOEXEC)?.0)
}
