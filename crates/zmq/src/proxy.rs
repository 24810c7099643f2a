//! Passing messages on between two sockets: queues, forwarders, brokers without a mind of their
//! own.
//!
//! | front | back | what that is |
//! |---|---|---|
//! | ROUTER | DEALER | a shared queue: requests to any of many workers, replies back |
//! | XSUB | XPUB | a forwarder: publishers on one side, subscribers on the other |
//! | PULL | PUSH | a streamer |
//!
//! ```no_run
//! use chaski_zmq::{Dealer, Router, proxy};
//!
//! let (front, back) = (Router::new(), Dealer::new());
//! front.bind("tcp://*:5559")?;
//! back.bind("tcp://*:5560")?;
//! proxy(&front, &back, None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Messages are taken in batches, up to 256 at a time, and sent on one by one, so that
//! adaptive flush writes them together. One that the other side has no room for waits, and with it
//! the direction it goes in: the proxy never blocks on one direction while the other could go on,
//! and takes no more than it can pass on. It drops nothing but what has no addressee.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use chaski_zmtp::pattern::Misuse;
use chaski_zmtp::{Kind, Message};
use smallvec::SmallVec;

use crate::error::{RecvError, SendError, SendFailure};
use crate::poll::{PollError, PollItem, Readiness, poll, poll_async};
use crate::socket::Socket;

/// How many messages are taken from a socket at a time.
const BATCH_MAX: usize = 256;

/// Passes messages on between two sockets in both directions, until one fails: until it is closed,
/// as a rule. Everything that passes is sent to `capture` too.
///
/// # Errors
///
/// It only returns with one.
pub fn proxy(
    front: &impl AsRef<Socket>,
    back: &impl AsRef<Socket>,
    capture: Option<&Socket>,
) -> Result<ProxyStats, ProxyError> {
    let mut proxy = Proxy::new(front, back);
    proxy.capture = capture;
    proxy.run()
}

/// A proxy that takes orders: see [`Proxy::control`].
///
/// # Errors
///
/// If a socket fails. `TERMINATE` is no error.
pub fn proxy_steerable(
    front: &impl AsRef<Socket>,
    back: &impl AsRef<Socket>,
    capture: Option<&Socket>,
    control: &impl AsRef<Socket>,
) -> Result<ProxyStats, ProxyError> {
    let mut proxy = Proxy::new(front, back).control(control);
    proxy.capture = capture;
    proxy.run()
}

/// A proxy to be run.
///
/// ```
/// use chaski_zmq::{Context, Pair, Proxy, Pull, Push};
///
/// let context = Context::new();
/// let front = Pull::builder().context(&context).build()?;
/// let back = Push::builder().context(&context).build()?;
/// let control = Pair::builder().context(&context).build()?;
/// front.bind("inproc://front")?;
/// back.bind("inproc://back")?;
/// control.bind("inproc://control")?;
/// let running = std::thread::spawn(move || Proxy::new(&front, &back).control(&control).run());
///
/// let source = Push::builder().context(&context).build()?;
/// let sink = Pull::builder().context(&context).build()?;
/// let steering = Pair::builder().context(&context).build()?;
/// source.connect("inproc://front")?;
/// sink.connect("inproc://back")?;
/// steering.connect("inproc://control")?;
/// source.send("through")?;
/// assert_eq!(&sink.recv()?[0], "through");
/// steering.send("TERMINATE")?;
/// assert_eq!(running.join().unwrap()?.front.received, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a proxy does nothing until it runs"]
pub struct Proxy<'a> {
    front: &'a Socket,
    back: &'a Socket,
    capture: Option<&'a Socket>,
    control: Option<&'a Socket>,
}

impl<'a> Proxy<'a> {
    /// A proxy between two sockets. Given the same twice, it passes what that receives back to it.
    pub fn new(front: &'a impl AsRef<Socket>, back: &'a impl AsRef<Socket>) -> Self {
        Proxy { front: front.as_ref(), back: back.as_ref(), capture: None, control: None }
    }

    /// Sends everything that passes to this socket too: a PUB, PUSH, PAIR or DEALER. One without
    /// room holds the proxy up.
    pub fn capture(mut self, capture: &'a impl AsRef<Socket>) -> Self {
        self.capture = Some(capture.as_ref());
        self
    }

    /// Takes orders from this socket: a PAIR, PULL, SUB or REP. They are libzmq's:
    ///
    /// | order | what it does | answer |
    /// |---|---|---|
    /// | `PAUSE` | takes no more messages from front and back | REP: an empty message |
    /// | `RESUME` | goes on | REP: an empty message |
    /// | `TERMINATE` | ends the proxy; what waits in it is lost | REP: an empty message |
    /// | `STATISTICS` | | [`ProxyStats::to_message`] |
    ///
    /// Others are answered by a REP with an empty message and have no effect.
    pub fn control(mut self, control: &'a impl AsRef<Socket>) -> Self {
        self.control = Some(control.as_ref());
        self
    }

    /// Runs on this thread until it is told to end; what has passed by then.
    ///
    /// # Errors
    ///
    /// If a socket fails, as one does that was closed.
    pub fn run(self) -> Result<ProxyStats, ProxyError> {
        let mut work = Work::new(&self);
        while work.turn()? {
            poll(&mut work.items(), None::<Duration>)?;
        }
        Ok(work.stats())
    }

    /// Runs as a task, of any executor, until it is told to end. Dropped before, the future loses
    /// what waits in it for room: at most a batch in each direction.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_async(self) -> Result<ProxyStats, ProxyError> {
        let mut work = Work::new(&self);
        while work.turn()? {
            poll_async(&mut work.items()).await?;
        }
        Ok(work.stats())
    }
}

/// What has passed through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// At the front.
    pub front: SideStats,
    /// At the back.
    pub back: SideStats,
    /// Messages that no peer was to be found for, by the envelope they had.
    pub dropped: u64,
}

/// What has passed at one side of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SideStats {
    /// Messages received there.
    pub received: u64,
    /// The bytes of their frames.
    pub received_bytes: u64,
    /// Messages sent there.
    pub sent: u64,
    /// The bytes of their frames.
    pub sent_bytes: u64,
}

impl ProxyStats {
    /// The answer to `STATISTICS`, as libzmq gives it: eight frames, each a number of 8 bytes in
    /// the machine's own order. Messages and bytes received, messages and bytes sent; of the front,
    /// then of the back.
    pub fn to_message(&self) -> Message {
        let side =
            |side: &SideStats| [side.received, side.received_bytes, side.sent, side.sent_bytes];
        let numbers = [side(&self.front), side(&self.back)].into_iter().flatten();
        numbers.map(|number| number.to_ne_bytes().to_vec()).collect()
    }
}

/// Why a proxy ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A socket could not be received from.
    #[error("the {side} of the proxy: {error}")]
    Recv {
        /// Which.
        side: Side,
        /// Why.
        error: RecvError,
    },
    /// A socket could not be sent to.
    #[error("the {side} of the proxy: {error}")]
    Send {
        /// Which.
        side: Side,
        /// Why.
        error: SendError,
    },
    /// They could not be waited for.
    #[error(transparent)]
    Poll(#[from] PollError),
}

/// One of the sockets of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are the parameters of a proxy")]
pub enum Side {
    Front,
    Back,
    Capture,
    Control,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Front => "front",
            Side::Back => "back",
            Side::Capture => "capture socket",
            Side::Control => "control socket",
        })
    }
}

/// A proxy that runs.
struct Work<'a> {
    flows: SmallVec<[Flow<'a>; 2]>,
    control: Option<&'a Socket>,
    paused: bool,
    ended: bool,
}

/// One direction.
struct Flow<'a> {
    from: &'a Socket,
    to: &'a Socket,
    capture: Option<&'a Socket>,
    sides: [Side; 2],
    /// Taken, and not passed on yet.
    waiting: VecDeque<Message>,
    batch: Vec<Message>,
    /// The first of those has been captured.
    captured: bool,
    /// Where it found no room.
    stuck: Option<&'a Socket>,
    received: (u64, u64),
    sent: (u64, u64),
    dropped: u64,
}

impl<'a> Work<'a> {
    fn new(proxy: &Proxy<'a>) -> Self {
        let flow = |from: &'a Socket, to: &'a Socket, sides| Flow {
            from,
            to,
            capture: proxy.capture,
            sides,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            captured: false,
            stuck: None,
            received: (0, 0),
            sent: (0, 0),
            dropped: 0,
        };
        let mut flows = SmallVec::new();
        flows.push(flow(proxy.front, proxy.back, [Side::Front, Side::Back]));
        if !std::ptr::eq(proxy.front, proxy.back) {
            flows.push(flow(proxy.back, proxy.front, [Side::Back, Side::Front]));
        }
        // A PUSH gives nothing and a PULL takes nothing: one direction is enough for them.
        flows.retain(|flow: &mut Flow<'_>| flow.from.kind().receives() && flow.to.kind().sends());
        Work { flows, control: proxy.control, paused: false, ended: false }
    }

    /// Does what can be done without waiting; `false` when the proxy has come to its end.
    fn turn(&mut self) -> Result<bool, ProxyError> {
        loop {
            self.take_orders()?;
            if self.ended {
                return Ok(false);
            }
            let mut moved = false;
            if !self.paused {
                for flow in &mut self.flows {
                    moved |= flow.turn()?;
                }
            }
            if !moved {
                return Ok(true);
            }
        }
    }

    /// What is to be waited for.
    fn items(&self) -> SmallVec<[PollItem<'a>; 3]> {
        let mut items: SmallVec<[PollItem<'a>; 3]> = SmallVec::new();
        if !self.paused {
            items.extend(self.flows.iter().map(Flow::item));
        }
        items.extend(self.control.map(|control| PollItem::socket(control, Readiness::IN)));
        items
    }

    fn take_orders(&mut self) -> Result<(), ProxyError> {
        let Some(control) = self.control else { return Ok(()) };
        let failed = |error| ProxyError::Recv { side: Side::Control, error };
        while !self.ended {
            let order = match control.try_recv() {
                Ok(order) => order,
                Err(error) if error.is_empty() => return Ok(()),
                Err(error) => return Err(failed(error)),
            };
            let order = order.last().map_or(&[][..], |frame| frame.as_slice());
            match order {
                b"PAUSE" => self.paused = true,
                b"RESUME" => self.paused = false,
                b"TERMINATE" => self.ended = true,
                _ => {}
            }
            let answer = match order {
                b"STATISTICS" => self.stats().to_message(),
                _ if control.kind() == Kind::Rep => Message::from(""),
                _ => continue,
            };
            // Who asked and went, or cannot be answered, is not waited for.
            let _ = control.try_send(answer);
        }
        Ok(())
    }

    fn stats(&self) -> ProxyStats {
        let mut stats = ProxyStats::default();
        for flow in &self.flows {
            let ProxyStats { front, back, dropped } = &mut stats;
            let (from, to) = match flow.sides {
                [Side::Front, _] => (front, back),
                _ => (back, front),
            };
            (from.received, from.received_bytes) = flow.received;
            (to.sent, to.sent_bytes) = flow.sent;
            *dropped += flow.dropped;
        }
        stats
    }
}

impl<'a> Flow<'a> {
    /// What it waits for: room if it has messages, and messages if not.
    fn item(&self) -> PollItem<'a> {
        match self.stuck {
            Some(socket) => PollItem::socket(socket, Readiness::OUT),
            None => PollItem::socket(self.from, Readiness::IN),
        }
    }

    /// Takes a batch, unless one waits, and passes on what there is room for. Whether it may go on
    /// at once.
    fn turn(&mut self) -> Result<bool, ProxyError> {
        if self.waiting.is_empty() {
            self.take()?;
        }
        let had = self.waiting.len();
        self.pass_on()?;
        Ok(self.waiting.len() < had)
    }

    fn take(&mut self) -> Result<(), ProxyError> {
        match self.from.try_recv_many(&mut self.batch, BATCH_MAX) {
            Ok(_) => {}
            Err(error) if error.is_empty() => {}
            Err(error) => return Err(ProxyError::Recv { side: self.sides[0], error }),
        }
        for message in &self.batch {
            self.received.0 += 1;
            self.received.1 += message.byte_len() as u64;
        }
        self.waiting.extend(self.batch.drain(..));
        Ok(())
    }

    fn pass_on(&mut self) -> Result<(), ProxyError> {
        self.stuck = None;
        while let Some(message) = self.waiting.pop_front() {
            if !self.captured && !self.capture_copy(&message)? {
                self.waiting.push_front(message);
                return Ok(());
            }
            let bytes = message.byte_len() as u64;
            match self.to.try_send(message) {
                Ok(()) => {
                    self.sent.0 += 1;
                    self.sent.1 += bytes;
                }
                Err(error) if error.is_full() => {
                    self.captured = true;
                    self.stuck = Some(self.to);
                    self.waiting.extend(error.into_message());
                    self.waiting.rotate_right(1);
                    return Ok(());
                }
                Err(error) if has_no_addressee(&error) => self.dropped += 1,
                Err(error) => return Err(ProxyError::Send { side: self.sides[1], error }),
            }
            self.captured = false;
        }
        Ok(())
    }

    /// Sends a copy to the capture socket, if there is one; whether that had room.
    fn capture_copy(&mut self, message: &Message) -> Result<bool, ProxyError> {
        let Some(capture) = self.capture else { return Ok(true) };
        match capture.try_send(message.clone()) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.stuck = Some(capture);
                Ok(false)
            }
            Err(error) => Err(ProxyError::Send { side: Side::Capture, error }),
        }
    }
}

/// Whether a message cannot be sent to anybody, as its envelope names nobody who is there.
fn has_no_addressee(error: &SendError) -> bool {
    matches!(error.failure(), SendFailure::Misuse(Misuse::Unroutable | Misuse::Shape(_)))
}
