//! The side that is rung for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use super::{BASE, BEGUN, DONE, SEEN, VALUE};
use crate::admit::Peer;
use crate::door::BindError;
use crate::error::Error;
use crate::hall::{Hall, Key, Left, Terms};
use crate::link::Link;
use crate::name::Name;
use crate::options::{Options, common_options};
use crate::porch::Porch;
use crate::step::step;
use crate::task;
use crate::wait::Waiter;
use crate::wire::Kind;

/// Looks at a value and its count until they agree, and no more.
const TRIES: usize = 8;

/// Is notified by any number of [`Notifier`](super::Notifier).
///
/// ```no_run
/// let mut changes = chaski_shm::Listener::bind("config-changed")?;
/// loop {
///     let event = changes.recv()?;
///     println!("{}: version {}, {} changes", event.peer, event.value, event.rings);
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each notifier has room for one value, the last. So whatever a notifier does, the listener has at
/// most one event of it to deal with, and none of them waits for the listener. Notifiers are heard
/// in turn.
///
/// The last notification of a notifier that has left or died is heard, too.
pub struct Listener {
    hall: Hall<Heard>,
    porch: Arc<Porch>,
    waiter: Waiter,
    /// Those that rang, to be looked at in turn.
    rang: VecDeque<Key>,
    /// The last words of those that left.
    farewells: VecDeque<Event>,
}

/// A notification, or several of one notifier in one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// Who notified.
    pub peer: Peer,
    /// The value it gave last.
    pub value: u64,
    /// How many times it notified since the event before, or since it connected.
    pub rings: u64,
}

/// How many rings of a notifier were heard; `None`: it was not looked at yet.
#[derive(Debug, Default)]
struct Heard(Option<u64>);

/// Choices for a [`Listener`].
#[derive(Debug, Clone)]
pub struct ListenerBuilder {
    options: Options,
    notifiers_max: usize,
}

impl ListenerBuilder {
    common_options!();

    /// The most notifiers at once: 1,024 by default, 4,096 at most. Each takes three descriptors
    /// and 32 KiB.
    #[must_use]
    pub fn notifiers_max(mut self, notifiers: usize) -> Self {
        self.notifiers_max = notifiers;
        self
    }

    /// Binds the listener to a name.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Listener, BindError> {
        let terms = Terms { serves: Kind::Notify, peers_max: self.notifiers_max };
        let hall = Hall::bind(&Name::new(name)?, &self.options, terms)?;
        Ok(Listener {
            porch: hall.porch().clone(),
            hall,
            waiter: Waiter::new(self.options.wait),
            rang: VecDeque::new(),
            farewells: VecDeque::new(),
        })
    }
}

impl Listener {
    /// A listener of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Listener, BindError> {
        Listener::builder().bind(name)
    }

    /// For a listener that differs.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder { options: Options::default(), notifiers_max: 1024 }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn recv(&mut self) -> Result<Event, Error> {
        self.take(None)?.ok_or(Error::TimedOut)
    }

    /// Waits for the next event, but no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::System`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Event, Error> {
        self.take(Some(Instant::now() + limit))?.ok_or(Error::TimedOut)
    }

    /// As [`Listener::recv`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Listener::recv`].
    pub async fn recv_async(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.poll() {
                return Ok(event);
            }
            task::wait(&self.porch, &mut self.hall.marks(has_rung)).await?;
        }
    }

    /// The next event, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn try_recv(&mut self) -> Result<Option<Event>, Error> {
        Ok(self.poll())
    }

    /// How many notifiers are connected.
    pub fn notifiers(&mut self) -> usize {
        self.attend();
        self.hall.all().count()
    }

    fn take(&mut self, deadline: Option<Instant>) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.poll() {
                return Ok(Some(event));
            }
            // Asked here: there may be marks without end, and no event.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            self.waiter.wait(&self.porch, &mut self.hall.marks(has_rung), deadline)?;
        }
    }

    /// The event of whose turn it is.
    fn poll(&mut self) -> Option<Event> {
        // First, so that those who come and go do not pile them up.
        if let Some(event) = self.farewells.pop_front() {
            return Some(event);
        }
        self.attend();
        if self.rang.is_empty() {
            let rang = &mut self.rang;
            self.hall.take_marked(|key| rang.push_back(key));
        }
        while let Some(key) = self.rang.pop_front() {
            if let Some((link, heard)) = self.hall.get(key)
                && let Some(event) = heard.next(link)
            {
                return Some(event);
            }
        }
        self.farewells.pop_front()
    }

    /// Seats who has come, who may have rung before, and hears the last of who left.
    #[inline]
    fn attend(&mut self) {
        if self.hall.attend() {
            self.rang.extend(self.hall.take_arrived());
            for Left { link, extra: mut heard, .. } in self.hall.take_left() {
                self.farewells.extend(heard.next(&link));
            }
        }
    }
}

/// Whether there were rings since the last look.
fn has_rung(link: &mut Link, heard: &mut Heard) -> bool {
    heard.0 != Some(link.their_note(DONE).load(Ordering::Relaxed))
}

impl Heard {
    /// What is new.
    fn next(&mut self, link: &Link) -> Option<Event> {
        // An earlier listener heard those up to the base, which does not change any more.
        let heard = self.0.unwrap_or_else(|| link.their_note(BASE).load(Ordering::Relaxed));
        let (count, value) = read(link);
        if self.0.replace(count) == Some(count) {
            return None;
        }
        // Where a successor begins, also if there was nothing new.
        link.my_note(SEEN).store(count, Ordering::Relaxed);
        if count == heard {
            return None;
        }
        step("listener.seen");
        let peer = link.session().peer().clone();
        // A count that goes back is a liar's.
        Some(Event { peer, value, rings: count.wrapping_sub(heard) })
    }
}

/// How often a notifier has rung, and its last value.
fn read(link: &Link) -> (u64, u64) {
    let mut last = (0, 0);
    for _ in 0..TRIES {
        let count = link.their_note(DONE).load(Ordering::Relaxed);
        // ORDERING: pairs with the release of the count in `Notifier::write`, see there.
        fence(Ordering::Acquire);
        let value = link.their_note(VALUE).load(Ordering::Relaxed);
        // ORDERING: pairs with the release fence there.
        fence(Ordering::Acquire);
        last = (count, value);
        if link.their_note(BEGUN).load(Ordering::Relaxed) == count {
            break;
        }
    }
    last
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
