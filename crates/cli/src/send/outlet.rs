//! What messages go out of: one shape for every pattern of processes and machines.
//!
//! No outlet waits for longer than it is told, so that Ctrl-C is heard whatever the other side
//! does.

use std::time::Duration;

use crate::failure::Failure;

/// Where messages go, each of which is an `M`: bytes, or frames.
pub(crate) trait Outlet<M: ?Sized> {
    /// Sends the message of a line, waiting for room no longer than that. False: there was none.
    fn offer(&mut self, message: &M, line: u64, wait: Duration) -> Result<bool, Failure>;

    /// The input pauses. Whether all is done that somebody may look at meanwhile.
    fn pause(&mut self, _wait: Duration) -> Result<bool, Failure> {
        Ok(true)
    }

    /// The input has ended. Whether what was sent has left, as far as this pattern can tell.
    fn settle(&mut self, wait: Duration) -> Result<bool, Failure>;

    /// What is not settled, in words; nothing if all is.
    fn unsettled(&mut self) -> Option<String>;

    /// All is settled: whether it went well.
    fn finish(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}
