//! The thread in the background: it listens, dials, greets and notices hang-ups.
//!
//! ```text
//!   sockets --orders--> +------+ <-- listeners, diallings, pipes whose first record is to come
//!                       | desk | <-- lifelines of pipes that are up: readable at their end
//!                       +------+ <-- bells of pipes whose queue nobody else may empty
//! ```
//!
//! One per process. It waits for nothing but its own epoll descriptor, holds a socket's locks no
//! longer than those are held for memory, and is never called with one of them but to leave an
//! order. Who is accepted has its handshake time to say who it is; of listeners' limits see
//! `chaski_shm::pipe::ListenerBuilder`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::pipe::Listener;
use chaski_zmtp::pattern::Peer;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use super::tie::{At, Tie};
use super::{Line, Receiver, Sender, limits, lock};
use crate::driver::{BindError, Origin};
use crate::endpoint::{Address, Endpoint};
use crate::link::Route;
use crate::monitor::{Breach, Lost, What};
use crate::socket::shared::Shared;

/// Events taken at a time.
const EVENTS_MAX: usize = 64;

/// Pipes accepted of one listener before others have their turn.
const ACCEPTS_MAX: usize = 64;

/// How long the thread rests when it cannot wait, or after something panicked.
const REST: Duration = Duration::from_millis(100);

/// What an event is about, in the low bits of its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Order = 0,
    /// A listener, a dialling, a pipe being greeted, or the bell of one that is up.
    Attention = 1,
    /// The end of a pipe.
    Lifeline = 2,
}

/// What is asked of the thread.
pub(super) enum Order {
    Listen(u64, Listening),
    Dial(u64, Box<Tie>),
    Unlisten(SocketId, Endpoint, SyncSender<bool>),
    Undial(SocketId, Endpoint, SyncSender<bool>),
    Close(SocketId, Option<Instant>),
    Lost(SocketId, Peer, Lost),
    /// A queue is to be emptied when the peer takes something.
    Empty(u64),
    /// Something may have come that nobody receives.
    Read(u64),
    /// All was received from a pipe that has ended; why, if the peer did not keep the protocol.
    Ended(u64, Option<&'static str>),
}

/// A socket, by where it lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SocketId(usize);

impl SocketId {
    pub(super) fn of(socket: &Arc<Shared>) -> SocketId {
        SocketId(Arc::as_ptr(socket).addr())
    }
}

/// A name that a socket is bound to.
pub(super) struct Listening {
    listener: Listener,
    socket: Weak<Shared>,
    id: SocketId,
    route: Arc<Route>,
}

/// What the thread and the sockets share.
pub(super) struct Desk {
    this: Weak<Desk>,
    epoll: OwnedFd,
    bell: OwnedFd,
    orders: Mutex<Vec<Order>>,
    ids: AtomicU64,
    origin: Origin,
    /// Ties of closed sockets that still have something to send.
    lingering: Mutex<Vec<SocketId>>,
}

impl Desk {
    /// The desk of this process, whose thread starts with the first call and never ends.
    fn of_this_process() -> io::Result<Arc<Desk>> {
        static DESK: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

        let mut desk = lock(&DESK);
        match &*desk {
            Some(running) if running.origin.is_here() => Ok(Arc::clone(running)),
            _ => Ok(Arc::clone(desk.insert(Desk::start()?))),
        }
    }

    fn start() -> io::Result<Arc<Desk>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let desk = Arc::new_cyclic(|this| Desk {
            this: this.clone(),
            epoll,
            bell,
            orders: Mutex::default(),
            ids: AtomicU64::new(1),
            origin: Origin::here(),
            lingering: Mutex::default(),
        });
        desk.watch(&desk.bell, 0, About::Order, EventFlags::IN | EventFlags::ET)?;
        let mut rounds =
            Rounds { desk: Arc::clone(&desk), listening: HashMap::new(), ties: HashMap::new() };
        thread::Builder::new().name("chaski-zmq-shm".into()).spawn(move || rounds.make())?;
        Ok(desk)
    }

    pub(super) fn shared(&self) -> Option<Arc<Desk>> {
        self.this.upgrade()
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the thread for something.
    pub(super) fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        let first = orders.is_empty();
        orders.push(order);
        drop(orders);
        if first {
            // One that is full rings, too.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    pub(super) fn watch(
        &self,
        fd: impl AsFd,
        id: u64,
        about: About,
        flags: EventFlags,
    ) -> rustix::io::Result<()> {
        let data = EventData::new_u64(id << 2 | about as u64);
        match epoll::add(&self.epoll, &fd, data, flags) {
            Err(rustix::io::Errno::EXIST) => epoll::modify(&self.epoll, &fd, data, flags),
            other => other,
        }
    }

    fn ask(&self, order: impl FnOnce(SyncSender<bool>) -> Order) -> bool {
        let (sender, found) = sync_channel(1);
        self.order(order(sender));
        found.recv().unwrap_or(false)
    }
}

/// The name of an endpoint of this transport.
fn name(endpoint: &Endpoint) -> &str {
    match endpoint.address() {
        Address::Shm(name) => name,
        _ => "",
    }
}

/// Binds, on the caller's thread, and accepts from then on.
pub(crate) fn listen(socket: &Arc<Shared>, endpoint: &Endpoint) -> Result<(), BindError> {
    let refused = |why| BindError::Unsuitable { endpoint: endpoint.clone(), why };
    let desk = Desk::of_this_process().map_err(|error| BindError::of_io(endpoint, error))?;
    let listener = super::tie::bind(name(endpoint)).map_err(|error| match error {
        chaski_shm::BindError::Name(_) => refused("a name has 1 to 64 of A-Z a-z 0-9 . _ -"),
        chaski_shm::BindError::InUse { .. } => {
            BindError::of_io(endpoint, io::ErrorKind::AddrInUse.into())
        }
        other => BindError::of_io(endpoint, io::Error::other(other)),
    })?;
    let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: false });
    let (id, weak) = (SocketId::of(socket), Arc::downgrade(socket));
    desk.order(Order::Listen(desk.id(), Listening { listener, socket: weak, id, route }));
    socket.announcer.tell(endpoint, None, || What::Listening);
    Ok(())
}

/// Stops accepting; whether the socket was bound there. Connections stay.
pub(crate) fn unlisten(socket: &Arc<Shared>, endpoint: &Endpoint) -> bool {
    let Ok(desk) = Desk::of_this_process() else { return false };
    desk.ask(|found| Order::Unlisten(SocketId::of(socket), endpoint.clone(), found))
}

/// Connects for a peer that the socket has attached, and again whenever that is lost. What is sent
/// to it waits from now on, up to SNDHWM.
pub(crate) fn dial(socket: &Arc<Shared>, peer: Peer, endpoint: &Endpoint) -> io::Result<()> {
    let invalid = io::ErrorKind::InvalidInput;
    chaski_shm::Name::new(name(endpoint)).map_err(|bad| io::Error::new(invalid, bad))?;
    let desk = Desk::of_this_process()?;
    let id = desk.id();
    let line = Line::new(id, Arc::clone(&desk), socket, peer, limits(socket));
    socket.lay(peer, Box::new(Sender(Arc::clone(&line))), Receiver::new(&line));
    let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: true });
    desk.order(Order::Dial(id, Box::new(Tie::dialled(socket, route, line))));
    Ok(())
}

/// Lets the peers go that were dialled there, when what waits for them is sent or the linger time
/// is over; whether there was any.
pub(crate) fn undial(socket: &Arc<Shared>, endpoint: &Endpoint) -> bool {
    let Ok(desk) = Desk::of_this_process() else { return false };
    desk.ask(|found| Order::Undial(SocketId::of(socket), endpoint.clone(), found))
}

/// Ends the connection to a peer, for a reason that the socket found.
pub(crate) fn lost(socket: &Arc<Shared>, peer: Peer, why: Lost) {
    if let Ok(desk) = Desk::of_this_process() {
        desk.order(Order::Lost(SocketId::of(socket), peer, why));
    }
}

/// The socket is closed: lets go of its names at once, and of its peers when what waits for them is
/// sent, by `until` at the latest.
pub(crate) fn close(socket: &Arc<Shared>, until: Option<Instant>) {
    if let Ok(desk) = Desk::of_this_process() {
        let id = SocketId::of(socket);
        lock(&desk.lingering).push(id);
        desk.order(Order::Close(id, until));
    }
}

/// Whether a socket that was closed still has something to send this way.
pub(crate) fn lingers(socket: &Arc<Shared>) -> bool {
    let desk = Desk::of_this_process();
    desk.is_ok_and(|desk| lock(&desk.lingering).contains(&SocketId::of(socket)))
}

/// What belongs to the thread alone.
struct Rounds {
    desk: Arc<Desk>,
    listening: HashMap<u64, Listening>,
    ties: HashMap<u64, Tie>,
}

impl Rounds {
    fn make(&mut self) {
        loop {
            // All sockets of the process depend on this thread, so a panic costs it a rest.
            if catch_unwind(AssertUnwindSafe(|| self.make_one())).is_err() {
                thread::sleep(REST);
            }
        }
    }

    fn make_one(&mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let timeout = self.ties.values().filter_map(Tie::deadline).min().map(timespec);
        let room = rustix::buffer::spare_capacity(&mut events);
        if !matches!(
            epoll::wait(&self.desk.epoll, room, timeout.as_ref()),
            Ok(_) | Err(rustix::io::Errno::INTR)
        ) {
            // Somebody has closed our descriptors.
            thread::sleep(REST);
        }
        let orders = std::mem::take(&mut *lock(&self.desk.orders));
        for order in orders {
            self.obey(order);
        }
        for event in &events {
            let number = event.data.u64();
            self.on_event(number >> 2, number & 3);
        }
        self.tick();
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Listen(id, listening) => self.listen(id, listening),
            Order::Dial(id, tie) => drop(self.ties.insert(id, *tie)),
            Order::Unlisten(socket, endpoint, found) => {
                let before = self.listening.len();
                self.listening.retain(|_, it| it.id != socket || it.route.endpoint != endpoint);
                let _ = found.send(self.listening.len() < before);
            }
            Order::Undial(socket, endpoint, found) => {
                let mut some = false;
                for tie in self.ties.values_mut().filter(|tie| tie.is_of(socket, Some(&endpoint))) {
                    tie.let_go(None);
                    some = true;
                }
                let _ = found.send(some);
            }
            Order::Close(socket, until) => {
                self.listening.retain(|_, it| it.id != socket);
                for tie in self.ties.values_mut().filter(|tie| tie.is_of(socket, None)) {
                    tie.let_go(Some(until));
                }
            }
            Order::Lost(socket, peer, why) => {
                let mut ties = self.ties.values_mut();
                if let Some(tie) = ties.find(|tie| tie.is_of(socket, None) && tie.is_for(peer)) {
                    tie.over(&self.desk, why);
                }
            }
            Order::Empty(id) => self.with(id, Tie::watch_bell),
            Order::Read(id) => self.with(id, |tie, _| tie.read()),
            Order::Ended(id, why) => {
                let why = why.map_or(Lost::Hangup, |why| Lost::Protocol(Breach::Rule(why)));
                self.with(id, |tie, desk| tie.over(desk, why));
            }
        }
    }

    fn with(&mut self, id: u64, what: impl FnOnce(&mut Tie, &Desk)) {
        if let Some(tie) = self.ties.get_mut(&id) {
            what(tie, &self.desk);
        }
    }

    fn listen(&mut self, id: u64, listening: Listening) {
        let flags = EventFlags::IN | EventFlags::ET;
        if self.desk.watch(&listening.listener, id, About::Attention, flags).is_ok() {
            self.listening.insert(id, listening);
            self.accept(id);
        }
    }

    fn on_event(&mut self, id: u64, about: u64) {
        if about == About::Attention as u64 {
            self.accept(id);
            self.with(id, |tie, desk| tie.attend(desk));
        } else if about == About::Lifeline as u64 {
            self.with(id, |tie, _| tie.hung_up());
        }
    }

    /// Takes in who has connected.
    fn accept(&mut self, id: u64) {
        let Some(listening) = self.listening.get_mut(&id) else { return };
        for turn in 0.. {
            if turn == ACCEPTS_MAX {
                // Others have their turn; it is then still there.
                let fd = listening.listener.as_fd();
                let flags = EventFlags::IN | EventFlags::ET;
                let _ = self.desk.watch(fd, id, About::Attention, flags);
                return;
            }
            let Ok(Some(pipe)) = listening.listener.try_accept() else { return };
            let Some(socket) = listening.socket.upgrade() else { return };
            let tie = self.desk.id();
            let mut accepted = Tie::accepted(&socket, Arc::clone(&listening.route), tie);
            socket.announcer.tell(&listening.route.endpoint, None, || What::Accepted);
            accepted.greet(&self.desk, pipe);
            self.ties.insert(tie, accepted);
        }
    }

    /// Tells each line that is up whether it is the only one of its socket.
    fn count(&mut self) {
        let mut up: HashMap<SocketId, u32> = HashMap::new();
        for tie in self.ties.values().filter(|tie| tie.is_up()) {
            *up.entry(tie.of).or_default() += 1;
        }
        for tie in self.ties.values().filter(|tie| tie.is_up()) {
            tie.note_alone(up.get(&tie.of) == Some(&1));
        }
    }

    /// What is due, and what is done with.
    fn tick(&mut self) {
        let now = Instant::now();
        for tie in self.ties.values_mut() {
            tie.tick(&self.desk, now);
        }
        self.ties.retain(|_, tie| !matches!(tie.at, At::Over));
        self.count();
        let ties = &self.ties;
        lock(&self.desk.lingering)
            .retain(|socket| ties.values().any(|tie| tie.is_of(*socket, None)));
    }
}

/// The time until then; a little late rather than a little early.
fn timespec(next: Instant) -> Timespec {
    let left = next.saturating_duration_since(Instant::now());
    let left = left.min(Duration::from_secs(3600));
    let left = left + Duration::from_millis(1);
    // Less than two hours.
    Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
}
