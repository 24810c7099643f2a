//! `ringbuf`: SPSC ring on the heap with cached indices. It does not wait; batches are slices.

use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::{BatchRecv, BatchSend, CAPACITY, Message, TryRecv, TrySend};

pub fn pair<T: Message>() -> (HeapProd<T>, HeapCons<T>) {
    HeapRb::new(CAPACITY).split()
}

impl<T: Message> TrySend<T> for HeapProd<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.try_push(message)
    }
}

impl<T: Message> TryRecv<T> for HeapCons<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_pop()
    }
}

impl<T: Message> BatchSend<T> for HeapProd<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        self.push_iter((0..count).map(message))
    }
}

impl<T: Message> BatchRecv<T> for HeapCons<T> {
    fn drain(&mut self, mut show: impl FnMut(&T)) -> usize {
        let (first, second) = self.as_slices();
        first.iter().for_each(&mut show);
        second.iter().for_each(&mut show);
        let count = first.len() + second.len();
        self.skip(count)
    }
}
