//! Who waits, and how whoever has something for them finds out.
//!
//! One [`Waiters`] serves one direction of a channel: receivers wait in it for messages, or senders
//! for room. A notifier that finds nobody pays one load of a line that is rarely written. Threads
//! and tasks wait in the same queue, first come first served, each as a [`Waker`].
//!
//! ```text
//!   waiter                                notifier
//!     register: queue, say WAITING          publish
//!     [fence]                               [fence]
//!     look again, sleep if there is none    look at the state: 0 is nobody
//! ```
//!
//! The handshake is Dekker's: with both fences one of the two sees the other. Who pays for them
//! changes with the traffic, because a fence costs a notifier ten times its message, and the
//! waiter's remedy, [`fence::heavy`], costs microseconds:
//!
//! - *calm* (state without FENCED): notifiers do without; a waiter pays `heavy` before it sleeps.
//!   Right when many messages pass between two sleeps.
//! - *fenced*: notifiers see FENCED, fence, and look again; a waiter pays an ordinary fence. Right
//!   when there is about one sleep a message, as in a conversation.
//!
//! The waiter decides, by how far the queue moved since the last sleep. A change to *fenced* is
//! itself made with `heavy`, after which no notifier can still hold the old state for the newest;
//! the change back needs nothing, as the next sleep in calm pays `heavy` again. All writes to the
//! state are made under the queue's lock, and so is the fence of a change to *fenced*.
//!
//! How it can fail: a lost wake-up, which is a message in the queue, a sleeper, and nobody about to
//! wake it. The loom models of every channel look for exactly that, in *fenced*, as the model
//! checker knows no `membarrier`; `tests/loom/calm.rs` explores *calm* and the changes on a model
//! of a machine with store buffers.

use std::collections::VecDeque;
use std::task::Waker;

use super::fence;
use crate::padded::Padded;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock};

/// Notifiers must fence before they believe that nobody waits.
const FENCED: u32 = 1;
/// The queue is not empty.
const WAITING: u32 = 2;
/// Nobody will ever wait here again: notifying is in vain.
const CLOSED: u32 = 4;

/// So many messages between two sleeps are worth a `heavy` fence: with another thread running 10 us
/// on a virtual machine (AMD EPYC; alone 0.3) and 4 us on another, against 10 to 100 ns for each of
/// them, most where a message is several lines.
const CALM: usize = 128;
/// That is judged over so many sleeps: several that sleep at the same time are no conversation.
const WINDOW: usize = 8;

/// A place in the queue of waiters, held by an operation that waits.
pub(crate) type Place = Option<u64>;

/// The waiters of one direction of a channel.
#[derive(Debug)]
pub(crate) struct Waiters {
    state: Padded<AtomicU32>,
    rest: Padded<Rest>,
}

#[derive(Debug)]
struct Rest {
    queue: Mutex<Queue>,
    /// Wake-ups given. Written under the lock.
    wakes: AtomicU64,
    /// See [`super::Backoff`].
    luck: AtomicU32,
    /// See [`super::Patience`].
    patience: AtomicU32,
}

#[derive(Debug, Default)]
struct Queue {
    /// In order of arrival, so of tickets.
    waiting: VecDeque<(u64, Waker)>,
    next_ticket: u64,
    /// Where the queue of messages stood when the window began.
    window: usize,
    /// Sleeps since.
    sleeps: usize,
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        let state = if fence::asymmetric() { 0 } else { FENCED };
        let queue = Mutex::new(Queue::default());
        let (wakes, luck) = (AtomicU64::new(0), AtomicU32::new(super::backoff::FULL_LUCK));
        Waiters {
            state: Padded(AtomicU32::new(state)),
            rest: Padded(Rest { queue, wakes, luck, patience: AtomicU32::new(0) }),
        }
    }

    /// Notifier, after it published: wakes up to `count` waiters, if any wait. True: closed, nobody
    /// will come for what was published.
    #[inline(always)]
    pub(crate) fn notify(&self, count: usize) -> bool {
        fence::light();
        // ORDERING: relaxed; what was published is carried by the queue's own release and acquire.
        // That this look is not made before the publish is the subject of this file.
        let state = self.state.load(Ordering::Relaxed);
        state != 0 && self.notify_with(state, count)
    }

    #[inline(never)]
    fn notify_with(&self, mut state: u32, count: usize) -> bool {
        if state & FENCED != 0 {
            // ORDERING: pairs with the fence of `register` and of `close`.
            crate::sync::fence(Ordering::SeqCst);
            state = self.state.load(Ordering::Relaxed);
        }
        if state & WAITING != 0 {
            self.wake(count);
        }
        state & CLOSED != 0
    }

    /// Whether [`Waiters::close`] was called.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: acquire, pairs with the store of `close`: who learns of it sees what was done
        // before it.
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Waiter: takes a place, or keeps the one it has. It must look at the queue once more after
    /// this, and sleep only if that is in vain. `position` is how far the queue of messages has
    /// come.
    pub(crate) fn register(&self, place: &mut Place, waker: &Waker, position: usize) {
        let waker = waker.clone();
        let mut queue = lock(&self.rest.queue);
        let known = place.and_then(|ticket| queue.find(ticket));
        if let Some(index) = known {
            // Registered all the while: whoever published since has seen it.
            let old = std::mem::replace(&mut queue.waiting[index].1, waker);
            drop(queue);
            drop(old);
            return;
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push_back((ticket, waker));
        *place = Some(ticket);
        let was = self.state.load(Ordering::Relaxed);
        let fenced = queue.judge(position).unwrap_or(was & FENCED);
        self.state.store((was & CLOSED) | WAITING | fenced, Ordering::Relaxed);
        // A change to fenced is fenced under the lock: the next waiter trusts what it reads there,
        // and while a notifier may still hold the old state it would sleep beside its message.
        let change = fenced & !was != 0;
        if change {
            fence::heavy();
        }
        drop(queue);
        if !change {
            barrier(was & fenced != 0);
        }
    }

    /// Waiter: gives its place up. True: it had been woken, and if it does not act on that, another
    /// must be woken in its stead.
    #[inline(always)]
    pub(crate) fn leave(&self, place: &mut Place) -> bool {
        place.take().is_some_and(|ticket| self.leave_place(ticket))
    }

    fn leave_place(&self, ticket: u64) -> bool {
        let mut queue = lock(&self.rest.queue);
        let Some(index) = queue.find(ticket) else { return true };
        let left = queue.waiting.remove(index);
        self.unmark(&queue);
        drop(queue);
        drop(left);
        false
    }

    /// Waiter, before an attempt: if it was woken, the attempt is its answer, and its place is
    /// gone.
    #[inline(always)]
    pub(crate) fn answer(&self, place: &mut Place) {
        if let Some(ticket) = *place
            && self.was_woken(ticket)
        {
            *place = None;
        }
    }

    fn was_woken(&self, ticket: u64) -> bool {
        lock(&self.rest.queue).find(ticket).is_none()
    }

    /// Waiter, at its end: gives its place up, and if it had been woken, wakes another in its
    /// stead.
    ///
    /// Not only after failure: who was woken between the attempt that succeeded and this call was
    /// woken for something else, which stays where it is while another sleeps.
    #[inline(always)]
    pub(crate) fn pass_on(&self, place: &mut Place) {
        if self.leave(place) {
            self.wake(1);
        }
    }

    /// Wakes up to `count` waiters, those who came first.
    pub(crate) fn wake(&self, count: usize) {
        for _ in 0..count {
            let mut queue = lock(&self.rest.queue);
            let first = queue.waiting.pop_front();
            self.unmark(&queue);
            if first.is_some() {
                let wakes = self.rest.wakes.load(Ordering::Relaxed);
                self.rest.wakes.store(wakes + 1, Ordering::Relaxed);
            }
            drop(queue);
            // The program's own code runs in here: not under the lock.
            let Some((_, waker)) = first else { return };
            waker.wake();
        }
    }

    /// Nobody will wait here again: notifiers learn it from now on, and those who still wait, if
    /// any do, are woken.
    pub(crate) fn close(&self) {
        let queue = lock(&self.rest.queue);
        let was = self.state.load(Ordering::Relaxed);
        // ORDERING: release, pairs with `is_closed`.
        self.state.store(was | CLOSED, Ordering::Release);
        drop(queue);
        barrier(was & FENCED != 0);
        self.wake(usize::MAX);
    }

    /// Whoever moves on without sleeping says so now and then: notifiers need not fence for one who
    /// does not sleep.
    #[inline]
    pub(crate) fn awake_at(&self, position: impl FnOnce() -> usize) {
        if self.state.load(Ordering::Relaxed) & FENCED != 0 {
            self.calm(position());
        }
    }

    #[cold]
    fn calm(&self, position: usize) {
        let mut queue = lock(&self.rest.queue);
        if fence::asymmetric() && queue.has_come_far(position) {
            queue.begin_window(position);
            let was = self.state.load(Ordering::Relaxed);
            self.state.store(was & !FENCED, Ordering::Relaxed);
        }
    }

    /// Takes WAITING back if nobody is left.
    fn unmark(&self, queue: &Queue) {
        if queue.waiting.is_empty() {
            let was = self.state.load(Ordering::Relaxed);
            self.state.store(was & !WAITING, Ordering::Relaxed);
        }
    }

    /// Wake-ups given so far.
    pub(crate) fn wakes(&self) -> u64 {
        self.rest.wakes.load(Ordering::Relaxed)
    }

    /// How well a moment's patience has paid here of late.
    pub(crate) fn patience(&self) -> &AtomicU32 {
        &self.rest.patience
    }

    /// How well spinning has paid here of late.
    pub(crate) fn luck(&self) -> &AtomicU32 {
        &self.rest.luck
    }
}

/// Makes what was stored before seen before what is loaded after. `fenced`: notifiers do their
/// half.
fn barrier(fenced: bool) {
    if fenced {
        // ORDERING: pairs with the fence of `notify_with`.
        crate::sync::fence(Ordering::SeqCst);
    } else {
        fence::heavy();
    }
}

impl Queue {
    /// One more sleep. At the end of a window: whether notifiers are to fence from now on.
    fn judge(&mut self, position: usize) -> Option<u32> {
        self.sleeps += 1;
        if self.sleeps < WINDOW {
            return None;
        }
        let calm = fence::asymmetric() && self.has_come_far(position);
        self.begin_window(position);
        Some(if calm { 0 } else { FENCED })
    }

    fn has_come_far(&self, position: usize) -> bool {
        // Signed: another may have begun the window since this position was read.
        position.wrapping_sub(self.window).cast_signed() >= (WINDOW * CALM).cast_signed()
    }

    fn begin_window(&mut self, position: usize) {
        (self.window, self.sleeps) = (position, 0);
    }

    /// Where the holder of `ticket` stands, unless it was woken already.
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn wakes_in_order_of_arrival_and_each_once() {
        let waiters = Waiters::new();
        let (first, waker) = counted();
        let (second, other) = counted();
        let (mut a, mut b) = (None, None);
        waiters.register(&mut a, &waker, 0);
        waiters.register(&mut b, &other, 0);
        waiters.register(&mut a, &waker, 0);
        assert!(!waiters.notify(1));
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 0));
        assert!(waiters.leave(&mut a), "it was woken");
        assert!(!waiters.leave(&mut b), "it was not");
        assert!(!waiters.notify(9));
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 0));
        assert_eq!(waiters.wakes(), 1);
    }

    #[test]
    fn closing_wakes_everyone_and_tells_notifiers() {
        let waiters = Waiters::new();
        let (count, waker) = counted();
        for _ in 0..3 {
            waiters.register(&mut None, &waker, 0);
        }
        assert!(!waiters.is_closed());
        waiters.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 3);
        assert!(waiters.is_closed() && waiters.notify(1));
    }

    #[test]
    fn a_stream_makes_it_calm_and_a_conversation_fenced() {
        if !fence::asymmetric() {
            return;
        }
        let waiters = Waiters::new();
        let (_, waker) = counted();
        let fenced = || waiters.state.load(Ordering::Relaxed) & FENCED != 0;
        let sleep = |position| {
            let mut place = None;
            waiters.register(&mut place, &waker, position);
            waiters.leave(&mut place);
        };
        assert!(!fenced());
        (0..WINDOW).for_each(sleep);
        assert!(fenced(), "a message, a sleep, and so on");
        waiters.awake_at(|| WINDOW * CALM - 1);
        assert!(fenced());
        waiters.awake_at(|| WINDOW - 1 + WINDOW * CALM);
        assert!(!fenced(), "it has been awake for long");
        let far = 2 * WINDOW * CALM;
        (0..WINDOW).for_each(|_| sleep(far));
        assert!(fenced());
        (1..=WINDOW).for_each(|burst| sleep(far + burst * CALM));
        assert!(!fenced(), "many messages between two sleeps");
    }
}
