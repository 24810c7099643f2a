//! The way into a connection: the ring that the peer fills, and the memory that it lends.

use chaski_ring::region::{AttachError, Consumer, Fence, RecvError};

use super::{Doorbell, Ends, LARGE, REFERENCE, Taken};
use crate::blocks::{Borrowed, Borrower};
use crate::door::Session;
use crate::error::{Corrupt, Error};
use crate::memory::{Ledger, RingMemory};
use crate::step::step;

/// The receiving half of a connection. Who rings for it is the caller's to say: a connection has
/// one doorbell for both ways.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) rx: Consumer<RingMemory>,
    pub(super) borrower: Borrower,
    pub(super) my_ledger: Ledger,
    pub(super) payload_max: usize,
    /// Large payloads are borrowed, not copied: the last one is in `lent`.
    in_place: bool,
    lent: Option<Borrowed>,
    /// What ended the connection, if the peer did not keep the protocol.
    corrupt: Option<Corrupt>,
    // Last, as in `Link`.
    pub(super) session: Session,
}

impl Incoming {
    pub(super) fn new(
        ends: &Ends,
        fence: Fence,
        borrower: Borrower,
        session: Session,
    ) -> Result<Incoming, AttachError> {
        Ok(Incoming {
            rx: Consumer::resume(ends.incoming(), ends.half.layout(), fence)?,
            borrower,
            my_ledger: Ledger::new(&ends.mine, ends.half),
            payload_max: ends.payload_max,
            in_place: false,
            lent: None,
            corrupt: None,
            session,
        })
    }

    /// Takes the next record: its payload goes into `into`.
    #[inline]
    pub(crate) fn recv(&mut self, into: &mut Vec<u8>, doorbell: &mut Doorbell) -> Taken {
        match self.rx.try_recv(into) {
            Ok(None) => Taken::Nothing,
            Ok(Some(record)) => {
                self.rx.publish();
                step("link.taken");
                let mut taken = Taken::Record(record.tag);
                if record.tag & LARGE != 0 {
                    taken = self.recv_large(record.tag & !LARGE, into, 0);
                }
                // Behind all that the peer may have waited for.
                self.ring_for_room(doorbell);
                taken
            }
            Err(error) => self.unfit(error),
        }
    }

    /// Takes the next record, behind what `into` holds. Its space is given back with the next
    /// [`Incoming::release`], or when an eighth of the ring has been taken.
    #[inline]
    pub(crate) fn append(&mut self, into: &mut Vec<u8>) -> Taken {
        match self.rx.try_append(into) {
            Ok(None) => Taken::Nothing,
            Ok(Some(record)) if record.tag & LARGE == 0 => Taken::Record(record.tag),
            Ok(Some(record)) => {
                // Taken before its segment is given back: in the other order a successor could
                // find the record and another payload behind it.
                self.rx.publish();
                step("link.appended_large");
                let at = into.len() - record.len;
                self.recv_large(record.tag & !LARGE, into, at)
            }
            Err(error) => self.unfit(error),
        }
    }

    /// Gives back the space of all that was taken, and wakes the peer if it sleeps for want of it.
    #[inline]
    pub(crate) fn release(&mut self, doorbell: &mut Doorbell) {
        self.rx.publish();
        self.ring_for_room(doorbell);
    }

    #[inline]
    pub(super) fn ring_for_room(&mut self, doorbell: &mut Doorbell) {
        if self.rx.must_wake() {
            doorbell.ring();
        }
    }

    /// The payload that the reference in `into`, from `at` on, leads to, in its stead.
    #[cold]
    fn recv_large(&mut self, tag: u16, into: &mut Vec<u8>, at: usize) -> Taken {
        let reference: Result<[u8; REFERENCE], _> = into[at..].try_into();
        into.truncate(at);
        let taken = reference.is_ok_and(|reference| match self.in_place {
            true => self.borrow(&reference),
            false => {
                let Incoming { borrower, session, my_ledger, payload_max, .. } = self;
                borrower.append_to(&reference, session, my_ledger, into, *payload_max).is_ok()
            }
        });
        step("link.large_taken");
        if taken {
            return Taken::Record(tag);
        }
        self.spoil(Corrupt::Reference)
    }

    fn borrow(&mut self, reference: &[u8; REFERENCE]) -> bool {
        // SAFETY: whoever set `in_place` has promised that the peer leaves alone what it has sent.
        let lent = unsafe { self.borrower.borrow(reference, &self.session, &self.my_ledger) };
        self.lent = lent.ok();
        self.lent.is_some()
    }

    /// See [`Link::read_in_place`](super::Link::read_in_place).
    ///
    /// # Safety
    ///
    /// The peer writes to no segment that it has sent and that was not given back.
    pub(super) unsafe fn read_in_place(&mut self) {
        self.in_place = true;
    }

    /// The large payload of the record just received, if it was one and is read in place.
    pub(super) fn take_lent(&mut self) -> Option<Borrowed> {
        self.lent.take()
    }

    /// Whether a record is there, or will never be because the ring is spoilt.
    #[inline]
    pub(crate) fn is_ready(&mut self) -> bool {
        self.rx.is_ready().unwrap_or(true)
    }

    /// Says that nobody looks for records here any more: who publishes must ring.
    pub(crate) fn doze(&mut self, doorbell: &mut Doorbell) {
        self.tend();
        // The look at an empty ring gives its space back; somebody may wait for that.
        let _ = self.rx.is_ready();
        self.ring_for_room(doorbell);
        self.rx.announce();
    }

    /// Records are looked for again.
    pub(crate) fn awake(&mut self) {
        self.rx.awake();
    }

    /// Hears what the peer said beside the rings. Else that would be when a record refers to memory
    /// that is new, and memory which the peer takes back be kept by one that is idle.
    #[inline]
    pub(crate) fn tend(&mut self) {
        if self.session.has_mail() && self.borrower.tend(&self.session).is_err() {
            self.spoil(Corrupt::Reference);
        }
    }

    /// The most records that the ring can hold at once.
    pub(crate) fn records_max(&self) -> usize {
        self.rx.layout().capacity() / 8
    }

    /// What the peer did that nobody does who keeps the protocol, if that was found here.
    pub(crate) fn corrupt(&self) -> Option<Corrupt> {
        self.corrupt
    }

    #[cold]
    pub(super) fn unfit(&mut self, error: RecvError) -> Taken {
        self.spoil(match error {
            RecvError::Corrupt(corrupt) => corrupt.into(),
            // No limit was set below what a ring can hold.
            _ => Corrupt::Reference,
        })
    }

    /// The peer does not keep the protocol: the connection ends here.
    #[cold]
    pub(crate) fn spoil(&mut self, corrupt: Corrupt) -> Taken {
        self.session.close();
        self.corrupt = Some(corrupt);
        Taken::Spoilt
    }

    /// As [`Incoming::spoil`], for who returns it.
    pub(super) fn spoilt(&mut self, corrupt: Corrupt) -> Error {
        self.spoil(corrupt);
        Error::Corrupt(corrupt)
    }
}
