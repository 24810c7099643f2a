//! Waiting for several sockets and other descriptors at once.
//!
//! ```
//! use std::time::Duration;
//! use chaski_zmq::{PollItem, Pull, Push, poll};
//!
//! let (work, news) = (Pull::new(), Pull::new());
//! work.bind("inproc://poll-work")?;
//! news.bind("inproc://poll-news")?;
//! let sender = Push::new();
//! sender.connect("inproc://poll-news")?;
//! sender.send("hello")?;
//!
//! let mut items = [PollItem::readable(&work), PollItem::readable(&news)];
//! assert_eq!(poll(&mut items, Duration::from_secs(9))?, 1);
//! assert!(!items[0].is_readable() && items[1].is_readable());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it sleeps
//!
//! ```text
//!   look at every socket      what has come, who has room            memory only
//!   stand by at each          whoever makes it so rings the bell
//!   look again                nothing is missed between the two
//!   poll(2)                   the sockets' own polls, the other descriptors, the bell
//! ```
//!
//! A socket's descriptor says that something happened to one of its connections; what that was is
//! taken from it after the sleep, for all who wait there. What comes from a socket of this process
//! has no descriptor, and rings the bell: an eventfd, one a thread. So no sleep ends late, and a
//! message that arrives between the look and the sleep ends it at once.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::Errno;
use smallvec::SmallVec;

use crate::driver::Forked;
use crate::socket::Socket;
use crate::socket::standby::{Standby, Want};

/// What an item is ready for, or is to be.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Readiness = Readiness(0);
    /// A message can be received, or bytes be read, without waiting (`ZMQ_POLLIN`).
    pub const IN: Readiness = Readiness(1);
    /// A message can be sent, or bytes be written, without waiting (`ZMQ_POLLOUT`).
    pub const OUT: Readiness = Readiness(2);
    /// A descriptor has an error or was hung up (`ZMQ_POLLERR`); it is always looked for. A socket
    /// never has it.
    pub const ERR: Readiness = Readiness(4);
    /// A descriptor has urgent data (`ZMQ_POLLPRI`). A socket never has it.
    pub const PRI: Readiness = Readiness(8);

    /// Whether all of `other` is in this.
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is nothing in it.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Readiness {
    type Output = Readiness;

    fn bitor(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Readiness) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(Self::IN, "IN"), (Self::OUT, "OUT"), (Self::ERR, "ERR"), (Self::PRI, "PRI")];
        let mut found = names.into_iter().filter(|(one, _)| self.contains(*one));
        match found.next() {
            None => f.write_str("NONE"),
            Some((_, first)) => {
                f.write_str(first)?;
                found.try_for_each(|(_, name)| write!(f, " | {name}"))
            }
        }
    }
}

/// A socket or a descriptor, what it is waited for, and what it was found ready for.
#[derive(Debug)]
pub struct PollItem<'a> {
    source: Source<'a>,
    wanted: Readiness,
    found: Readiness,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Socket(&'a Socket),
    Descriptor(BorrowedFd<'a>),
}

impl<'a> PollItem<'a> {
    /// Waits for a socket. A SUB socket, say, is never ready to send: that is no error, as in
    /// libzmq.
    pub fn socket(socket: &'a impl AsRef<Socket>, wanted: Readiness) -> Self {
        PollItem { source: Source::Socket(socket.as_ref()), wanted, found: Readiness::NONE }
    }

    /// Waits for a message to receive.
    pub fn readable(socket: &'a impl AsRef<Socket>) -> Self {
        Self::socket(socket, Readiness::IN)
    }

    /// Waits for room to send.
    pub fn writable(socket: &'a impl AsRef<Socket>) -> Self {
        Self::socket(socket, Readiness::OUT)
    }

    /// Waits for a descriptor of another kind: a pipe, a timer, standard input.
    pub fn descriptor(descriptor: &'a impl AsFd, wanted: Readiness) -> Self {
        PollItem { source: Source::Descriptor(descriptor.as_fd()), wanted, found: Readiness::NONE }
    }

    /// Waits for something else from now on; for nothing, if that is [`Readiness::NONE`].
    pub fn set_wanted(&mut self, wanted: Readiness) {
        self.wanted = wanted;
    }

    /// What the last [`poll`] found.
    pub fn found(&self) -> Readiness {
        self.found
    }

    /// Whether the last [`poll`] found a message or bytes.
    pub fn is_readable(&self) -> bool {
        self.found.contains(Readiness::IN)
    }

    /// Whether the last [`poll`] found room.
    pub fn is_writable(&self) -> bool {
        self.found.contains(Readiness::OUT)
    }

    /// What is waited for at a socket.
    fn wants(&self) -> impl Iterator<Item = (&'a Socket, Want)> + use<'a> {
        let socket = match self.source {
            Source::Socket(socket) => Some(socket),
            Source::Descriptor(_) => None,
        };
        let wanted = self.wanted;
        let both = [(Readiness::IN, Want::Recv), (Readiness::OUT, Want::Send)];
        let asked = both.into_iter().filter(move |(one, _)| wanted.contains(*one));
        asked.filter_map(move |(_, want)| Some((socket?, want)))
    }

    /// Looks at a socket. What a descriptor was found ready for stays.
    fn look(&mut self) {
        let Source::Socket(_) = self.source else { return };
        self.found = Readiness::NONE;
        for (socket, want) in self.wants() {
            if socket.shared().is_ready_to(want) {
                self.found |= match want {
                    Want::Recv => Readiness::IN,
                    Want::Send => Readiness::OUT,
                };
            }
        }
    }

    /// What poll(2) is to look at. A socket that is ready needs no look.
    fn poll_fd(&self) -> Option<PollFd<'a>> {
        match self.source {
            Source::Socket(socket) if !self.wanted.is_none() && self.found != self.wanted => {
                Some(PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
            }
            Source::Socket(_) => None,
            Source::Descriptor(descriptor) => {
                let flags = [
                    (Readiness::IN, PollFlags::IN),
                    (Readiness::OUT, PollFlags::OUT),
                    (Readiness::PRI, PollFlags::PRI),
                ];
                let asked = flags.into_iter().filter(|(one, _)| self.wanted.contains(*one));
                let asked = asked.fold(PollFlags::empty(), |all, (_, flag)| all | flag);
                Some(PollFd::from_borrowed_fd(descriptor, asked))
            }
        }
    }

    /// Takes what poll(2) said.
    fn take(&mut self, flags: PollFlags) {
        match self.source {
            Source::Socket(socket) => {
                if !flags.is_empty() {
                    socket.shared().look_up();
                }
            }
            Source::Descriptor(_) => self.found = readiness(flags),
        }
    }
}

/// What poll(2) found a descriptor ready for.
fn readiness(flags: PollFlags) -> Readiness {
    let usual = [
        (PollFlags::IN, Readiness::IN),
        (PollFlags::OUT, Readiness::OUT),
        (PollFlags::PRI, Readiness::PRI),
    ];
    let mut found = Readiness::NONE;
    for (_, one) in usual.into_iter().filter(|(flag, _)| flags.contains(*flag)) {
        found |= one;
    }
    if !(flags - (PollFlags::IN | PollFlags::OUT | PollFlags::PRI)).is_empty() {
        found |= Readiness::ERR;
    }
    found
}

/// Why nothing could be waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// The system refused: a descriptor that is none, no memory.
    #[error("the system cannot poll: {0}")]
    Io(#[from] io::Error),
    /// Tasks wait for descriptors that are no sockets by means of their runtime.
    #[error("a task waits for other descriptors by its runtime; poll_async takes sockets only")]
    Descriptor,
    /// A socket belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Waits until one item is ready for something it is waited for, or the time is over (`None`: for
/// ever); how many items are. Each then says what for ([`PollItem::found`]).
///
/// It looks at the state, not at a change of it: what is ready and not made use of is ready at the
/// next call too. What the sockets have gathered is written before anybody sleeps.
///
/// A socket that was closed is ready: the call that comes next says so.
///
/// # Errors
///
/// If the system refuses, or a socket came here by a fork.
pub fn poll(
    items: &mut [PollItem<'_>],
    timeout: impl Into<Option<Duration>>,
) -> Result<usize, PollError> {
    // A time too far off to be told is for ever.
    let deadline = timeout.into().and_then(|timeout| Instant::now().checked_add(timeout));
    check_origin(items)?;
    items.iter_mut().for_each(|item| item.found = Readiness::NONE);
    let mut ready = look(items);
    let mut places: SmallVec<[Standby<'_>; 8]> = SmallVec::new();
    Bell::with(|bell| {
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let over = left.is_some_and(|left| left.is_zero());
            if ready == 0 && !over && places.is_empty() {
                bell.ring.hush();
                let wants = items.iter().flat_map(PollItem::wants);
                places.extend(
                    wants.map(|(socket, want)| Standby::enter(socket.shared(), want, &bell.waker)),
                );
                ready = look(items);
                sockets(items).for_each(|socket| socket.flush());
            }
            let left = if ready > 0 { Some(Duration::ZERO) } else { left };
            if sleep(items, bell, left)? {
                places.iter_mut().for_each(|place| place.renew(&bell.waker));
            }
            // What was there may be gone again: another thread was quicker.
            ready = look(items);
            if ready > 0 || over {
                return Ok(ready);
            }
        }
    })
}

/// Waits as a task, of any executor, until one item is ready for something it is waited for; how
/// many items are. It takes sockets only.
///
/// Dropped before it is ready, it has changed nothing.
///
/// # Errors
///
/// If an item is no socket, or a socket came here by a fork.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// use chaski_zmq::{PollItem, Pull, Push, poll_async};
///
/// let (pull, push) = (Pull::new(), Push::new());
/// pull.bind("inproc://poll-async")?;
/// push.connect("inproc://poll-async")?;
/// let mut items = [PollItem::readable(&pull)];
/// push.send("hello")?;
/// assert_eq!(poll_async(&mut items).await?, 1);
/// # Ok(()) })}
/// ```
pub async fn poll_async(items: &mut [PollItem<'_>]) -> Result<usize, PollError> {
    check_origin(items)?;
    if items.iter().any(|item| matches!(item.source, Source::Descriptor(_))) {
        return Err(PollError::Descriptor);
    }
    let wants = items.iter().flat_map(PollItem::wants);
    let mut waits: Vec<_> =
        wants.map(|(socket, want)| Box::pin(socket.shared().ready_to(want))).collect();
    std::future::poll_fn(|cx| {
        let mut any = false;
        for wait in &mut waits {
            // One that is ready may not be polled again, so the first ends it.
            if let Poll::Ready(ready) = wait.as_mut().poll(cx) {
                ready?;
                any = true;
                break;
            }
        }
        if any { Poll::Ready(Ok::<_, Forked>(())) } else { Poll::Pending }
    })
    .await?;
    drop(waits);
    Ok(look(items))
}

fn sockets<'a>(items: &[PollItem<'a>]) -> impl Iterator<Item = &'a Socket> {
    items.iter().filter_map(|item| match item.source {
        Source::Socket(socket) => Some(socket),
        Source::Descriptor(_) => None,
    })
}

fn check_origin(items: &[PollItem<'_>]) -> Result<(), Forked> {
    // One process for all of them: a fork takes every socket along.
    sockets(items).next().map_or(Ok(()), |socket| socket.shared().check_origin())
}

/// Looks at all sockets; how many items are ready.
fn look(items: &mut [PollItem<'_>]) -> usize {
    items.iter_mut().for_each(PollItem::look);
    items.iter().filter(|item| !item.found.is_none()).count()
}

/// Sleeps in poll(2), once. Whether the bell was rung.
fn sleep(
    items: &mut [PollItem<'_>],
    bell: &Bell,
    timeout: Option<Duration>,
) -> Result<bool, PollError> {
    // None for a time that does not fit: that is as good as for ever.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut watched: SmallVec<[PollFd<'_>; 16]> =
        items.iter().filter_map(PollItem::poll_fd).collect();
    watched.push(PollFd::from_borrowed_fd(bell.ring.descriptor.as_fd(), PollFlags::IN));
    match rustix::event::poll(&mut watched, timeout.as_ref()) {
        Ok(_) => {}
        // A signal; the caller looks at its deadline and comes again.
        Err(Errno::INTR) => return Ok(false),
        Err(error) => return Err(PollError::Io(error.into())),
    }
    let flags: SmallVec<[PollFlags; 16]> = watched.iter().map(PollFd::revents).collect();
    drop(watched);
    let mut flags = flags.into_iter();
    for item in items.iter_mut() {
        if item.poll_fd().is_some() {
            item.take(flags.next().unwrap_or(PollFlags::empty()));
        }
    }
    let rung = flags.next().is_some_and(|flags| !flags.is_empty());
    if rung {
        bell.ring.answer();
    }
    Ok(rung)
}

/// What wakes a thread out of poll(2), one a thread.
struct Bell {
    ring: Arc<Ring>,
    waker: Waker,
}

struct Ring {
    descriptor: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let ring = Arc::new(Ring { descriptor, rung: AtomicBool::new(false) });
        Ok(Bell { waker: Waker::from(Arc::clone(&ring)), ring })
    }

    /// Runs `with` on this thread's bell.
    fn with<R>(with: impl FnOnce(&Bell) -> Result<R, PollError>) -> Result<R, PollError> {
        thread_local! {
            static OWN: OnceCell<Bell> = const { OnceCell::new() };
        }
        OWN.with(|own| {
            let bell = match own.get() {
                Some(bell) => bell,
                None => {
                    let bell = Bell::new()?;
                    own.get_or_init(|| bell)
                }
            };
            with(bell)
        })
    }
}

impl Ring {
    /// Takes back what was rung for an earlier sleep.
    fn hush(&self) {
        if self.rung.load(Ordering::Relaxed) {
            self.answer();
        }
    }

    /// Lets it be rung again.
    fn answer(&self) {
        // It may be rung and not written yet: then it will be, and the sleep ends for nothing.
        let _ = rustix::io::read(&self.descriptor, &mut [0; 8]);
        // ORDERING: acquire and release, pairs with the swap of `wake`: either that comes later and
        // writes, or what was done before it is seen by the look that comes after this.
        self.rung.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // An eventfd that is full is readable all the same.
            let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
        }
    }
}
