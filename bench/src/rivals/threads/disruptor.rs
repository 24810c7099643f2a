//! `disruptor`: the LMAX ring. Events are written and read in place; the reader polls.

use disruptor::{
    BusySpin, EventPoller, MultiProducer, MultiProducerBarrier, Producer, SingleConsumerBarrier,
    SingleProducer, SingleProducerBarrier, build_multi_producer, build_single_producer,
};

use super::{
    BatchRecv, BatchSend, CAPACITY, Ends, Message, TryRecv, TrySend, Yielding, copies_of_sender,
};

type Sender<T> = SingleProducer<T, SingleConsumerBarrier>;
type Receiver<T> = EventPoller<T, SingleProducerBarrier>;
type SharedSender<T> = MultiProducer<T, SingleConsumerBarrier>;

pub fn pair<T: Message>() -> (Sender<T>, Receiver<T>) {
    let (poller, builder) =
        build_single_producer(CAPACITY, T::default, BusySpin).new_event_poller();
    (builder.build(), poller)
}

pub fn many_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<Yielding<SharedSender<T>>, Yielding<PollsAll<T>>> {
    let (poller, builder) = build_multi_producer(CAPACITY, T::default, BusySpin).new_event_poller();
    let polled = Vec::with_capacity(CAPACITY);
    let rx = PollsAll { poller, polled, next: 0 };
    copies_of_sender((Yielding(builder.build()), Yielding(rx)), senders)
}

/// Copies out what one poll shows and hands it over one by one: with several producers, polling
/// for every single event would cost many times as much.
pub struct PollsAll<T> {
    poller: EventPoller<T, MultiProducerBarrier>,
    polled: Vec<T>,
    next: usize,
}

impl<T: Message> TrySend<T> for Sender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.try_publish(|event| *event = message).map(drop).map_err(|_full| message)
    }
}

impl<T: Message> TrySend<T> for SharedSender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.try_publish(|event| *event = message).map(drop).map_err(|_full| message)
    }
}

impl<T: Message> TryRecv<T> for Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        let mut events = self.take(1).ok()?;
        (&mut events).next().copied()
    }
}

impl<T: Message> TryRecv<T> for PollsAll<T> {
    fn poll(&mut self) -> Option<T> {
        if self.next == self.polled.len() {
            self.polled.clear();
            self.next = 0;
            self.polled.extend(&mut self.poller.poll().ok()?);
        }
        let message = self.polled.get(self.next).copied();
        self.next += usize::from(message.is_some());
        message
    }
}

impl<T: Message> BatchSend<T> for Sender<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        let published = self.try_batch_publish(count, |events| {
            events.enumerate().for_each(|(at, event)| *event = message(at));
        });
        if published.is_ok() { count } else { 0 }
    }
}

impl<T: Message> BatchRecv<T> for Receiver<T> {
    fn drain(&mut self, show: impl FnMut(&T)) -> usize {
        let Ok(mut events) = EventPoller::poll(self) else { return 0 };
        (&mut events).map(show).count()
    }
}
