//! One worker as the others see it: its queue, what it is ordered to do, and what it counted.
//!
//! ```text
//!   producers --- data (bounded, the pool's policy) ---+
//!   handles ----- urgent (bounded, refuses) -----------+--> the worker
//!   the pool ---- orders: bits STOP, RESTART, URGENT --+
//! ```
//!
//! Orders and urgent messages come first: the worker looks at the bits, one load, before each
//! message. It sleeps on the data queue alone. Whoever gives an order therefore also rings a
//! *bell*, an empty entry in the data queue, which wakes the worker as a message would:
//!
//! ```text
//!   order                                  worker
//!     set the bit                            take what is queued: nothing
//!     fence                                  fence
//!     push a bell: if the queue is full,     look at the bits
//!       the worker does not sleep            sleep on the queue
//! ```
//!
//! If the bell goes in, the queue's own handshake wakes the worker. If there is no room, the fences
//! see to it that the worker either has not found the queue empty yet, or finds the bit
//! afterwards. A bell that a producer takes out under [`Policy::DropOldest`] is made good by the
//! message that goes in instead. An end needs no bell: closing the queue wakes the worker. A worker
//! that also waits for other things than its queue, for its tasks, leaves a waker here, which is
//! called as well.
//!
//! [`Policy::DropOldest`]: crate::Policy::DropOldest

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use chaski_ring::{Padded, TrySendError, Wait, mpmc};

use crate::engine::contain;
use crate::event::panic_text;
use crate::partition::WorkerId;

/// Urgent messages a worker can have waiting.
pub const URGENT_CAPACITY: usize = 64;

/// An entry of the data queue: a message, or a bell.
pub(crate) type Entry<M> = Option<M>;

const STOP: u8 = 1;
const RESTART: u8 = 2;
const URGENT: u8 = 4;

/// What a worker is to look after before its next message.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    bits: Padded<AtomicU8>,
}

impl Orders {
    /// Whether there is anything.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        // ORDERING: relaxed: a glance, followed by `take` when it is not zero. That no order is
        // slept over is the work of the fences, see the module.
        self.bits.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn stop(&self) -> bool {
        self.bits.load(Ordering::Relaxed) & STOP != 0
    }

    /// Takes what is ordered; a stop stays.
    pub(crate) fn take(&self) -> Taken {
        // ORDERING: acquire, pairs with the release of `give`.
        Taken(self.bits.fetch_and(STOP, Ordering::AcqRel))
    }

    fn give(&self, bit: u8) {
        self.bits.fetch_or(bit, Ordering::AcqRel);
    }
}

/// Orders that were taken.
pub(crate) struct Taken(u8);

impl Taken {
    pub(crate) fn stop(&self) -> bool {
        self.0 & STOP != 0
    }

    pub(crate) fn restart(&self) -> bool {
        self.0 & RESTART != 0
    }

    pub(crate) fn urgent(&self) -> bool {
        self.0 & URGENT != 0
    }
}

/// Whether a worker takes messages, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It takes messages.
    Running,
    /// It handles what it has queued, and takes no more.
    Leaving,
    /// It panicked more often than its [`Restart`](crate::Restart) allows, or could not be rebuilt.
    Dead,
}

/// What a worker counts. Written by the worker alone, with plain stores; read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) handled: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) left: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) busy_ns: AtomicU64,
    pub(crate) arena_bytes: AtomicU64,
    pub(crate) arena_high_water_bytes: AtomicU64,
}

/// Adds to a counter that only the calling thread writes.
#[inline(always)]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    // ORDERING: relaxed; figures publish nothing. No locked instruction: there is one writer.
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

pub(crate) struct Shard<M> {
    pub(crate) id: WorkerId,
    pub(crate) orders: Arc<Orders>,
    pub(crate) counters: Padded<Counters>,
    pub(crate) data: mpmc::Sender<Entry<M>>,
    urgent: mpmc::Sender<M>,
    /// Here so that a producer can take out the oldest, and the pool what nobody handled.
    queued: mpmc::Receiver<Entry<M>>,
    queued_urgent: mpmc::Receiver<M>,
    status: AtomicU8,
    /// Somebody has told the partitioner that it leaves, or is about to.
    farewell: AtomicBool,
    /// By [`Policy::DropOldest`](crate::Policy::DropOldest); written by producers.
    dropped: AtomicU64,
    /// Of a worker that runs tasks.
    waker: OnceLock<Waker>,
    started: Instant,
    ended: Mutex<bool>,
    end: Condvar,
}

impl<M> Shard<M> {
    pub(crate) fn new(id: WorkerId, capacity: usize) -> Shard<M> {
        let (data, queued) = mpmc::channel(capacity);
        let (urgent, queued_urgent) = mpmc::channel(URGENT_CAPACITY);
        Shard {
            id,
            orders: Arc::default(),
            counters: Padded::default(),
            data,
            urgent,
            queued,
            queued_urgent,
            status: AtomicU8::new(Status::Running as u8),
            farewell: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            waker: OnceLock::new(),
            started: Instant::now(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    /// The end that the worker receives from.
    pub(crate) fn receiver(&self, wait: Wait) -> mpmc::Receiver<Entry<M>> {
        self.queued.clone().with_wait(wait)
    }

    /// Messages in the queue; a bell counts as one.
    pub(crate) fn depth(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            0 => Status::Running,
            1 => Status::Leaving,
            _ => Status::Dead,
        }
    }

    /// Whether it falls to the caller to tell the partitioner that this worker leaves: once, to
    /// whoever comes first.
    pub(crate) fn take_farewell(&self) -> bool {
        !self.farewell.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has taken the farewell.
    pub(crate) fn has_farewell(&self) -> bool {
        self.farewell.load(Ordering::Acquire)
    }

    /// Closes the queue to new messages, for a reason; the first reason stays.
    pub(crate) fn close(&self, why: Status) {
        // ORDERING: release, pairs with the acquire of `status`: before the close, so that a
        // producer that is refused finds the reason. Failure means that there is a reason already.
        let (running, why) = (Status::Running as u8, why as u8);
        let _ = self.status.compare_exchange(running, why, Ordering::AcqRel, Ordering::Acquire);
        self.data.close();
    }

    /// Closes the lane for urgent messages. The worker does, when it has handled all others.
    pub(crate) fn close_urgent(&self) {
        self.urgent.close();
    }

    /// Closes the queue of a worker that dies, also if it was leaving.
    pub(crate) fn die(&self) {
        // ORDERING: as in `close`.
        self.status.store(Status::Dead as u8, Ordering::Release);
        self.data.close();
    }

    /// Ends the worker as soon as the message in its hands is done.
    pub(crate) fn stop(&self) {
        self.orders.give(STOP);
        fence(Ordering::SeqCst);
        // One whose queue was closed before does not sleep on it.
        self.close(Status::Leaving);
        self.wake_tasks();
    }

    /// Has the worker build its state anew.
    pub(crate) fn restart(&self) {
        self.orders.give(RESTART);
        self.ring();
    }

    /// Sends a message ahead of all that is queued.
    pub(crate) fn send_urgent(&self, message: M) -> Result<(), TrySendError<M>> {
        self.urgent.try_send(message)?;
        self.orders.give(URGENT);
        self.ring();
        Ok(())
    }

    /// The next urgent message.
    pub(crate) fn next_urgent(&self) -> Option<M> {
        self.queued_urgent.try_recv().ok()
    }

    /// Wakes the worker, if it sleeps, to look at its orders.
    fn ring(&self) {
        // ORDERING: pairs with the fence of the worker before it sleeps, see the module.
        fence(Ordering::SeqCst);
        // Full: the worker has messages to wake up for. Closed: it was woken by that.
        let _ = self.data.try_send(None);
        self.wake_tasks();
    }

    fn wake_tasks(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Has `waker` called with every order.
    pub(crate) fn set_waker(&self, waker: Waker) {
        // It is set once, by the one worker.
        let _ = self.waker.set(waker);
    }

    /// Sends a message, in place of the oldest if there is no room.
    pub(crate) fn send_newest(&self, message: M) -> Result<(), M> {
        let mut entry = Some(message);
        // More than one is taken out only if others take the room that was made.
        let (mut older, mut oldest) = (Vec::new(), None);
        loop {
            match self.data.try_send(entry) {
                Ok(()) => break,
                Err(TrySendError::Closed(back)) => {
                    older.extend(oldest);
                    self.put_back(older);
                    return back.map_or(Ok(()), Err);
                }
                Err(TrySendError::Full(back)) => {
                    entry = back;
                    if let Ok(Some(message)) = self.queued.try_recv() {
                        older.extend(oldest.replace(message));
                    }
                }
            }
        }
        let dropped = older.len() as u64 + u64::from(oldest.is_some());
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        // Only now, as a message's drop may panic.
        drop((older, oldest));
        Ok(())
    }

    /// Gives back the oldest messages, taken out for a newer one that came too late: the queue is
    /// closed. They go into the urgent lane, ahead of the others as before; if that is closed too,
    /// they count as dropped.
    #[cold]
    fn put_back(&self, oldest: Vec<M>) {
        for message in oldest {
            if let Err(error) = self.send_urgent(message) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                // The message being sent goes back to its sender, whatever this drop does.
                if let Err(payload) = contain(|| drop(error)) {
                    let _ = panic_text(payload);
                }
            }
        }
    }

    /// What nobody will handle: the rest of both queues, which are closed. Counts them as received;
    /// for the worker's thread alone.
    pub(crate) fn rest(&self) -> impl Iterator<Item = M> + '_ {
        self.close_urgent();
        let urgent = std::iter::from_fn(|| self.next_urgent());
        let rest = urgent.chain(std::iter::from_fn(|| self.queued.try_recv().ok()).flatten());
        rest.inspect(|_| add(&self.counters.received, 1))
    }

    /// Messages accepted and not handled, lost or left: queued, or in the worker's hands.
    pub(crate) fn pending(&self) -> u64 {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let ended = count(&counters.handled) + count(&counters.lost) + count(&counters.left);
        let in_hand = count(&self.counters.received).saturating_sub(ended);
        in_hand + self.depth() as u64 + self.queued_urgent.len() as u64
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The worker's thread has nothing more to do.
    pub(crate) fn say_ended(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.notify_all();
    }

    /// Waits for the worker's end, until the deadline if there is one. True: it has ended.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            let Some(deadline) = deadline else {
                ended = self.end.wait(ended).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.end.wait_timeout(ended, left);
            ended = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(capacity: usize) -> Shard<u32> {
        Shard::new(WorkerId::new(0), capacity)
    }

    #[test]
    fn the_newest_push_the_oldest_out_in_order() {
        let shard = shard(4);
        (0..10).for_each(|n| shard.send_newest(n).unwrap());
        let kept: Vec<u32> = shard.queued.try_iter().flatten().collect();
        assert_eq!(kept, [6, 7, 8, 9]);
        assert_eq!(shard.dropped(), 6);
    }

    #[test]
    fn what_was_pushed_out_for_nothing_is_put_back_while_the_worker_is_there() {
        let shard = shard(4);
        shard.send_newest(3).unwrap();
        shard.close(Status::Leaving);
        shard.put_back(vec![1, 2]);
        assert!(shard.orders.take().urgent());
        assert!(shard.rest().eq([1, 2, 3]));
        shard.put_back(vec![1, 2]);
        assert_eq!(shard.dropped(), 2);
    }

    #[test]
    fn a_bell_that_is_pushed_out_is_no_message() {
        let shard = shard(2);
        shard.restart();
        (0..3).for_each(|n| shard.send_newest(n).unwrap());
        assert_eq!((shard.dropped(), shard.depth()), (1, 2));
        assert!(shard.orders.take().restart());
        assert!(!shard.orders.any());
    }

    #[test]
    fn the_first_reason_for_a_close_stays_unless_it_dies() {
        let shard = shard(2);
        shard.close(Status::Leaving);
        shard.close(Status::Dead);
        assert_eq!(shard.status(), Status::Leaving);
        shard.die();
        assert_eq!(shard.status(), Status::Dead);
        assert!(shard.take_farewell() && !shard.take_farewell());
        assert_eq!(shard.send_newest(7), Err(7));
    }

    #[test]
    fn urgent_messages_are_refused_when_there_are_too_many() {
        let shard = shard(2);
        (0..URGENT_CAPACITY as u32).for_each(|n| shard.send_urgent(n).unwrap());
        // The lane holds a little more than its capacity.
        let refused = (0..URGENT_CAPACITY as u32).find_map(|n| shard.send_urgent(n).err());
        assert!(matches!(refused, Some(TrySendError::Full(_))), "{refused:?}");
        assert!(shard.rest().count() >= URGENT_CAPACITY);
        assert!(matches!(shard.send_urgent(0), Err(TrySendError::Closed(0))));
    }

    #[test]
    fn waiting_for_the_end_gives_up_at_the_deadline() {
        let shard = shard(2);
        assert!(!shard.wait_ended(Some(Instant::now())));
        shard.say_ended();
        assert!(shard.wait_ended(Some(Instant::now())));
        assert!(shard.wait_ended(None));
    }
}
