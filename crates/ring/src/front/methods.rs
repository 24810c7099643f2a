//! The methods that the ends of every channel have, written once.
//!
//! `sender_methods!(self, &mut)` inside an `impl<T> Sender<T>` makes them take `&mut self`, for an
//! end that one thread owns; `(self, &)` makes them take `&self`, for one that threads share. The
//! end provides a private `port`, which is a [`super::Push`] or a [`super::Pop`].

/// What every sender can do.
macro_rules! sender_methods {
    ($self:ident, $($reference:tt)+) => {
        /// Sends if there is room now.
        ///
        /// # Errors
        /// The message comes back: `Full` if there is no room, `Closed` if nobody will receive it.
        #[inline]
        pub fn try_send($($reference)+ $self, message: T) -> Result<(), $crate::TrySendError<T>> {
            #[allow(unused_mut)]
            let mut port = $self.port();
            $crate::front::Push::try_push(&mut port, message)
        }

        /// Sends, and blocks while there is no room.
        ///
        /// # Errors
        /// The message comes back if nobody will receive it.
        #[inline]
        pub fn send($($reference)+ $self, message: T) -> Result<(), $crate::SendError<T>> {
            let mut port = $self.port();
            $crate::front::send(&mut port, message, None)
                .map_err(|error| $crate::SendError(error.into_inner()))
        }

        /// Sends, and blocks while there is no room, for at most `timeout`.
        ///
        /// # Errors
        /// The message comes back, with the reason.
        pub fn send_timeout(
            $($reference)+ $self,
            message: T,
            timeout: std::time::Duration,
        ) -> Result<(), $crate::SendTimeoutError<T>> {
            let mut port = $self.port();
            // A time too far off to be told is for ever.
            let deadline = std::time::Instant::now().checked_add(timeout);
            $crate::front::send(&mut port, message, deadline)
        }

        /// Sends, and blocks while there is no room, until `deadline`.
        ///
        /// # Errors
        /// The message comes back, with the reason.
        pub fn send_deadline(
            $($reference)+ $self,
            message: T,
            deadline: std::time::Instant,
        ) -> Result<(), $crate::SendTimeoutError<T>> {
            let mut port = $self.port();
            $crate::front::send(&mut port, message, Some(deadline))
        }

        /// Sends all of `messages` and blocks whenever there is no room: as many at a time as there
        /// is room for, shown to the receiver at once. Returns how many were sent.
        ///
        /// # Errors
        /// The first message that nobody will receive comes back. Those behind it are still in the
        /// iterator, if it was passed by reference; only a batch that was under way at the very
        /// moment of the close was taken out of it, and the rest of that is dropped.
        pub fn send_all<I: IntoIterator<Item = T>>(
            $($reference)+ $self,
            messages: I,
        ) -> Result<usize, $crate::SendError<T>> {
            let mut port = $self.port();
            $crate::front::send_all(&mut port, &mut messages.into_iter().fuse())
        }

        /// Sends, and waits while there is no room, on any executor.
        ///
        /// Cancel-safe in that the message is sent whole or not at all; dropped before, the future
        /// drops the message with itself. Where that would lose it, see `send_from_async`.
        ///
        /// # Errors
        /// The message comes back if nobody will receive it.
        pub fn send_async(
            $($reference)+ $self,
            message: T,
        ) -> impl Future<Output = Result<(), $crate::SendError<T>>> {
            $crate::front::SendFuture::new($self.port(), message)
        }

        /// Sends the message in `slot`, and waits while there is no room, on any executor. The slot
        /// is empty once the message was sent, and not before: a future dropped early loses
        /// nothing.
        ///
        /// # Errors
        /// If nobody will receive the message. It is in the slot.
        pub fn send_from_async(
            $($reference)+ $self,
            slot: &mut Option<T>,
        ) -> impl Future<Output = Result<(), $crate::SendError<()>>> {
            $crate::front::SendFromFuture::new($self.port(), slot)
        }

        /// Sends all of `messages` and waits whenever there is no room, on any executor. Returns
        /// how many were sent. Dropped early, the future drops with itself the one message it
        /// holds.
        ///
        /// # Errors
        /// As `send_all`.
        pub fn send_all_async<I: IntoIterator<Item = T>>(
            $($reference)+ $self,
            messages: I,
        ) -> impl Future<Output = Result<usize, $crate::SendError<T>>> {
            $crate::front::SendAllFuture::new($self.port(), messages.into_iter().fuse())
        }

        /// For a sink, see [`super::stream`].
        #[cfg(feature = "futures")]
        #[allow(dead_code, reason = "for a channel without `into_sink`")]
        pub(crate) fn poll_send(
            &mut $self,
            place: &mut Option<u64>,
            slot: &mut Option<T>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), $crate::SendError<T>>> {
            $crate::front::stream::poll_push(&mut $self.port(), place, slot, context)
        }

        /// The sink gives up its place.
        #[cfg(feature = "futures")]
        #[allow(dead_code, reason = "for a channel without `into_sink`")]
        pub(crate) fn leave_send(&mut $self, place: &mut Option<u64>, _slot: &mut Option<T>) {
            $crate::front::stream::leave(&mut $self.port(), place);
        }
    };
}

/// What a sender can do whose room nobody else takes.
macro_rules! sole_sender_methods {
    ($self:ident) => {
        /// Sends as many of `messages` as there is room for now, shown to the receiver at once.
        /// Returns how many; the others stay in the iterator.
        ///
        /// # Errors
        /// The first message comes back if nobody will receive it.
        pub fn try_send_all<I: Iterator<Item = T>>(
            &mut $self,
            messages: &mut I,
        ) -> Result<usize, $crate::SendError<T>> {
            let mut held = None;
            let sent = $crate::front::Push::push_many(&mut $self.port(), messages, &mut held);
            debug_assert!(held.is_none(), "nobody else takes the room");
            sent
        }
    };
}

/// What every receiver can do.
macro_rules! receiver_methods {
    ($self:ident, $($reference:tt)+) => {
        /// Receives the next message if there is one now.
        ///
        /// # Errors
        /// `Empty` if there is none now, `Closed` if there will never be one again.
        #[inline]
        pub fn try_recv($($reference)+ $self) -> Result<T, $crate::TryRecvError> {
            #[allow(unused_mut)]
            let mut port = $self.port();
            $crate::front::Pop::try_pop(&mut port)
        }

        /// Receives the next message, and blocks while there is none.
        ///
        /// # Errors
        /// If everything sent was received and no more will come.
        #[inline]
        pub fn recv($($reference)+ $self) -> Result<T, $crate::RecvError> {
            let mut port = $self.port();
            $crate::front::recv(&mut port, None).map_err(|_| $crate::RecvError)
        }

        /// Receives the next message, and blocks while there is none, for at most `timeout`.
        ///
        /// # Errors
        /// `Timeout`, or `Closed` if there will never be a message again.
        pub fn recv_timeout(
            $($reference)+ $self,
            timeout: std::time::Duration,
        ) -> Result<T, $crate::RecvTimeoutError> {
            let mut port = $self.port();
            // A time too far off to be told is for ever.
            $crate::front::recv(&mut port, std::time::Instant::now().checked_add(timeout))
        }

        /// Receives the next message, and blocks while there is none, until `deadline`.
        ///
        /// # Errors
        /// `Timeout`, or `Closed` if there will never be a message again.
        pub fn recv_deadline(
            $($reference)+ $self,
            deadline: std::time::Instant,
        ) -> Result<T, $crate::RecvTimeoutError> {
            let mut port = $self.port();
            $crate::front::recv(&mut port, Some(deadline))
        }

        /// Receives up to `max` messages that are there now, to the end of `into`. Returns how
        /// many: at least one, if `max` is not 0.
        ///
        /// # Errors
        /// As `try_recv`.
        #[inline]
        pub fn try_recv_many(
            $($reference)+ $self,
            into: &mut Vec<T>,
            max: usize,
        ) -> Result<usize, $crate::TryRecvError> {
            #[allow(unused_mut)]
            let mut port = $self.port();
            $crate::front::Pop::pop_many(&mut port, into, max)
        }

        /// Receives up to `max` messages to the end of `into`, and blocks while there is none.
        /// Returns how many: at least one, if `max` is not 0.
        ///
        /// # Errors
        /// As `recv`.
        #[inline]
        pub fn recv_many(
            $($reference)+ $self,
            into: &mut Vec<T>,
            max: usize,
        ) -> Result<usize, $crate::RecvError> {
            let mut port = $self.port();
            $crate::front::recv_many(&mut port, into, max)
        }

        /// Receives the next message, and waits while there is none, on any executor.
        ///
        /// Cancel-safe: a future dropped before it is ready has taken no message.
        ///
        /// # Errors
        /// As `recv`.
        pub fn recv_async(
            $($reference)+ $self,
        ) -> impl Future<Output = Result<T, $crate::RecvError>> {
            $crate::front::RecvFuture::new($self.port())
        }

        /// Receives up to `max` messages to the end of `into`, and waits while there is none, on
        /// any executor. Cancel-safe: a future dropped before it is ready has taken no message.
        ///
        /// # Errors
        /// As `recv`.
        pub fn recv_many_async(
            $($reference)+ $self,
            into: &mut Vec<T>,
            max: usize,
        ) -> impl Future<Output = Result<usize, $crate::RecvError>> {
            $crate::front::RecvManyFuture::new($self.port(), into, max)
        }

        /// The messages as they come, blocking while there is none, until the channel is closed and
        /// drained.
        pub fn iter($($reference)+ $self) -> impl Iterator<Item = T> {
            let mut port = $self.port();
            std::iter::from_fn(move || $crate::front::recv(&mut port, None).ok())
        }

        /// The messages that are there now.
        pub fn try_iter($($reference)+ $self) -> impl Iterator<Item = T> {
            let mut port = $self.port();
            std::iter::from_fn(move || $crate::front::Pop::try_pop(&mut port).ok())
        }

        $crate::front::watched_method!($self, $($reference)+);

        /// For a stream, see [`super::stream`].
        #[cfg(feature = "futures")]
        #[allow(dead_code, reason = "for a channel without `into_stream`")]
        pub(crate) fn poll_recv(
            &mut $self,
            place: &mut Option<u64>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<T>> {
            $crate::front::stream::poll_pop(&mut $self.port(), place, context)
        }

        /// The stream gives up its place.
        #[cfg(feature = "futures")]
        #[allow(dead_code, reason = "for a channel without `into_stream`")]
        pub(crate) fn leave_recv(&mut $self, place: &mut Option<u64>) {
            $crate::front::stream::leave(&mut $self.port(), place);
        }
    };
}

/// What select looks at, see [`super::Watch`].
macro_rules! watched_method {
    ($self:ident, &) => {
        #[allow(dead_code, reason = "for a channel that is not a `Source`")]
        pub(crate) fn watched(&$self) -> impl $crate::front::Watch {
            $self.port()
        }
    };
    ($self:ident, &mut) => {
        #[allow(dead_code, reason = "for a channel that is not a `Source`")]
        pub(crate) fn watched(&$self) -> &impl $crate::front::Watch {
            $self.measured()
        }
    };
}

/// What both ends of every channel can do. The end provides a private `measured`, which is a
/// [`super::Measure`].
macro_rules! end_methods {
    ($self:ident) => {
        /// Messages sent and not yet received. By the time it is known it may have changed.
        pub fn len(&$self) -> usize {
            $crate::front::Measure::len(&$self.measured())
        }

        /// Whether there is no message now.
        pub fn is_empty(&$self) -> bool {
            $self.len() == 0
        }

        /// How many messages fit at least: a channel that is full holds this many unread ones, or
        /// up to an eighth more. `None`: there is no bound.
        pub fn capacity(&$self) -> Option<usize> {
            $crate::front::Measure::capacity(&$self.measured())
        }

        /// Whether sending is in vain: no receiver is left, or the channel was closed.
        pub fn is_closed(&$self) -> bool {
            $crate::front::Measure::is_closed(&$self.measured())
        }

        /// What the channel counted so far.
        pub fn stats(&$self) -> $crate::Stats {
            $crate::front::Measure::stats(&$self.measured())
        }

        /// Sets how this end blocks.
        pub fn set_wait(&mut $self, wait: $crate::Wait) {
            *$self.wait_mut() = wait;
        }

        /// This end, blocking as `wait` says.
        #[must_use]
        pub fn with_wait(mut $self, wait: $crate::Wait) -> Self {
            $self.set_wait(wait);
            $self
        }
    };
}

/// `Debug` for both ends: which channel, and how many messages are in it.
macro_rules! debug_ends {
    ($channel:literal) => {
        impl<T> std::fmt::Debug for Sender<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let name = concat!($channel, "::Sender");
                f.debug_struct(name).field("len", &self.len()).finish_non_exhaustive()
            }
        }

        impl<T> std::fmt::Debug for Receiver<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let name = concat!($channel, "::Receiver");
                f.debug_struct(name).field("len", &self.len()).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use {
    debug_ends, end_methods, receiver_methods, sender_methods, sole_sender_methods, watched_method,
};
