//! Where an endpoint sleeps: one epoll descriptor over everything that may wake it.
//!
//! ```text
//!                       +------------------------------+
//!   peers' doorbells -->| epoll, edge-triggered        |--> epoll_wait, tokio, any event loop
//!   own bell (knock) -->|                              |
//!                       +------------------------------+
//! ```
//!
//! A peer rings the doorbell that it was given when it has published something for a side that said
//! it sleeps. The doorman, another thread of this process, knocks when there is news in private
//! memory: someone arrived, hung up, or sent a control message. Each peer has a doorbell of its
//! own, because who can ring one can also fill it, and so take the rings of others.
//!
//! Edges are enough: nobody asks how often it rang, the sleeper looks at its rings again when it is
//! up. The own bell is an eventfd that is never read; those of peers are not, see [`bell`].

mod bell;

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use bell::{Bell, Button, NoButton};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io;

/// The key of the endpoint's own bell; peers have smaller ones.
const OWN: u64 = u64::MAX;

/// Events taken by one call; more are left for the next.
const EVENTS_MAX: usize = 64;

/// Where an endpoint sleeps. Shared with the doorman, who knocks.
#[derive(Debug)]
pub(crate) struct Porch {
    epoll: OwnedFd,
    own: OwnedFd,
    /// What peers ring, by key. Kept here, so that none is closed, and its number used again, while
    /// it is read.
    bells: Mutex<HashMap<u32, Bell>>,
    /// Something in private memory has changed since the last look.
    news: AtomicBool,
    /// The endpoint sleeps, or is about to: a knock must ring.
    asleep: AtomicBool,
}

impl Porch {
    pub(crate) fn new() -> io::Result<Arc<Porch>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let own = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let data = epoll::EventData::new_u64(OWN);
        epoll::add(&epoll, &own, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(Arc::new(Porch {
            epoll,
            own,
            bells: Mutex::default(),
            news: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        }))
    }

    /// From now on a ring of this bell ends the sleep, which then names `key`. It takes the place
    /// of another of that key.
    pub(crate) fn watch(&self, bell: Bell, key: u32) -> io::Result<()> {
        self.unwatch(key);
        let data = epoll::EventData::new_u64(key.into());
        epoll::add(&self.epoll, &bell, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        self.bells().insert(key, bell);
        Ok(())
    }

    /// No longer, if it is watched; it is closed.
    pub(crate) fn unwatch(&self, key: u32) {
        if let Some(bell) = self.bells().remove(&key) {
            // Not by closing alone: a child between `fork` and `exec` has a copy.
            let _ = epoll::delete(&self.epoll, &bell);
        }
    }

    /// A thread that panicked while it held the lock left a whole value.
    fn bells(&self) -> MutexGuard<'_, HashMap<u32, Bell>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the endpoint, from any thread, that there is news in private memory.
    pub(crate) fn knock(&self) {
        // ORDERING: pairs with `lie_down`: either the sleeper sees the news, or this sees it
        // asleep.
        self.news.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            let _ = io::write(&self.own, &1_u64.to_ne_bytes());
        }
    }

    /// Whether there was a knock since [`Porch::take_news`]. Next to free: asked at every look.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Relaxed)
    }

    /// Whether there was a knock; from now on there was none.
    pub(crate) fn take_news(&self) -> bool {
        // ORDERING: acquire, pairs with the store of `knock`: what it announced is there.
        self.news.swap(false, Ordering::Acquire)
    }

    /// From now on a knock rings. The caller looks at everything, the news too, before it sleeps.
    pub(crate) fn lie_down(&self) {
        // ORDERING: SeqCst, pairs with `knock`; the look that follows loads `news`.
        self.asleep.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// The endpoint is up.
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Sleeps until something rings or `limit` is over. Calls `rung` with the key of each doorbell
    /// that did; whether anything rang, the endpoint's own bell included.
    pub(crate) fn sleep(
        &self,
        limit: Option<Duration>,
        mut rung: impl FnMut(u32),
    ) -> io::Result<bool> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut events = Vec::<epoll::Event>::with_capacity(EVENTS_MAX);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), limit.as_ref()) {
            // A signal: the caller looks, and comes again.
            Err(io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        for event in &events {
            // The key is ours, from `watch`.
            if let Ok(key) = u32::try_from(event.data.u64()) {
                if let Some(bell) = self.bells().get(&key) {
                    bell.hush();
                }
                rung(key);
            }
        }
        Ok(!events.is_empty())
    }
}

impl AsFd for Porch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Peer;

    fn watched(porch: &Porch, key: u32) -> Button {
        let (bell, button) = Bell::new().unwrap();
        porch.watch(bell, key).unwrap();
        let this = Peer { pid: std::process::id(), uid: 0, gid: 0, groups: [].into() };
        Button::new(button, &this).unwrap()
    }

    #[test]
    fn a_ring_is_told_by_its_key_and_once() {
        let porch = Porch::new().unwrap();
        let (one, two) = (watched(&porch, 1), watched(&porch, 2));
        two.ring();
        two.ring();

        let mut keys = Vec::new();
        assert!(porch.sleep(None, |key| keys.push(key)).unwrap());
        assert_eq!(keys, [2]);
        assert!(!porch.sleep(Some(Duration::ZERO), |_| panic!("nobody rang")).unwrap());

        porch.unwatch(2);
        two.ring();
        one.ring();
        let mut keys = Vec::new();
        assert!(porch.sleep(None, |key| keys.push(key)).unwrap());
        assert_eq!(keys, [1]);
    }

    #[test]
    fn a_knock_wakes_a_sleeper_and_is_news_to_one_awake() {
        let porch = Porch::new().unwrap();
        porch.knock();
        assert!(porch.has_news() && porch.take_news() && !porch.has_news());
        assert!(!porch.sleep(Some(Duration::ZERO), |_| ()).unwrap(), "nobody slept");

        porch.lie_down();
        std::thread::scope(|scope| {
            scope.spawn(|| porch.knock());
            assert!(porch.sleep(None, |_| ()).unwrap());
        });
        porch.get_up();
        assert!(porch.take_news());
    }
}
