//! Bytes that came and are not consumed yet, and the pool their buffers come from.
//!
//! ```text
//!   buffer  [ consumed | unconsumed     | room          ]
//!           0          start            end             len
//! ```
//!
//! Buffers are vectors that stay initialised, so a read needs no zeroing. A connection without
//! partial input holds none. The pool gives out the buffer that came back last, so that connections
//! taking turns all read through the same few pages of cache.

use crate::Progress;
use crate::limits::{GROWTH, LENT_SHARES, POOL_SHARES};

/// Partial inputs in buffers no larger than this are never worth cutting down.
const SMALL_BYTES: usize = 4 << 10;

/// One connection's input.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Unconsumed bytes the service waits for, or less than there are if any will do.
    need: usize,
}

impl Input {
    /// Bytes not consumed.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is what the service asked for.
    pub(crate) fn is_enough(&self) -> bool {
        self.len() >= self.need.max(1)
    }

    /// All that is not consumed.
    pub(crate) fn unconsumed(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Room to read at most `budget` bytes into, never empty.
    pub(crate) fn room(&mut self, budget: usize, pool: &mut Pool) -> &mut [u8] {
        self.make_room(pool);
        let end = self.buffer.len().min(self.end + budget);
        &mut self.buffer[self.end..end]
    }

    /// `count` bytes were read into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        debug_assert!(count <= self.buffer.len() - self.end);
        self.end += count;
    }

    /// Takes note of what the service did with its input. Err: it asks for so many bytes, which is
    /// more than `frame_bytes_max`.
    pub(crate) fn advance(
        &mut self,
        progress: Progress,
        frame_bytes_max: usize,
    ) -> Result<(), usize> {
        debug_assert!(progress.consumed <= self.len(), "consumed more than there was");
        self.start += progress.consumed.min(self.len());
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        self.need = progress.need;
        // Who never says how much is enough is bounded too.
        let wants = self.need.max(if self.len() < frame_bytes_max { 0 } else { self.len() + 1 });
        if wants > frame_bytes_max { Err(wants) } else { Ok(()) }
    }

    /// Gives back what is not needed while nothing comes.
    pub(crate) fn park(&mut self, pool: &mut Pool) {
        let len = self.len();
        if len == 0 {
            pool.give(std::mem::take(&mut self.buffer));
        } else if pool.is_short() && self.buffer.len() > SMALL_BYTES.max(GROWTH * len) {
            let cut = pool.copy(self.unconsumed());
            self.replace(cut, pool);
        }
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.buffer));
        (self.start, self.end) = (0, 0);
    }

    /// Makes sure that there is room, for all of what is needed as far as [`GROWTH`] allows.
    fn make_room(&mut self, pool: &mut Pool) {
        let len = self.len();
        let need = match self.need {
            need if need > len => need,
            _ if len == self.buffer.len() => 2 * len,
            _ => len + 1,
        };
        let size = need.min(GROWTH * len).max(pool.unit);
        if self.buffer.len() < size {
            let mut larger = pool.take(size);
            larger[..len].copy_from_slice(self.unconsumed());
            self.replace(larger, pool);
        } else if self.start + need > self.buffer.len()
            || self.buffer.len() - self.end < self.buffer.len() / 4
        {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, len);
        }
    }

    /// Goes on in `buffer`, which begins with a copy of what is unconsumed.
    fn replace(&mut self, buffer: Vec<u8>, pool: &mut Pool) {
        let len = self.len();
        pool.give(std::mem::replace(&mut self.buffer, buffer));
        (self.start, self.end) = (0, len);
    }
}

/// Input buffers that are free, and a count of those that are not.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    free_bytes: usize,
    lent_bytes: usize,
    /// The size of most buffers; the others are multiples of it.
    unit: usize,
}

impl Pool {
    pub(crate) fn new(turn_bytes: usize) -> Self {
        Pool { free: Vec::new(), free_bytes: 0, lent_bytes: 0, unit: turn_bytes.max(1) }
    }

    /// Bytes of buffers that connections hold.
    pub(crate) fn lent_bytes(&self) -> usize {
        self.lent_bytes
    }

    /// Whether connections hold so much that each must make do with what it needs.
    fn is_short(&self) -> bool {
        self.lent_bytes > LENT_SHARES * self.unit
    }

    /// A buffer of at least `size` bytes, with anything in it.
    fn take(&mut self, size: usize) -> Vec<u8> {
        let found = self.free.iter().rposition(|buffer| buffer.len() >= size);
        let buffer = match found {
            Some(at) => {
                let buffer = self.free.remove(at);
                self.free_bytes -= buffer.len();
                buffer
            }
            // Fresh zeroed memory is mapped, not written: pages cost when bytes reach them.
            None => vec![0; size.next_multiple_of(self.unit)],
        };
        self.lent_bytes += buffer.len();
        buffer
    }

    /// A buffer of exactly these bytes.
    fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.lent_bytes += bytes.len();
        bytes.to_vec()
    }

    /// Takes a buffer back; keeps it if it is of use and not too many are free.
    fn give(&mut self, buffer: Vec<u8>) {
        self.lent_bytes -= buffer.len();
        let room = POOL_SHARES * self.unit - self.free_bytes;
        if (self.unit..=room).contains(&buffer.len()) {
            self.free_bytes += buffer.len();
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: usize = 1 << 10;

    fn receive(input: &mut Input, pool: &mut Pool, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = input.room(bytes.len(), pool);
            let count = room.len();
            room.copy_from_slice(&bytes[..count]);
            input.filled(count);
            bytes = &bytes[count..];
        }
    }

    #[test]
    fn bytes_stay_in_order_through_growth_moves_and_cuts() {
        let (mut input, mut pool) = (Input::default(), Pool::new(UNIT));
        let bytes: Vec<u8> = (0..40 * UNIT).map(|n| (n % 251) as u8).collect();
        let (mut sent, mut taken) = (0, 0);
        for step in [1, 700, 1, 5000, 300, 9000, 20, 12_000, 1023, 1024, 1025] {
            receive(&mut input, &mut pool, &bytes[sent..sent + step]);
            sent += step;
            let consumed = input.len() / 2;
            assert_eq!(input.unconsumed(), &bytes[taken..sent]);
            input.advance(Progress { consumed, need: step }, 1 << 20).unwrap();
            taken += consumed;
            input.park(&mut pool);
        }
        input.clear(&mut pool);
        assert_eq!(pool.lent_bytes(), 0);
        assert!(pool.free_bytes <= POOL_SHARES * UNIT);
    }

    #[test]
    fn a_declared_frame_costs_what_was_received_of_it() {
        let (mut input, mut pool) = (Input::default(), Pool::new(UNIT));
        receive(&mut input, &mut pool, &[7; 10]);
        input.advance(Progress { consumed: 0, need: 100 << 20 }, 100 << 20).unwrap();
        let mut received = 10;
        while received < 64 * UNIT {
            receive(&mut input, &mut pool, &[7; 500]);
            received += 500;
            assert!(pool.lent_bytes() <= (GROWTH * received).next_multiple_of(UNIT).max(UNIT));
        }
    }

    #[test]
    fn what_is_too_much_is_named() {
        let (mut input, mut pool) = (Input::default(), Pool::new(UNIT));
        receive(&mut input, &mut pool, &[7; 100]);
        assert_eq!(input.advance(Progress { consumed: 0, need: 101 }, 100), Err(101));
        assert_eq!(input.advance(Progress { consumed: 0, need: 0 }, 100), Err(101));
        assert_eq!(input.advance(Progress { consumed: 1, need: 100 }, 100), Ok(()));
    }

    #[test]
    fn many_partial_inputs_are_cut_down() {
        let mut pool = Pool::new(64 << 10);
        let mut inputs: Vec<Input> = (0..1000).map(|_| Input::default()).collect();
        for input in &mut inputs {
            receive(input, &mut pool, b"half a request");
            input.park(&mut pool);
        }
        assert!(pool.lent_bytes() <= (LENT_SHARES + 1) * (64 << 10) + 14 * 1000);
        for input in &mut inputs {
            assert_eq!(input.unconsumed(), b"half a request");
        }
    }

    #[test]
    fn an_idle_input_holds_nothing() {
        let (mut input, mut pool) = (Input::default(), Pool::new(UNIT));
        receive(&mut input, &mut pool, b"whole");
        input.advance(Progress { consumed: 5, need: 0 }, UNIT).unwrap();
        input.park(&mut pool);
        assert_eq!((pool.lent_bytes(), pool.free.len(), input.buffer.capacity()), (0, 1, 0));
    }
}
