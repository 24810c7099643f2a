//! What all handles of a socket, its links and the driver share.
//!
//! # Locks
//!
//! | lock | held while | inside it may be taken |
//! |---|---|---|
//! | `options` | an option is set or looked at | `rules` |
//! | `receiving` | messages are popped, and a page is read from the kernel | `rules` |
//! | `rules` | the pattern decides and a message is appended | an outbox's, a near link's |
//! | `turn`, `doorbell`, `armed`, an outbox's | a few stores | none |
//!
//! None is held while anybody sleeps, but the poll's own by the leader ([`super::turn`]); and none
//! while a waker is called ([`crate::wake`]).

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaski_zmtp::pattern::{self, Setting};
use chaski_zmtp::{Frame, Kind};

use super::patience::Patience;
use super::poller::{Doorbell, Poller};
use super::receiving::Receiving;
use super::rules::{Chores, Rules};
use super::turn::{Call, Turn, Want};
use crate::context::Context;
use crate::driver::{Driver, Forked};
use crate::link::{After, End, Flushed, Link};
use crate::monitor::{Announcer, Lost};
use crate::options::{OptionError, Options, SocketOption};
use crate::wake::{Held, hold};

/// A socket.
pub(crate) struct Shared {
    /// What kind it is.
    pub(crate) kind: Kind,
    /// Where it lives.
    pub(crate) context: Context,
    /// Who hears what happens to it.
    pub(crate) announcer: Announcer,
    options: Mutex<Arc<Options>>,
    pub(super) poller: Poller,
    pub(super) doorbell: Doorbell,
    pub(super) turn: Turn,
    pub(super) patience: Patience,
    pub(super) rules: Mutex<Rules>,
    pub(super) receiving: Mutex<Receiving>,
    /// Outboxes with something gathered, to be flushed before the socket sleeps or reads.
    armed: Mutex<Vec<Arc<Link>>>,
    any_armed: AtomicBool,
    /// Some outbox was stuck when last looked at.
    pub(super) any_stuck: AtomicBool,
    /// Received messages wait for the user, who will be back for them.
    pub(super) backlog: AtomicBool,
    /// Every message is delivered as it came.
    pub(super) unchanged: bool,
    /// Whether messages of some peers may be taken past `Pattern::deliver` (`link::Pass`).
    pub(super) singles: bool,
    /// Only the newest message is kept.
    pub(super) conflate: bool,
    #[cfg(feature = "tokio")]
    pub(super) watcher: super::task::Watcher,
}

impl Shared {
    /// A socket without peers.
    pub(crate) fn new(
        kind: Kind,
        context: Context,
        options: Options,
    ) -> std::io::Result<Arc<Self>> {
        let mut pattern = pattern::new(kind, seed());
        for setting in settings(kind, &options) {
            // Options that a kind does not have were refused before.
            let _ = pattern.set(setting);
        }
        Ok(Arc::new(Shared {
            kind,
            context,
            announcer: Announcer::default(),
            unchanged: pattern.delivers_unchanged(),
            singles: !options.conflate
                && (pattern.delivers_unchanged()
                    || pattern.delivers_wanted()
                    || kind == Kind::Router),
            conflate: options.conflate,
            options: Mutex::new(Arc::new(options)),
            poller: Poller::new()?,
            doorbell: Doorbell::default(),
            turn: Turn::default(),
            patience: Patience::default(),
            rules: Mutex::new(Rules::new(pattern)),
            receiving: Mutex::default(),
            armed: Mutex::default(),
            any_armed: AtomicBool::new(false),
            any_stuck: AtomicBool::new(false),
            backlog: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            watcher: super::task::Watcher::default(),
        }))
    }

    /// What it is set to now.
    pub(crate) fn options(&self) -> Arc<Options> {
        Arc::clone(&lock(&self.options))
    }

    /// Sets an option of a socket that lives.
    pub(crate) fn set(&self, option: SocketOption) -> Result<(), OptionError> {
        let mut options = lock(&self.options);
        let mut changed = Options::clone(&options);
        changed.set(self.kind, option)?;
        let mut rules = self.rules();
        for setting in settings(self.kind, &changed) {
            let _ = rules.pattern.set(setting);
        }
        drop(rules);
        *options = Arc::new(changed);
        Ok(())
    }

    /// The identity for the peer that is connected to next; the one after has none.
    pub(super) fn take_connect_routing_id(&self) -> Frame {
        let mut options = lock(&self.options);
        if options.connect_routing_id.is_empty() {
            return Frame::empty();
        }
        Frame::from(std::mem::take(&mut Arc::make_mut(&mut options).connect_routing_id))
    }

    pub(crate) fn driver(&self) -> &Driver {
        self.context.driver()
    }

    /// Whether this is still the process that made the socket.
    pub(crate) fn check_origin(&self) -> Result<(), Forked> {
        self.context.check()
    }

    /// Whether nothing more is sent or received.
    pub(super) fn is_closed(&self) -> bool {
        self.rules().closed
    }

    #[inline]
    pub(super) fn rules(&self) -> Held<'_, Rules> {
        hold(&self.rules)
    }

    #[inline]
    pub(super) fn receiving(&self) -> Held<'_, Receiving> {
        hold(&self.receiving)
    }

    /// Whether a thread sleeps in the poll, and so sees when a stuck stream is writable.
    pub(crate) fn is_led(&self) -> bool {
        self.turn.is_led()
    }

    /// There may be something to receive from `peer`: notes it and wakes a receiver, if one sleeps.
    pub(crate) fn rouse(&self, peer: pattern::Peer) {
        self.doorbell.ring(peer, false);
        self.notify(Want::Recv);
    }

    /// There may be room for messages: wakes senders, if any sleep.
    pub(crate) fn room(&self) {
        self.notify(Want::Send);
    }

    pub(super) fn notify(&self, want: Want) {
        self.answer(self.turn.notify(want));
    }

    /// Does what waking others asks for.
    pub(super) fn answer(&self, call: Call) {
        if call == Call::Leader {
            self.poller.call();
        }
    }

    /// Does what appending to outboxes left to do. No lock is held.
    pub(super) fn run_chores(self: &Arc<Self>, chores: Chores) {
        for (link, after) in chores {
            match after {
                After::Rest | After::Through => {}
                After::Arm { driver } => self.arm(&link, driver),
                After::Flush => self.flush_link(&link),
                After::Close => {
                    self.flush_link(&link);
                    self.driver().part(self, link.peer);
                }
            }
        }
    }

    /// Remembers that this outbox is to be flushed soon.
    fn arm(&self, link: &Arc<Link>, driver: bool) {
        if !link.armed.swap(true, Ordering::Relaxed) {
            lock(&self.armed).push(Arc::clone(link));
        }
        // ORDERING: the list is read under its lock by who sees this, on any thread; a miss is
        // made up for by the driver's tick.
        self.any_armed.store(true, Ordering::Release);
        if driver {
            self.driver().arm(link);
        }
    }

    /// Flushes what is gathered, before the socket sleeps or reads from the kernel.
    #[inline]
    pub(super) fn flush_armed(self: &Arc<Self>) {
        if self.any_armed.load(Ordering::Acquire) {
            self.flush_all_armed();
        }
    }

    #[cold]
    fn flush_all_armed(self: &Arc<Self>) {
        self.any_armed.store(false, Ordering::Relaxed);
        let links = std::mem::take(&mut *lock(&self.armed));
        for link in &links {
            link.armed.store(false, Ordering::Relaxed);
            self.flushed(link, link.outbox.flush());
        }
    }

    /// Writes what is queued for one peer.
    pub(super) fn flush_link(self: &Arc<Self>, link: &Arc<Link>) {
        self.flushed(link, link.outbox.flush());
    }

    /// Takes notice of what a flush came to.
    pub(crate) fn flushed(self: &Arc<Self>, link: &Arc<Link>, flushed: Flushed) {
        if self.ticked(link, flushed) && link.outbox.begins_ticking() {
            self.driver().arm(link);
        }
    }

    /// The same for the driver's tick, which need not be told of what it finds itself. Whether the
    /// outbox is stuck.
    pub(crate) fn ticked(self: &Arc<Self>, link: &Arc<Link>, flushed: Flushed) -> bool {
        if flushed.messages > 0 {
            self.room();
        }
        match flushed.end {
            End::Done => false,
            End::Stuck => {
                self.any_stuck.store(true, Ordering::Release);
                self.watch_writable(link);
                true
            }
            End::Broken(error) => {
                self.broken(link, error.kind());
                false
            }
        }
    }

    /// Nothing more can be written to a peer. If it went, what it said before may still lie in the
    /// kernel: whoever reads that, a receiver or the driver, meets the end behind it, and only then
    /// is the connection lost.
    ///
    /// Whoever found that may have been held up since, and another connection be up.
    fn broken(self: &Arc<Self>, link: &Arc<Link>, why: ErrorKind) {
        let connection = link.connection();
        if !link.outbox.is_broken() {
            return;
        }
        let went = matches!(why, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        if !went || self.kind.reads_in_background() || !self.hears_out(link) {
            return self.lost_at(link, connection, Lost::Io(why));
        }
        self.doorbell.ring(link.peer, true);
        self.notify(Want::Recv);
        // Senders look again whom to send to.
        self.room();
    }

    /// Tells the driver, once per connection, that the one that is up is over. For callers who know
    /// that it is the one they mean: they hold the lock of the inboxes.
    pub(super) fn lost(self: &Arc<Self>, link: &Arc<Link>, why: Lost) {
        self.lost_at(link, link.connection(), why);
    }

    /// The same for whoever noted which connection it was.
    fn lost_at(self: &Arc<Self>, link: &Arc<Link>, connection: u64, why: Lost) {
        if link.loses(connection) {
            self.driver().lost(self, link.peer, connection, why);
        }
    }

    /// How long a call without a time of its own waits to send.
    pub(super) fn sndtimeo(&self) -> Option<Duration> {
        lock(&self.options).sndtimeo
    }

    /// The same for receiving.
    pub(super) fn rcvtimeo(&self) -> Option<Duration> {
        lock(&self.options).rcvtimeo
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

/// The rules that follow from options.
fn settings(kind: Kind, options: &Options) -> Vec<Setting> {
    let welcome = &options.xpub_welcome_msg;
    match kind {
        Kind::Req => vec![
            Setting::ReqRelaxed(options.req_relaxed),
            Setting::ReqCorrelate(options.req_correlate),
            Setting::ProbeRouter(options.probe_router),
        ],
        Kind::Dealer => vec![Setting::ProbeRouter(options.probe_router)],
        Kind::Router => vec![
            Setting::RouterMandatory(options.router_mandatory),
            Setting::RouterHandover(options.router_handover),
            Setting::ProbeRouter(options.probe_router),
        ],
        Kind::Pub => vec![
            Setting::XpubNodrop(options.xpub_nodrop),
            Setting::InvertMatching(options.invert_matching),
        ],
        Kind::Xpub => vec![
            // Of the two the later one counts; verboser says all that verbose does.
            match options.xpub_verboser {
                true => Setting::XpubVerboser(true),
                false => Setting::XpubVerbose(options.xpub_verbose),
            },
            match options.xpub_manual_last_value {
                true => Setting::XpubManualLastValue(true),
                false => Setting::XpubManual(options.xpub_manual),
            },
            Setting::XpubNodrop(options.xpub_nodrop),
            Setting::XpubWelcome((!welcome.is_empty()).then(|| welcome.clone())),
            Setting::OnlyFirstSubscribe(options.only_first_subscribe),
            Setting::InvertMatching(options.invert_matching),
        ],
        Kind::Sub => vec![Setting::InvertMatching(options.invert_matching)],
        Kind::Xsub => vec![
            Setting::XsubVerboseUnsubscribe(options.xsub_verbose_unsubscribe),
            Setting::OnlyFirstSubscribe(options.only_first_subscribe),
        ],
        Kind::Stream => vec![Setting::StreamNotify(options.stream_notify)],
        _ => Vec::new(),
    }
}

/// Where generated identities and request numbers begin.
fn seed() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library's hashers are keyed at random.
    RandomState::new().build_hasher().finish() as u32
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
