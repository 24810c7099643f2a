//! Bodies that were lent: copied into a ring of bytes, and out of it again.
//!
//! Memory that one thread allocates and another frees costs an allocator more than everything else
//! that a short message takes: its lists go to and fro between the cores. So a sender allocates
//! nothing for what was lent to it. It copies the body behind those before, and the receiver copies
//! it into memory of its own, where it is read next.
//!
//! ```text
//!   pipe       [ .. Lent 64 | Last | Lent 700 .. ]      what comes next, and how long it is
//!   bodies     [ .. 64 bytes | 700 bytes .. ]           the bytes, in the same order
//! ```
//!
//! The first ring is small. One that is full is left behind for one twice as large, which goes to
//! the receiver through the pipe, and so in its turn; when the largest is full, bodies go as frames
//! until there is room. So nobody ever waits for room here.

use chaski_ring::spsc;
use chaski_zmtp::Frame;

/// The longest body that is copied so; one that is longer is worth an allocation.
const BODY_BYTES_MAX: usize = 2048;
/// Bytes of the first ring.
const RING_BYTES_MIN: usize = 16 * 1024;
/// Bytes of the largest: as many as [`super::pipe`] holds messages by default, of 128 bytes.
const RING_BYTES_MAX: usize = 256 * 1024;

/// The sender's end. Without a ring until the first body is lent.
#[derive(Default)]
pub(super) struct Lender {
    ring: Option<spsc::Sender<u8>>,
    bytes: usize,
}

/// The receiver's end.
pub(super) struct Borrower {
    ring: spsc::Receiver<u8>,
}

/// What became of a body.
pub(super) enum Loan {
    /// Its bytes lie behind those before.
    Made,
    /// They lie in a new ring, which the receiver is to be given first.
    MadeAnew(Box<Borrower>),
    /// It is to go as a frame.
    Refused,
}

impl Lender {
    /// Copies a body, if that is the best way for it.
    #[inline]
    pub(super) fn lend(&mut self, body: &[u8]) -> Loan {
        if body.len() <= Frame::INLINE_MAX || body.len() > BODY_BYTES_MAX {
            return Loan::Refused;
        }
        if self.ring.as_mut().is_some_and(|ring| copy(ring, body)) {
            return Loan::Made;
        }
        self.lend_anew(body)
    }

    #[cold]
    fn lend_anew(&mut self, body: &[u8]) -> Loan {
        if self.bytes == RING_BYTES_MAX {
            return Loan::Refused;
        }
        self.bytes = (self.bytes * 2).clamp(RING_BYTES_MIN, RING_BYTES_MAX);
        let (mut tx, ring) = spsc::channel(self.bytes);
        let copied = copy(&mut tx, body);
        self.ring = Some(tx);
        if copied { Loan::MadeAnew(Box::new(Borrower { ring })) } else { Loan::Refused }
    }
}

fn copy(ring: &mut spsc::Sender<u8>, body: &[u8]) -> bool {
    let Ok(mut room) = ring.try_reserve_exact(body.len()) else { return false };
    room.copy_from_slice(body);
    room.commit().is_ok()
}

impl Borrower {
    /// Copies the next `len` bytes, which are there: whoever knows of them was told afterwards.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Frame {
        if let Ok(bytes) = self.ring.try_peek()
            && let Some(body) = bytes.as_slices().0.get(..len)
        {
            let frame = Frame::copy_from_slice(body);
            bytes.release(len);
            return frame;
        }
        self.take_in_parts(len)
    }

    /// The same where the bytes reach over the end of the ring, or not all of them are known yet.
    #[cold]
    fn take_in_parts(&mut self, len: usize) -> Frame {
        let mut body = Vec::with_capacity(len);
        while body.len() < len {
            let Ok(bytes) = self.ring.try_peek() else {
                debug_assert!(false, "a body that was told of is not there");
                break;
            };
            let part = bytes.as_slices().0;
            let part = &part[..part.len().min(len - body.len())];
            body.extend_from_slice(part);
            let count = part.len();
            bytes.release(count);
        }
        Frame::from(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lend(lender: &mut Lender, borrower: &mut Option<Box<Borrower>>, body: &[u8]) -> bool {
        match lender.lend(body) {
            Loan::Made => true,
            Loan::MadeAnew(new) => {
                *borrower = Some(new);
                true
            }
            Loan::Refused => false,
        }
    }

    #[test]
    fn bodies_come_out_as_they_went_in_over_the_end_of_the_ring() {
        let (mut lender, mut borrower) = (Lender::default(), None);
        for lap in 0..500_usize {
            let bodies: Vec<Vec<u8>> =
                (0..5).map(|n| vec![(lap + n) as u8; 39 + (lap * 401 + n * 97) % 2010]).collect();
            for body in &bodies {
                assert!(lend(&mut lender, &mut borrower, body));
            }
            for body in &bodies {
                assert_eq!(borrower.as_mut().unwrap().take(body.len()), body);
            }
        }
        assert_eq!(lender.bytes, RING_BYTES_MIN, "what waited always fitted");
    }

    #[test]
    fn what_lies_in_the_frame_itself_or_is_long_is_not_copied() {
        let mut lender = Lender::default();
        for len in [0, 1, Frame::INLINE_MAX, BODY_BYTES_MAX + 1] {
            assert!(matches!(lender.lend(&vec![7; len]), Loan::Refused));
        }
        assert!(lender.ring.is_none());
    }

    #[test]
    fn the_largest_ring_when_full_refuses_and_takes_again() {
        let (mut lender, mut borrowers, mut refused) = (Lender::default(), Vec::new(), 0);
        let body = [9; 1024];
        while refused < 10 {
            match lender.lend(&body) {
                Loan::Made => {}
                Loan::MadeAnew(borrower) => borrowers.push(borrower),
                Loan::Refused => refused += 1,
            }
        }
        assert_eq!(lender.bytes, RING_BYTES_MAX);
        assert!(borrowers.len() > 1);
        let last = borrowers.last_mut().unwrap();
        for _ in 0..RING_BYTES_MAX / 1024 {
            assert_eq!(last.take(1024), body);
        }
        assert!(matches!(lender.lend(&body), Loan::Made));
    }
}
