//! Sleeping until a socket has a message, or something else has news.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use chaski_zmq::{Message, Socket};

/// Sleeps until the socket has a message, which it returns; until `other` is ready, which keeps the
/// waker it is given; or until the time is over.
pub(super) fn for_message(
    socket: &Socket,
    at_most: Duration,
    mut other: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Option<Message> {
    let deadline = Instant::now() + at_most;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut received = pin!(socket.recv_async());
    loop {
        if let Poll::Ready(received) = received.as_mut().poll(&mut context) {
            // An error is told again by whoever receives next.
            return received.ok();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || other(&mut context).is_ready() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// Wakes a thread that has parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
