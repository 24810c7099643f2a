//! An unbounded queue of many producers and one consumer that drains it whole.
//!
//! A stack (R. K. Treiber, IBM RJ 5118, 1986) of boxed nodes; a drain takes all of it by one swap
//! and turns it round:
//!
//! ```text
//!   push 1, 2, 3:   head -> 3 -> 2 -> 1 -> null
//!   drain:          head -> null          into <- 1, 2, 3
//! ```
//!
//! Nobody pops a single node, so no node that another thread may still look at is ever freed: a
//! producer compares the head with an address but never follows it, and ABA does no harm, because a
//! head that is equal again is as good a successor as it was before. Messages come out in the order
//! of their pushes, over all producers.
//!
//! The price is an allocation per message and one contended line; the gain is that a burst costs
//! its consumer one atomic operation, and that a push tells whether it was the first.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::padded::Padded;
use crate::sync::{AtomicPtr, Ordering};

/// The sending half and the queue itself; share it in an `Arc`.
pub struct Mailbox<T> {
    /// The newest node, or null. The one line that producers and the consumer fight for.
    head: Padded<AtomicPtr<Node<T>>>,
    /// An `AtomicPtr` is `Send` and `Sync` whatever it points to; this takes both away again.
    _owns: PhantomData<*mut T>,
}

struct Node<T> {
    /// The node pushed before this one, or null.
    next: *mut Node<T>,
    message: T,
}

// SAFETY: a mailbox owns its messages and gives out no reference to them, so to send it is to send
// them.
unsafe impl<T: Send> Send for Mailbox<T> {}
// SAFETY: through a shared reference messages are only moved in and moved out, each by one thread,
// never looked at by two: `T: Send` is all that asks for.
unsafe impl<T: Send> Sync for Mailbox<T> {}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox::new()
    }
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    pub fn new() -> Self {
        Mailbox { head: Padded(AtomicPtr::new(ptr::null_mut())), _owns: PhantomData }
    }

    /// Adds a message. True: the mailbox was empty, so the consumer may be asleep: wake it.
    #[must_use]
    pub fn push(&self, message: T) -> bool {
        let node = Box::into_raw(Box::new(Node { next: ptr::null_mut(), message }));
        // ORDERING: relaxed, here and on failure: the old head is stored, never followed.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: `node` comes from the box above, and no other thread has its address yet.
            unsafe { (*node).next = head };
            // ORDERING: release, pairs with the swap of `take`: who takes this node sees what it
            // holds. Later pushes are read-modify-writes and so carry this release on to it.
            match self.head.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return head.is_null(),
                Err(now) => head = now,
            }
        }
    }

    /// Moves everything pushed so far to the end of `into`, oldest first.
    pub fn drain(&self, into: &mut Vec<T>) {
        let first = into.len();
        for message in self.take() {
            into.push(message);
        }
        into[first..].reverse();
    }

    /// Whether nothing waits. Only the consumer may conclude anything from `true`, and only as
    /// [`crate::Doze`] describes.
    pub fn is_empty(&self) -> bool {
        // ORDERING: relaxed: nothing is read through this pointer. That a sleeper's last look sees
        // the push it must see is the work of the fences in `Doze`.
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes all that is there, newest first.
    fn take(&self) -> Taken<T> {
        if self.is_empty() {
            return Taken { next: ptr::null_mut() };
        }
        // ORDERING: acquire, pairs with the exchange of `push`.
        Taken { next: self.head.swap(ptr::null_mut(), Ordering::Acquire) }
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("empty", &self.is_empty()).finish()
    }
}

/// Nodes taken off a mailbox, owned by this list alone; what is not iterated is freed by its drop.
struct Taken<T> {
    next: *mut Node<T>,
}

impl<T> Iterator for Taken<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: not null, so it came from `Box::into_raw` in `push`; the swap in `take` made this
        // list the only owner of the chain, and the step below leaves the node behind for good.
        let node = unsafe { Box::from_raw(self.next) };
        self.next = node.next;
        Some(node.message)
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        for message in self.by_ref() {
            drop(message);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn comes_out_in_the_order_it_went_in() {
        let mailbox = Mailbox::new();
        assert!(mailbox.is_empty());
        assert!(mailbox.push(1));
        assert!(!mailbox.push(2));
        assert!(!mailbox.push(3));
        let mut got = vec![0];
        mailbox.drain(&mut got);
        assert_eq!(got, [0, 1, 2, 3]);
        assert!(mailbox.is_empty());
        assert!(mailbox.push(4), "empty again after a drain");
        mailbox.drain(&mut got);
        mailbox.drain(&mut got);
        assert_eq!(got, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_drop_frees_what_nobody_took() {
        let message = Arc::new(());
        let mailbox = Mailbox::new();
        for _ in 0..3 {
            let _first = mailbox.push(Arc::clone(&message));
        }
        assert_eq!(Arc::strong_count(&message), 4);
        drop(mailbox);
        assert_eq!(Arc::strong_count(&message), 1);
    }

    /// Small under miri, which runs a few thousand times slower.
    const PER_PRODUCER: u64 = if cfg!(miri) { 50 } else { 20_000 };

    #[test]
    fn each_producer_stays_in_order_and_nothing_is_lost() {
        let mailbox = Arc::new(Mailbox::new());
        let producers: Vec<_> = (0..3u64)
            .map(|producer| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || {
                    for n in 0..PER_PRODUCER {
                        let _first = mailbox.push((producer, n));
                    }
                })
            })
            .collect();
        let (mut got, mut next) = (Vec::new(), [0; 3]);
        while next.iter().sum::<u64>() < 3 * PER_PRODUCER {
            mailbox.drain(&mut got);
            for (producer, n) in got.drain(..) {
                assert_eq!(n, next[producer as usize]);
                next[producer as usize] += 1;
            }
            thread::yield_now();
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert!(mailbox.is_empty());
    }
}
