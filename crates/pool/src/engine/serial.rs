//! A worker that handles one message after the other.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use chaski_ring::{TryRecvError, mpmc};

use super::{BusyClock, End, Flow, Post, contain};
use crate::arena::Arena;
use crate::batch::Batch;
use crate::context::Context;
use crate::event::During;
use crate::shard::{Entry, add};
use crate::worker::Worker;

/// Builds the state and works until the end, on the calling thread.
pub(crate) fn run<W: Worker>(worker: &W, post: Post<W::Message>) {
    // All that it takes first: from the report on, nothing here may fail.
    let mut serial = Serial::new(worker, post);
    if serial.begin() {
        let end = serial.work();
        serial.finish(end);
    }
}

struct Serial<'a, W: Worker> {
    worker: &'a W,
    post: Post<W::Message>,
    /// None only before the first is built, and between an old one and a new one.
    state: Option<W::State>,
    context: Context,
    queue: mpmc::Receiver<Entry<W::Message>>,
    batch: Batch<W::Message>,
    busy: BusyClock,
    next_tick: Option<Instant>,
}

/// What a look at the queue brought.
enum Found {
    Messages,
    /// An order, or the time of a tick.
    Other,
    Closed,
}

impl<'a, W: Worker> Serial<'a, W> {
    fn new(worker: &'a W, post: Post<W::Message>) -> Self {
        let context = Context {
            seat: post.seat,
            arena: Arena::with_limit(post.settings.arena_limit_bytes),
            orders: Arc::clone(&post.shard.orders),
        };
        let queue = post.shard.receiver(post.settings.wait);
        // The queue never gives more than it holds, whatever the limit.
        let room = post.settings.batch.min(post.settings.capacity);
        let batch = Batch::new(Arc::clone(&post.shard), room);
        let (state, busy, next_tick) = (None, BusyClock::start(), None);
        Serial { worker, post, state, context, queue, batch, busy, next_tick }
    }

    /// Builds the first state and reports it. False: there is none.
    fn begin(&mut self) -> bool {
        let built = contain(|| self.worker.build(&self.post.seat));
        self.state = self.post.begin(built);
        self.busy.resume();
        self.next_tick = self.post.settings.next_tick(Instant::now());
        self.state.is_some()
    }

    fn work(&mut self) -> End {
        loop {
            if let Flow::Break(end) = self.turn() {
                return end;
            }
        }
    }

    /// Orders, then messages, then a tick if its time has come.
    fn turn(&mut self) -> Flow {
        self.obey()?;
        match self.receive() {
            Found::Messages => self.handle_batch()?,
            Found::Other => {}
            Found::Closed => {
                self.handle_last_urgent()?;
                return Flow::Break(End::Drained);
            }
        }
        self.tick_if_due()
    }

    #[inline(always)]
    fn obey(&mut self) -> Flow {
        if self.post.shard.orders.any() { self.obey_orders() } else { Flow::Continue(()) }
    }

    #[cold]
    fn obey_orders(&mut self) -> Flow {
        let orders = self.post.shard.orders.take();
        if orders.stop() {
            return Flow::Break(End::Stopped);
        }
        if orders.restart() {
            self.rebuild()?;
        }
        if orders.urgent() {
            self.handle_urgent()?;
        }
        Flow::Continue(())
    }

    /// Takes messages, and sleeps while there are none.
    #[inline]
    fn receive(&mut self) -> Found {
        let limit = self.post.settings.batch;
        match self.queue.try_recv_many(self.batch.entries(), limit) {
            Ok(_) => {}
            Err(TryRecvError::Closed) => return Found::Closed,
            Err(TryRecvError::Empty) => match self.sleep(limit) {
                Found::Messages => {}
                other => return other,
            },
        }
        self.batch.received();
        add(&self.post.shard.counters.batches, 1);
        Found::Messages
    }

    fn sleep(&mut self, limit: usize) -> Found {
        // ORDERING: pairs with the fence of whoever gives an order and finds no room for a bell: it
        // sees the slots that were freed, or the next line sees the order.
        fence(Ordering::SeqCst);
        if self.post.shard.orders.any() {
            return Found::Other;
        }
        self.busy.pause(&self.post.shard);
        let entries = self.batch.entries();
        let found = match self.next_tick {
            None => match self.queue.recv_many(entries, limit) {
                Ok(_) => Found::Messages,
                Err(_) => Found::Closed,
            },
            Some(tick) => match self.queue.recv_deadline(tick) {
                Ok(entry) => {
                    entries.push(entry);
                    Found::Messages
                }
                // Time out or closed: the next turn finds out.
                Err(_) => Found::Other,
            },
        };
        self.busy.resume();
        found
    }

    /// Handles what was received, with orders and urgent messages in between.
    fn handle_batch(&mut self) -> Flow {
        while !self.batch.is_empty() {
            let Some(state) = &mut self.state else { return Flow::Break(End::Dead) };
            let (worker, batch, context) = (self.worker, &mut self.batch, &self.context);
            match contain(|| worker.handle_batch(state, batch, context)) {
                Ok(()) => {
                    self.batch.close_open();
                    if !self.batch.take_interrupted() {
                        self.handle_left_over()?;
                    }
                }
                Err(payload) => {
                    self.batch.lose_open();
                    self.recover(During::Handle, payload)?;
                }
            }
            self.obey()?;
        }
        self.clear_batch();
        self.reset_arena();
        self.busy.batch(&self.post.shard);
        Flow::Continue(())
    }

    /// The batch may still have messages that were drained and never looked at, whose drop may
    /// panic. They were handled, or lost, with the others.
    #[inline]
    fn clear_batch(&mut self) {
        while let Err(payload) = contain(|| self.batch.clear()) {
            self.post.tell_panic(During::Undelivered, payload, false);
        }
    }

    /// What `handle_batch` did not want, one by one.
    fn handle_left_over(&mut self) -> Flow {
        while let Some(message) = self.batch.take_next() {
            match self.handle(message) {
                Ok(()) => self.batch.close_open(),
                Err(payload) => {
                    self.batch.lose_open();
                    self.recover(During::Handle, payload)?;
                }
            }
            self.obey()?;
        }
        Flow::Continue(())
    }

    fn handle_urgent(&mut self) -> Flow {
        while let Some(message) = self.post.shard.next_urgent() {
            add(&self.post.shard.counters.received, 1);
            match self.handle(message) {
                Ok(()) => add(&self.post.shard.counters.handled, 1),
                Err(payload) => {
                    add(&self.post.shard.counters.lost, 1);
                    self.recover(During::Handle, payload)?;
                }
            }
            if self.post.shard.orders.stop() {
                return Flow::Break(End::Stopped);
            }
        }
        Flow::Continue(())
    }

    /// The data queue is closed and empty: no more urgent messages either.
    fn handle_last_urgent(&mut self) -> Flow {
        self.post.shard.close_urgent();
        self.obey()?;
        self.handle_urgent()
    }

    fn handle(&mut self, message: W::Message) -> Result<(), super::Payload> {
        let (worker, context) = (self.worker, &self.context);
        match &mut self.state {
            Some(state) => contain(|| worker.handle(state, message, context)),
            None => Ok(()),
        }
    }

    fn tick_if_due(&mut self) -> Flow {
        let Some(due) = self.next_tick else { return Flow::Continue(()) };
        let now = Instant::now();
        if now < due {
            return Flow::Continue(());
        }
        self.next_tick = self.post.settings.next_tick(now);
        let (worker, context) = (self.worker, &self.context);
        let ticked = match &mut self.state {
            Some(state) => contain(|| worker.tick(state, context)),
            None => Ok(()),
        };
        self.reset_arena();
        match ticked {
            Ok(()) => Flow::Continue(()),
            Err(payload) => self.recover(During::Tick, payload),
        }
    }

    #[cold]
    fn recover(&mut self, during: During, payload: super::Payload) -> Flow {
        self.post.panicked(during, payload)?;
        self.rebuild()
    }

    fn rebuild(&mut self) -> Flow {
        let old = self.state.take();
        if let Err(payload) = contain(|| drop(old)) {
            self.post.tell_panic(During::Stop, payload, true);
        }
        self.post.seat.restarts += 1;
        self.context.seat = self.post.seat;
        let built = contain(|| self.worker.build(&self.post.seat));
        self.state = Some(self.post.rebuilt(built)?);
        Flow::Continue(())
    }

    /// Takes back what the handlers allocated, if they did.
    #[inline]
    fn reset_arena(&mut self) {
        if self.context.arena.allocated_bytes() == 0 {
            return;
        }
        self.context.arena.reset();
        let (arena, counters) = (&self.context.arena, &self.post.shard.counters);
        counters.arena_bytes.store(arena.allocated_bytes() as u64, Ordering::Relaxed);
        let high_water = arena.high_water_bytes() as u64;
        counters.arena_high_water_bytes.store(high_water, Ordering::Relaxed);
    }

    fn finish(mut self, end: End) {
        self.post.close(end);
        let undelivered = |message, worker| self.worker.undelivered(message, worker);
        let in_hand = std::iter::from_fn(|| self.batch.take_next());
        self.post.give_up(in_hand, undelivered);
        self.clear_batch();
        self.post.give_up(self.post.shard.rest(), undelivered);
        let (worker, context, state) = (self.worker, &self.context, self.state.take());
        let stopped = contain(|| match state {
            Some(state) if end != End::Dead => worker.stop(state, context),
            state => drop(state),
        });
        if let Err(payload) = stopped {
            self.post.tell_panic(During::Stop, payload, false);
        }
        self.busy.pause(&self.post.shard);
        self.post.tell_end(end);
    }
}
