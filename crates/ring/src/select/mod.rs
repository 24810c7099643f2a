//! Waiting for several receivers at once, of any kinds and message types.
//!
//! ```
//! use chaski_ring::{mpsc, select, spsc};
//! use std::time::Duration;
//!
//! let (mut orders, mut incoming) = spsc::channel::<u32>(16);
//! let (_control, mut commands) = mpsc::channel::<&str>(4);
//! orders.send(7).unwrap();
//!
//! select! {
//!     recv(incoming) -> order => assert_eq!(order, Ok(7)),
//!     recv(commands) -> command => println!("told to {command:?}"),
//!     default(Duration::from_secs(1)) => println!("nothing for a second"),
//! }
//! ```
//!
//! [`select!`](crate::select!) is made of the functions here, which say *which* receiver is ready
//! and take nothing from it:
//!
//! ```
//! use chaski_ring::{mpsc, select};
//!
//! let (tx, rx) = mpsc::channel(4);
//! let (_other, quiet) = mpsc::channel::<u8>(4);
//! tx.send("hello").unwrap();
//! let mut receivers = [rx];
//! assert_eq!(select::ready(&[&quiet, &receivers[0]]), 1);
//! assert_eq!(receivers[0].try_recv(), Ok("hello"));
//! ```
//!
//! **Ready** means that `try_recv` would answer something other than `Empty`: a message, or that
//! the channel is closed and drained. A closed receiver is ready for ever, so leave it out once it
//! has said so.
//!
//! **The race.** Where a channel has several receivers, another of them may take the message
//! between `ready` and `try_recv`. `try_recv` then answers `Empty`; wait again, as the macro does.
//!
//! **Fairness.** Each call begins its look one source further than the one before on the same
//! thread, so a busy source does not starve those behind it.
//!
//! **Wake-ups.** A wait has a place in the queue of waiters of every source, and may be woken by
//! several of them. It answers with one, and all wake-ups it was given it passes on to whoever
//! waits next at that source, even that of the chosen one, since nobody knows yet whether the
//! caller will take the message. The price is a wake in vain now and then, where several receivers
//! wait on one channel; what it buys is that no message rests while a receiver of it sleeps.
//!
//! **Cost.** A look at each source, then a spin of up to 20 us where that has paid, and only then
//! one lock and, in calm traffic, one heavy fence (1 to 4 us) per source before the sleep. It suits
//! a handful of sources. For many senders one channel of several senders is the better form.

mod macros;
mod source;

#[cfg(not(loom))]
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::front::{Spun, spin};
use crate::wait::{Place, Wait, with_parker};

#[doc(hidden)]
pub use macros::{Answer, Patience, choose};
pub use source::Source;

/// Blocks until one of `sources` is ready, and says which.
///
/// # Panics
/// If there is no source.
pub fn ready(sources: &[&dyn Source]) -> usize {
    assert!(!sources.is_empty(), "there is nothing to wait for");
    wait(sources, None).expect("a wait without a deadline ends with a source")
}

/// Which of `sources` is ready now, if any.
pub fn try_ready(sources: &[&dyn Source]) -> Option<usize> {
    first_ready(sources, turn())
}

/// Blocks until one of `sources` is ready, for at most `timeout`, and says which. `None`: none was,
/// in that time.
pub fn ready_timeout(sources: &[&dyn Source], timeout: Duration) -> Option<usize> {
    // A time too far off to be told is for ever.
    wait(sources, Instant::now().checked_add(timeout))
}

/// Blocks until one of `sources` is ready or `deadline` passes, and says which. `None`: none was.
pub fn ready_deadline(sources: &[&dyn Source], deadline: Instant) -> Option<usize> {
    wait(sources, Some(deadline))
}

/// Waits until one of `sources` is ready, on any executor, and says which. Cancel-safe: it takes
/// nothing.
///
/// # Panics
/// If there is no source.
pub fn ready_async<'a>(
    sources: &'a [&'a dyn Source],
) -> impl Future<Output = usize> + Send + Unpin + 'a {
    assert!(!sources.is_empty(), "there is nothing to wait for");
    Ready { places: Places::new(sources) }
}

/// Where to begin: one further each time.
#[cfg(not(loom))]
fn turn() -> usize {
    thread_local! {
        static TURN: Cell<usize> = const { Cell::new(0) };
    }
    TURN.with(|turn| turn.replace(turn.get().wrapping_add(1)))
}

/// A model must do the same each time it is run.
#[cfg(loom)]
fn turn() -> usize {
    0
}

fn first_ready(sources: &[&dyn Source], start: usize) -> Option<usize> {
    let count = sources.len();
    (0..count)
        .map(|offset| (start % count + offset) % count)
        .find(|index| sources[*index].is_ready())
}

fn wait(sources: &[&dyn Source], deadline: Option<Instant>) -> Option<usize> {
    let start = turn();
    match spin(Wait::default(), deadline, || first_ready(sources, start)) {
        Spun::Found(index) => Some(index),
        Spun::Passed => None,
        Spun::Sleep => sleep(sources, start, deadline),
    }
}

#[cold]
fn sleep(sources: &[&dyn Source], start: usize, deadline: Option<Instant>) -> Option<usize> {
    with_parker(|parker, waker| {
        let mut places = Places::new(sources);
        loop {
            places.register(waker);
            if let Some(index) = first_ready(sources, start) {
                return Some(index);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            parker.park(deadline);
            if let Some(index) = first_ready(sources, start) {
                return Some(index);
            }
        }
    })
}

/// One wait's places, one at each source; dropped, it leaves them all and passes on every wake-up
/// it was given.
struct Places<'a> {
    sources: &'a [&'a dyn Source],
    /// Empty until the first registration: most waits end without one.
    places: Vec<Place>,
}

impl<'a> Places<'a> {
    fn new(sources: &'a [&'a dyn Source]) -> Places<'a> {
        Places { sources, places: Vec::new() }
    }

    fn register(&mut self, waker: &Waker) {
        self.places.resize(self.sources.len(), None);
        for (source, place) in self.sources.iter().zip(&mut self.places) {
            source.register(place, waker);
        }
    }

    fn leave(&mut self) {
        for (source, place) in self.sources.iter().zip(&mut self.places) {
            source.leave(place);
        }
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

struct Ready<'a> {
    places: Places<'a>,
}

impl Future for Ready<'_> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let places = &mut self.get_mut().places;
        let start = turn();
        let mut found = first_ready(places.sources, start);
        if found.is_none() {
            places.register(context.waker());
            found = first_ready(places.sources, start);
        }
        let Some(index) = found else { return Poll::Pending };
        places.leave();
        Poll::Ready(index)
    }
}
