//! An unbounded queue of many producers and one consumer that drains it whole.

/// The sending half and the queue itself; share it in an `Arc`.
#[derive(Debug)]
pub struct Mailbox<T> {
    _t: std::marker::PhantomData<T>,
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    pub fn new() -> Self {
        unimplemented!()
    }
    /// Adds a message. True: the mailbox was empty, so the consumer may be asleep: wake it.
    #[must_use]
    pub fn push(&self, _message: T) -> bool {
        unimplemented!()
    }
    /// Moves everything pushed so far to the end of `into`, oldest first.
    pub fn drain(&self, _into: &mut Vec<T>) {
        unimplemented!()
    }
}
