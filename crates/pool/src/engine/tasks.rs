//! A worker that runs many handlers that await, on its own thread.
//!
//! Handlers sit in slots, as many as may run at a time. A slot's box and waker are used again for
//! the next handler, so a message costs no allocation; a wake that comes late finds another handler
//! in the slot, or none, and does no harm.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Instant;

use chaski_ring::{TryRecvError, mpmc};

use super::reactor::Reactor;
use super::ready::Ready;
use super::{BusyClock, End, Flow, Payload, Post, contain};
use crate::async_worker::{AsyncWorker, TaskContext};
use crate::event::During;
use crate::shard::{Entry, add};

/// Turns between two looks at what else the thread has to do, sockets for example.
const TURNS_PER_YIELD: u32 = 32;

/// Builds the state and works until the end, on the calling thread.
pub(crate) fn run<A: AsyncWorker>(worker: &Arc<A>, post: Post<A::Message>) {
    let reactor = match Reactor::new(&post.settings) {
        Ok(reactor) => reactor,
        Err(error) => {
            post.begin::<()>(Ok(Err(error)));
            return;
        }
    };
    // From the report on, nothing here may fail.
    let ready = Arc::new(Ready::new(post.settings.concurrency));
    reactor.block_on(async {
        let built = contain_future(|| worker.build(&post.seat)).await;
        let Some(state) = post.begin(built) else { return };
        let start = |state: Rc<A::State>, context: Rc<TaskContext>, job| {
            let worker = Arc::clone(worker);
            async move {
                match job {
                    Job::Message(message) => worker.handle(&state, message, &context).await,
                    Job::Tick => worker.tick(&state, &context).await,
                }
            }
        };
        let mut tasks = Tasks::new(&**worker, post, state, start, &reactor, ready);
        let end = tasks.work().await;
        tasks.finish(end).await;
    });
}

/// What a handler is begun for.
enum Job<M> {
    Message(M),
    Tick,
}

/// `S` begins a handler, which is an `F`.
struct Tasks<'a, A: AsyncWorker, F, S> {
    worker: &'a A,
    post: Post<A::Message>,
    /// None only between the end of an old one and the build of a new one.
    state: Option<Rc<A::State>>,
    context: Rc<TaskContext>,
    start: S,
    reactor: &'a Reactor,
    queue: mpmc::Receiver<Entry<A::Message>>,
    entries: Vec<Entry<A::Message>>,
    /// Taken out of the queue, not begun yet.
    inbox: VecDeque<A::Message>,
    /// The queue is closed and empty.
    closed: bool,
    flight: Flight<F>,
    busy: BusyClock,
    /// None from the close of the queue on.
    next_tick: Option<Instant>,
    /// A tick runs; there is one at a time.
    ticking: bool,
    turns: u32,
}

impl<'a, A, F, S> Tasks<'a, A, F, S>
where
    A: AsyncWorker,
    F: Future<Output = ()>,
    S: Fn(Rc<A::State>, Rc<TaskContext>, Job<A::Message>) -> F,
{
    fn new(
        worker: &'a A,
        post: Post<A::Message>,
        state: A::State,
        start: S,
        reactor: &'a Reactor,
        ready: Arc<Ready>,
    ) -> Self {
        post.shard.set_waker(Waker::from(Arc::clone(&ready)));
        let context = TaskContext { seat: post.seat, orders: Arc::clone(&post.shard.orders) };
        Tasks {
            worker,
            state: Some(Rc::new(state)),
            context: Rc::new(context),
            start,
            reactor,
            queue: post.shard.receiver(post.settings.wait),
            entries: Vec::new(),
            inbox: VecDeque::new(),
            closed: false,
            flight: Flight::new(ready, post.settings.concurrency),
            busy: BusyClock::start(),
            next_tick: post.settings.next_tick(Instant::now()),
            ticking: false,
            turns: 0,
            post,
        }
    }

    async fn work(&mut self) -> End {
        loop {
            if let Flow::Break(end) = self.turn().await {
                return end;
            }
        }
    }

    /// Orders, new handlers, handlers that were woken; and sleep, if there was nothing of it.
    async fn turn(&mut self) -> Flow {
        self.obey().await?;
        self.receive();
        let mut busy = self.begin_tick().await?;
        while !self.post.shard.orders.any() && self.flight.has_room() {
            let Some(message) = self.inbox.pop_front() else { break };
            busy = true;
            self.begin(Job::Message(message)).await?;
        }
        busy |= self.run_woken().await?;
        if self.closed && self.inbox.is_empty() && self.flight.is_empty() {
            return self.handle_last_urgent().await;
        }
        if !busy {
            self.sleep().await;
        }
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_PER_YIELD) {
            yield_once().await;
        }
        Flow::Continue(())
    }

    async fn obey(&mut self) -> Flow {
        if !self.post.shard.orders.any() {
            return Flow::Continue(());
        }
        let orders = self.post.shard.orders.take();
        if orders.stop() {
            return Flow::Break(End::Stopped);
        }
        if orders.restart() {
            self.rebuild().await?;
        }
        if orders.urgent() {
            self.take_urgent();
        }
        Flow::Continue(())
    }

    /// Puts urgent messages ahead of those that were not begun.
    fn take_urgent(&mut self) {
        let urgent: Vec<_> = std::iter::from_fn(|| self.post.shard.next_urgent()).collect();
        add(&self.post.shard.counters.received, urgent.len() as u64);
        for message in urgent.into_iter().rev() {
            self.inbox.push_front(message);
        }
    }

    /// The data queue is closed and empty and nothing runs: no more urgent messages either.
    async fn handle_last_urgent(&mut self) -> Flow {
        self.post.shard.close_urgent();
        self.obey().await?;
        self.take_urgent();
        if self.inbox.is_empty() { Flow::Break(End::Drained) } else { Flow::Continue(()) }
    }

    /// Takes as many messages as handlers can begin.
    fn receive(&mut self) {
        let room = self.flight.room().saturating_sub(self.inbox.len());
        let limit = room.min(self.post.settings.batch);
        if limit == 0 || self.closed {
            return;
        }
        match self.queue.try_recv_many(&mut self.entries, limit) {
            Ok(_) => self.received(),
            Err(TryRecvError::Closed) => self.queue_closed(),
            Err(TryRecvError::Empty) => {}
        }
    }

    fn queue_closed(&mut self) {
        self.closed = true;
        self.next_tick = None;
    }

    fn received(&mut self) {
        let before = self.inbox.len();
        self.inbox.extend(self.entries.drain(..).flatten());
        let counters = &self.post.shard.counters;
        add(&counters.received, (self.inbox.len() - before) as u64);
        add(&counters.batches, 1);
        self.busy.batch(&self.post.shard);
    }

    /// Begins a handler and runs it up to where it first waits.
    async fn begin(&mut self, job: Job<A::Message>) -> Flow {
        let Some(state) = self.state.clone() else { return Flow::Break(End::Dead) };
        let is_message = matches!(job, Job::Message(_));
        let future = (self.start)(state, Rc::clone(&self.context), job);
        let slot = self.flight.place(future, is_message);
        self.poll(slot).await
    }

    fn can_tick(&self) -> bool {
        !self.ticking && self.flight.has_room()
    }

    async fn begin_tick(&mut self) -> ControlFlow<End, bool> {
        let Some(due) = self.next_tick else { return ControlFlow::Continue(false) };
        let now = Instant::now();
        if now < due || !self.can_tick() {
            return ControlFlow::Continue(false);
        }
        self.next_tick = self.post.settings.next_tick(now);
        self.ticking = true;
        self.begin(Job::Tick).await?;
        ControlFlow::Continue(true)
    }

    async fn run_woken(&mut self) -> ControlFlow<End, bool> {
        let ready = Arc::clone(&self.flight.ready);
        let mut any = false;
        for slot in ready.take() {
            any = true;
            self.obey().await?;
            self.poll(slot).await?;
        }
        ControlFlow::Continue(any)
    }

    async fn poll(&mut self, slot: usize) -> Flow {
        let Poll::Ready((is_message, outcome)) = self.flight.poll(slot) else {
            return Flow::Continue(());
        };
        self.ticking &= is_message;
        let (counters, count) = (&self.post.shard.counters, u64::from(is_message));
        match outcome {
            Ok(()) => add(&counters.handled, count),
            Err(payload) => {
                add(&counters.lost, count);
                let during = if is_message { During::Handle } else { During::Tick };
                self.post.panicked(during, payload)?;
                self.rebuild().await?;
            }
        }
        Flow::Continue(())
    }

    /// A new state for the handlers that begin from now on.
    async fn rebuild(&mut self) -> Flow {
        let old = self.state.take();
        if let Err(payload) = contain(|| drop(old)) {
            self.post.tell_panic(During::Stop, payload, true);
        }
        self.post.seat.restarts += 1;
        let built = contain_future(|| self.worker.build(&self.post.seat)).await;
        let state = self.post.rebuilt(built)?;
        self.state = Some(Rc::new(state));
        let (seat, orders) = (self.post.seat, Arc::clone(&self.post.shard.orders));
        self.context = Rc::new(TaskContext { seat, orders });
        Flow::Continue(())
    }

    /// Sleeps until a message comes that a handler could begin for, a handler is woken, an order is
    /// given, or it is time to tick.
    async fn sleep(&mut self) {
        self.busy.pause(&self.post.shard);
        let (ready, orders) = (&self.flight.ready, &self.post.shard.orders);
        let receives = !self.closed && self.flight.has_room();
        let next_tick = self.next_tick.filter(|_| self.can_tick());
        let received = {
            let mut message = pin!(self.queue.recv_async());
            let mut tick = pin!(self.reactor.sleep_until(next_tick));
            poll_fn(|cx| {
                ready.sleep(cx.waker());
                if ready.any() || orders.any() || tick.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                if !receives {
                    return Poll::Pending;
                }
                message.as_mut().poll(cx).map(Some)
            })
            .await
        };
        ready.awake();
        match received {
            Some(Ok(entry)) => {
                self.entries.push(entry);
                self.received();
            }
            Some(Err(_)) => self.queue_closed(),
            None => {}
        }
        self.busy.resume();
    }

    async fn finish(mut self, end: End) {
        self.post.close(end);
        let (begun, panics) = self.flight.clear();
        add(&self.post.shard.counters.left, begun);
        for payload in panics {
            self.post.tell_panic(During::Stop, payload, false);
        }
        let undelivered = |message, worker| self.worker.undelivered(message, worker);
        self.post.give_up(self.inbox.drain(..), undelivered);
        self.post.give_up(self.post.shard.rest(), undelivered);
        let state = self.state.take().and_then(Rc::into_inner);
        let stopped = match state {
            Some(state) if end != End::Dead => {
                contain_future(|| self.worker.stop(state, &self.context)).await
            }
            state => contain(|| drop(state)),
        };
        if let Err(payload) = stopped {
            self.post.tell_panic(During::Stop, payload, false);
        }
        self.busy.pause(&self.post.shard);
        self.post.tell_end(end);
    }
}

/// The handlers that run.
struct Flight<F> {
    slots: Vec<Slot<F>>,
    /// Slots without a handler.
    free: Vec<usize>,
    limit: usize,
    ready: Arc<Ready>,
}

struct Slot<F> {
    handler: Pin<Box<Option<F>>>,
    is_message: bool,
    waker: Waker,
}

impl<F: Future<Output = ()>> Flight<F> {
    fn new(ready: Arc<Ready>, limit: usize) -> Flight<F> {
        Flight { slots: Vec::new(), free: Vec::new(), limit, ready }
    }

    fn room(&self) -> usize {
        self.limit - (self.slots.len() - self.free.len())
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    /// Gives a handler a slot; there is room.
    fn place(&mut self, future: F, is_message: bool) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            let waker = self.ready.waker(self.slots.len());
            self.slots.push(Slot { handler: Box::pin(None), is_message, waker });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.handler.set(Some(future));
        slot.is_message = is_message;
        index
    }

    /// Runs a handler on. Ready: whether it was a message's, and how it ended.
    fn poll(&mut self, index: usize) -> Poll<(bool, Result<(), Payload>)> {
        let Some(slot) = self.slots.get_mut(index) else { return Poll::Pending };
        let Some(handler) = slot.handler.as_mut().as_pin_mut() else { return Poll::Pending };
        let outcome = match contain(|| handler.poll(&mut task::Context::from_waker(&slot.waker))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Ok(()),
            Err(payload) => Err(payload),
        };
        let dropped = contain(|| slot.handler.set(None));
        self.free.push(index);
        Poll::Ready((slot.is_message, outcome.and(dropped)))
    }

    /// Drops all handlers. Returns how many messages that were, and with what drops panicked.
    fn clear(&mut self) -> (u64, Vec<Payload>) {
        let (mut messages, mut panics) = (0, Vec::new());
        for slot in &mut self.slots {
            messages += u64::from(slot.handler.is_some() && slot.is_message);
            panics.extend(contain(|| slot.handler.set(None)).err());
        }
        self.free = (0..self.slots.len()).collect();
        (messages, panics)
    }
}

/// Runs a future of the program to its end, or to its panic.
async fn contain_future<F: Future>(make: impl FnOnce() -> F) -> Result<F::Output, Payload> {
    let mut future = pin!(Some(contain(make)?));
    let output = poll_fn(|cx| {
        let Some(future) = future.as_mut().as_pin_mut() else { return Poll::Pending };
        match contain(|| future.poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
    .await;
    let dropped = contain(|| future.set(None));
    output.and_then(|output| dropped.map(|()| output))
}

/// Lets whatever else runs on this thread have its turn.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
