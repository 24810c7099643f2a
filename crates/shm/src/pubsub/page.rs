//! A subscriber's page: its cursor, counters and waiting words, and where it begins.
//!
//! ```text
//!      0  as `region::broadcast` lays it out, written by the subscriber
//!   2048  number of the first message     8    written by the publisher, before it hands it out
//!   4096
//! ```
//!
//! The publisher makes it, because only the publisher knows the size of its ring, which the page
//! repeats. So it is not the subscriber's memory that the publisher reads, there is nothing to be
//! examined, and nothing that could be too short. From then on the subscriber is the only one to
//! write it, and the publisher, which maps it read-only, believes nothing in it. That a publisher
//! *could* write it does not matter to the subscriber, which reads nothing back.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_ring::region::broadcast::Layout;

use crate::hall::board::Page;
use crate::memory::{self, Mapping, Unsound};

/// Where the number of the first message is.
const FIRST: usize = 2048;

/// A new page, of a ring of this layout.
pub(super) struct NewPage {
    /// As the publisher keeps it.
    pub(super) kept: Page,
    /// For the subscriber.
    pub(super) fd: OwnedFd,
    writable: Arc<Mapping>,
}

impl NewPage {
    pub(super) fn new(layout: Layout) -> std::io::Result<NewPage> {
        let (writable, fd) = memory::create_open_to_all("chaski-cursor", layout.subscriber_len())?;
        let writable = Arc::new(writable);
        layout.format_subscriber(&Page(writable.clone())).expect("it is as long as asked for");
        let kept = memory::open(fd.as_fd(), writable.len()).map_err(std::io::Error::other)?;
        Ok(NewPage { kept: Page(Arc::new(kept)), fd, writable })
    }

    /// Says which message is the first.
    pub(super) fn begin_at(&self, sequence: u64) {
        // ORDERING: comes before the page is sent, whose system call is a barrier.
        self.writable.word(FIRST).store(sequence, Ordering::Relaxed);
    }
}

/// The page that a subscriber was given, and the number of its first message.
pub(super) fn open(fd: &OwnedFd, layout: Layout) -> Result<(Page, u64), Unsound> {
    let page = memory::open_writable(fd.as_fd(), layout.subscriber_len())?;
    let first = page.word(FIRST).load(Ordering::Relaxed);
    Ok((Page(Arc::new(page)), first))
}
