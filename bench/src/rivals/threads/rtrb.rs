//! `rtrb`: SPSC ring for real-time audio. It does not wait; batches are chunks.

use rtrb::chunks::ChunkError;
use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::{BatchRecv, BatchSend, CAPACITY, Message, TryRecv, TrySend};

pub fn pair<T: Message>() -> (Producer<T>, Consumer<T>) {
    RingBuffer::new(CAPACITY)
}

impl<T: Message> TrySend<T> for Producer<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.push(message).map_err(|PushError::Full(message)| message)
    }
}

impl<T: Message> TryRecv<T> for Consumer<T> {
    fn poll(&mut self) -> Option<T> {
        self.pop().ok()
    }
}

impl<T: Message> BatchSend<T> for Producer<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        let chunk = match self.write_chunk_uninit(count) {
            Ok(chunk) => chunk,
            Err(ChunkError::TooFewSlots(free)) => {
                self.write_chunk_uninit(free).expect("as many as are free")
            }
        };
        chunk.fill_from_iter((0..count).map(message))
    }
}

impl<T: Message> BatchRecv<T> for Consumer<T> {
    fn drain(&mut self, mut show: impl FnMut(&T)) -> usize {
        let count = self.slots();
        let chunk = self.read_chunk(count).expect("as many as are there");
        let (first, second) = chunk.as_slices();
        first.iter().for_each(&mut show);
        second.iter().for_each(&mut show);
        chunk.commit_all();
        count
    }
}
