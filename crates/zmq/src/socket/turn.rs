//! Waiting: one caller sleeps in the socket's poll for all of them.
//!
//! Callers of `recv` and `send`, threads and tasks, wait for one of two things ([`Want`]). At most
//! one *thread* leads: it holds the poll and sleeps in it, takes the events of all connections,
//! passes them on, and wakes whoever they concern. The others follow: they stand in a list with
//! the means to wake them. Tasks only follow; they have the poll's descriptor watched (by tokio's
//! driver, or by this crate's) and take the events when it is readable.
//!
//! # No wake-up is lost
//!
//! 1. *Register, then look again.* A waiter enters the list (or the lead), and only then looks once
//!    more whether what it wants is there. Who makes it there looks at the list afterwards. Either
//!    the waiter sees the message or the room, or the other sees the waiter. Between the two stands
//!    a `SeqCst` fence on each side ([`Turn::sit`], [`Turn::notify`]), so that both cannot miss
//!    each other.
//! 2. *An event is never dropped.* Who takes events from the poll marks each readable connection on
//!    the doorbell, which outlives the taker's own interest, and flushes each writable one at once.
//! 3. *A wake-up is used or passed on.* One receiver is woken for what may be many messages. When
//!    it leaves with one and more may be there, or leaves without one (its time is over, its future
//!    is dropped), it wakes the next ([`Turn::leave`]). Senders are all woken: each may have room
//!    at another peer.
//! 4. *The lead is passed on.* Whoever leaves while nobody leads wakes one who follows, who will
//!    lead if it has to wait again. So as long as anybody waits, somebody is in the poll, or is
//!    woken and on the way there, or the descriptor is watched.
//!
//! A receive future that was woken and is then neither polled nor dropped keeps the wake-up to
//! itself for as long; that is the one way to hold others up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;

use crate::wake::wake;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A message.
    Recv,
    /// Room for one.
    Send,
}

/// Who waits, and in what order they came. See the head of this module.
#[derive(Default)]
pub(crate) struct Turn {
    state: Mutex<State>,
    /// How many wait for each want, the leader included.
    receivers: AtomicUsize,
    senders: AtomicUsize,
}

#[derive(Default)]
struct State {
    lead: Option<Lead>,
    waiters: VecDeque<Waiter>,
    next: u64,
    /// The driver watches the poll's descriptor for tasks.
    watched: bool,
}

struct Lead {
    want: Want,
    /// It has been told to look up from the poll.
    called: bool,
}

struct Waiter {
    id: u64,
    want: Want,
    who: Who,
}

/// The means to wake a follower.
pub(crate) enum Who {
    /// By unparking it.
    Thread(Thread),
    /// By its waker.
    Task(Waker),
}

/// A place among those that wait; given back by [`Turn::leave`].
#[derive(Debug)]
#[must_use]
pub(crate) enum Seat {
    /// In the poll.
    Lead,
    /// In the list, by this number.
    Follow(u64),
}

/// What a notification asks of its caller.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Nothing.
    No,
    /// To make the poll return: the leader is concerned.
    Leader,
}

impl Turn {
    /// Takes a place: a thread's is the lead if nobody has it. The caller looks again for what it
    /// wants before it sleeps.
    pub(crate) fn sit(&self, want: Want, who: Who) -> Seat {
        let mut state = self.lock();
        self.count(want).fetch_add(1, Ordering::Relaxed);
        let seat = match who {
            Who::Thread(_) if state.lead.is_none() => {
                state.lead = Some(Lead { want, called: false });
                Seat::Lead
            }
            who => {
                let id = state.next;
                state.next += 1;
                state.waiters.push_back(Waiter { id, want, who });
                Seat::Follow(id)
            }
        };
        drop(state);
        // ORDERING: with the fence in `notify`; see the head of this module, 1.
        fence(Ordering::SeqCst);
        seat
    }

    /// Takes a place again after having been woken for nothing.
    pub(crate) fn sit_again(&self, want: Want, who: Who) -> Seat {
        self.count(want).fetch_sub(1, Ordering::Relaxed);
        self.sit(want, who)
    }

    /// Whether a follower still stands in the list, that is, was not woken; a task's waker is
    /// renewed.
    pub(crate) fn still(&self, seat: &Seat, waker: Option<&Waker>) -> bool {
        let Seat::Follow(id) = seat else { return true };
        let mut state = self.lock();
        let Some(waiter) = state.waiters.iter_mut().find(|waiter| waiter.id == *id) else {
            return false;
        };
        if let (Who::Task(old), Some(new)) = (&mut waiter.who, waker) {
            old.clone_from(new);
        }
        true
    }

    /// Before the leader sleeps, when it has the poll to itself: whether it was called in the
    /// meantime. Another who had the poll for a moment may have taken the event that says so.
    pub(crate) fn take_call(&self) -> bool {
        self.lock().lead.as_mut().is_some_and(|lead| std::mem::take(&mut lead.called))
    }

    /// The leader has looked up from the poll: to make it do so again takes another call.
    pub(crate) fn look_up(&self) {
        if let Some(lead) = &mut self.lock().lead {
            lead.called = false;
        }
    }

    /// Gives a place back. `took` says whether the caller got what it wanted, and if so, whether
    /// there may be more of it.
    pub(crate) fn leave(&self, seat: Seat, want: Want, took: Option<bool>) -> Call {
        let mut state = self.lock();
        self.count(want).fetch_sub(1, Ordering::Relaxed);
        let woken = match seat {
            Seat::Lead => state.lead.take().is_some_and(|lead| lead.called),
            Seat::Follow(id) => {
                let before = state.waiters.len();
                state.waiters.retain(|waiter| waiter.id != id);
                state.waiters.len() == before
            }
        };
        let passes = took.unwrap_or(woken);
        let mut wake = if passes { state.next_of(want) } else { None };
        let call = match &mut state.lead {
            Some(lead) if passes && wake.is_none() && lead.want == want => lead.call(),
            _ => Call::No,
        };
        if state.lead.is_none() && wake.is_none() {
            wake = state.next_to_lead();
        }
        drop(state);
        if let Some(who) = wake {
            who.wake();
        }
        call
    }

    /// What `want` is for has come about: wakes one receiver, or all senders.
    #[inline]
    pub(crate) fn notify(&self, want: Want) -> Call {
        // ORDERING: with the fence in `sit`.
        fence(Ordering::SeqCst);
        self.pass_on(want)
    }

    /// The same for a caller whose change was made under a lock that waiters look again under.
    #[inline]
    pub(crate) fn pass_on(&self, want: Want) -> Call {
        if self.count(want).load(Ordering::Relaxed) == 0 {
            return Call::No;
        }
        self.wake(want)
    }

    #[cold]
    fn wake(&self, want: Want) -> Call {
        let mut state = self.lock();
        let mut wake = Vec::new();
        while let Some(who) = state.next_of(want) {
            wake.push(who);
            if want == Want::Recv {
                break;
            }
        }
        let call = match &mut state.lead {
            Some(lead) if lead.want == want && (want == Want::Send || wake.is_empty()) => {
                lead.call()
            }
            _ => Call::No,
        };
        drop(state);
        wake.into_iter().for_each(Who::wake);
        call
    }

    /// Wakes everybody: the socket is closed.
    pub(crate) fn wake_all(&self) -> Call {
        fence(Ordering::SeqCst);
        let mut state = self.lock();
        let waiters = std::mem::take(&mut state.waiters);
        let call = state.lead.as_mut().map_or(Call::No, Lead::call);
        drop(state);
        waiters.into_iter().for_each(|waiter| waiter.who.wake());
        call
    }

    /// Whether a thread leads.
    pub(crate) fn is_led(&self) -> bool {
        self.lock().lead.is_some()
    }

    /// A task is about to wait without a runtime that watches for it; whether the driver is to be
    /// told.
    pub(crate) fn begins_watch(&self) -> bool {
        !std::mem::replace(&mut self.lock().watched, true)
    }

    /// The driver's watch came to its end; whether it is to go on, because tasks wait.
    pub(crate) fn goes_on_watching(&self) -> bool {
        let mut state = self.lock();
        state.watched = state.waiters.iter().any(|waiter| matches!(waiter.who, Who::Task(_)));
        state.watched
    }

    fn count(&self, want: Want) -> &AtomicUsize {
        match want {
            Want::Recv => &self.receivers,
            Want::Send => &self.senders,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the first who wants this out of the list.
    fn next_of(&mut self, want: Want) -> Option<Who> {
        let at = self.waiters.iter().position(|waiter| waiter.want == want)?;
        self.waiters.remove(at).map(|waiter| waiter.who)
    }

    /// Takes the first who may lead out of the list: a thread rather than a task.
    fn next_to_lead(&mut self) -> Option<Who> {
        let thread = |waiter: &Waiter| matches!(waiter.who, Who::Thread(_));
        let at = self.waiters.iter().position(thread).unwrap_or(0);
        self.waiters.remove(at).map(|waiter| waiter.who)
    }
}

impl Lead {
    fn call(&mut self) -> Call {
        if std::mem::replace(&mut self.called, true) { Call::No } else { Call::Leader }
    }
}

impl Who {
    fn wake(self) {
        match self {
            Who::Thread(thread) => thread.unpark(),
            Who::Task(waker) => wake(waker),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl Woken {
        /// Whether it was woken since last asked.
        fn take(&self) -> bool {
            self.0.swap(false, Ordering::SeqCst)
        }
    }

    fn follow(turn: &Turn, want: Want) -> (Seat, Arc<Woken>) {
        let woken = Arc::new(Woken::default());
        let seat = turn.sit(want, Who::Task(Waker::from(Arc::clone(&woken))));
        (seat, woken)
    }

    #[test]
    fn one_receiver_is_woken_and_all_senders() {
        let turn = Turn::default();
        let (_first, receiver) = follow(&turn, Want::Recv);
        let (_second, other) = follow(&turn, Want::Recv);
        let (_third, sender) = follow(&turn, Want::Send);
        let (_fourth, another) = follow(&turn, Want::Send);
        assert_eq!(turn.notify(Want::Recv), Call::No);
        assert_eq!([receiver.take(), other.take()], [true, false]);
        assert_eq!([sender.take(), another.take()], [false, false]);
        assert_eq!(turn.notify(Want::Send), Call::No);
        assert_eq!([sender.take(), another.take()], [true, true]);
        assert!(!other.take());
    }

    #[test]
    fn a_wake_up_unused_goes_to_the_next() {
        let turn = Turn::default();
        let lead = turn.sit(Want::Send, Who::Thread(thread::current()));
        let (first, _) = follow(&turn, Want::Recv);
        let (_second, other) = follow(&turn, Want::Recv);
        let _ = turn.notify(Want::Recv);
        let _ = turn.leave(first, Want::Recv, None);
        assert!(other.take());
        // One that was not woken leaves without a trace.
        let (third, _) = follow(&turn, Want::Recv);
        let (_fourth, last) = follow(&turn, Want::Recv);
        let _ = turn.leave(third, Want::Recv, None);
        assert!(!last.take());
        let _ = turn.leave(lead, Want::Send, Some(false));
        // The lead is free: somebody is woken to take it.
        assert!(last.take());
    }

    #[test]
    fn whoever_leaves_more_behind_wakes_the_next() {
        let turn = Turn::default();
        let lead = turn.sit(Want::Recv, Who::Thread(thread::current()));
        let (seat, woken) = follow(&turn, Want::Recv);
        let _ = turn.notify(Want::Recv);
        assert!(woken.take());
        // Nobody follows any more: the leader is called out of the poll.
        assert_eq!(turn.leave(seat, Want::Recv, Some(true)), Call::Leader);
        // Once called, it is not called again before it has looked up.
        assert_eq!(turn.notify(Want::Recv), Call::No);
        turn.look_up();
        assert_eq!(turn.notify(Want::Recv), Call::Leader);
        let _ = turn.leave(lead, Want::Recv, Some(false));
    }

    #[test]
    fn the_lead_is_a_threads_and_is_passed_on() {
        let turn = Turn::default();
        let (_task, woken) = follow(&turn, Want::Recv);
        assert!(!turn.is_led());
        let lead = turn.sit(Want::Recv, Who::Thread(thread::current()));
        assert!(matches!(lead, Seat::Lead));
        assert!(matches!(turn.sit(Want::Send, Who::Thread(thread::current())), Seat::Follow(_)));
        let _ = turn.leave(lead, Want::Recv, Some(false));
        // The thread is preferred to the task that came before it.
        assert!(!woken.take());
        assert!(!turn.is_led());
        let again = turn.sit_again(Want::Send, Who::Thread(thread::current()));
        assert!(matches!(again, Seat::Lead));
    }

    /// Tokens are produced and consumed by many threads; a lost wake-up leaves one asleep for ever.
    #[test]
    fn nobody_sleeps_while_there_is_something() {
        const EACH: usize = 2_000;
        let turn = Turn::default();
        let tokens = Mutex::new(0_usize);
        let take = || {
            let mut tokens = tokens.lock().unwrap();
            let took = *tokens > 0;
            *tokens -= usize::from(took);
            took.then_some(*tokens > 0)
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut seat = turn.sit(Want::Recv, Who::Thread(thread::current()));
                        let more = loop {
                            if let Some(more) = take() {
                                break more;
                            }
                            // There is no poll here: the leader looks again and again.
                            if matches!(seat, Seat::Lead) {
                                thread::yield_now();
                                turn.look_up();
                                continue;
                            }
                            thread::park();
                            if !turn.still(&seat, None) {
                                seat = turn.sit_again(Want::Recv, Who::Thread(thread::current()));
                            }
                        };
                        let _ = turn.leave(seat, Want::Recv, Some(more));
                    }
                });
            }
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        *tokens.lock().unwrap() += 1;
                        let _ = turn.notify(Want::Recv);
                    }
                });
            }
        });
        assert_eq!(*tokens.lock().unwrap(), 0);
    }
}
