//! `select!`, and how it reads what a `try_recv` answered.

use std::time::{Duration, Instant};

use super::{Source, ready, try_ready, wait};
use crate::broadcast;
use crate::error::{RecvError, TryRecvError};

/// How long `select!` waits.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// Until a receiver is ready.
    Endless,
    /// Not at all.
    None,
    /// Until then.
    Until(Instant),
}

impl Patience {
    /// From now on for `timeout`; a time too far off to be told is for ever.
    pub fn lasting(timeout: Duration) -> Patience {
        Instant::now().checked_add(timeout).map_or(Patience::Endless, Patience::Until)
    }
}

/// Which of `sources` is ready, waiting as `patience` says.
pub fn choose(sources: &[&dyn Source], patience: Patience) -> Option<usize> {
    match patience {
        Patience::Endless => Some(ready(sources)),
        Patience::None => try_ready(sources),
        Patience::Until(deadline) => wait(sources, Some(deadline)),
    }
}

/// What a `try_recv` answered, as `select!` sees it.
pub trait Answer {
    /// What the arm is given.
    type Received;

    /// `None`: another receiver was there first.
    fn received(self) -> Option<Self::Received>;
}

impl<T> Answer for Result<T, TryRecvError> {
    type Received = Result<T, RecvError>;

    fn received(self) -> Option<Result<T, RecvError>> {
        match self {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
}

impl<T> Answer for Result<T, broadcast::TryRecvError> {
    type Received = Result<T, broadcast::RecvError>;

    fn received(self) -> Option<Result<T, broadcast::RecvError>> {
        match self {
            Ok(message) => Some(Ok(message)),
            Err(broadcast::TryRecvError::Lagged(missed)) => {
                Some(Err(broadcast::RecvError::Lagged(missed)))
            }
            Err(broadcast::TryRecvError::Closed) => Some(Err(broadcast::RecvError::Closed)),
            Err(broadcast::TryRecvError::Empty) => None,
        }
    }
}

/// Receives from whichever of several receivers has something first, of up to twelve of any kinds.
///
/// ```
/// use chaski_ring::{mpmc, select};
///
/// let (tx, numbers) = mpmc::channel(4);
/// let (_idle, words) = mpmc::channel::<String>(4);
/// tx.send(1).unwrap();
/// drop(tx);
/// let mut seen = Vec::new();
/// loop {
///     select! {
///         recv(numbers) -> number => match number {
///             Ok(number) => seen.push(number),
///             Err(_) => break, // closed and drained
///         },
///         recv(words) -> word => println!("{}", word.unwrap()),
///     }
/// }
/// assert_eq!(seen, [1]);
/// ```
///
/// The arms, in any number and with the default last:
/// - `recv(receiver) -> pattern => expression`: the pattern is given what `recv` would return: `Ok`
///   with the message, or an error that says that the channel is closed and drained (of a
///   [`crate::broadcast`], also that messages were missed). `receiver` is a place, such as `rx` or
///   `self.rx`: it is evaluated more than once.
/// - `default => expression`: if none is ready now. Without it the thread blocks.
/// - `default(timeout) => expression`: if none is ready for so long, a `Duration`.
///
/// The value is that of the expression. It is evaluated outside of any loop of the macro's, so that
/// `break`, `continue`, `return` and `?` in it mean what they mean around the macro.
///
/// Where another receiver of the same channel takes the message between the wake and the receive,
/// the macro waits again. See [the module](mod@crate::select) for that, and for fairness. In async
/// code use [`ready_async`](crate::select::ready_async), or any select over `recv_async` futures,
/// which are cancel-safe.
#[macro_export]
macro_rules! select {
    (@arms $arms:tt $names:tt , $($rest:tt)*) => {
        $crate::select!(@arms $arms $names $($rest)*)
    };
    (@arms [$($arms:tt)*] [[$slot:ident $index:tt] $($names:tt)*]
        recv($receiver:expr) -> $message:pat => $body:block $($rest:tt)*
    ) => {
        $crate::select!(@arms
            [$($arms)* [$slot $index, $receiver, $message, $body]] [$($names)*] $($rest)*)
    };
    (@arms [$($arms:tt)*] [[$slot:ident $index:tt] $($names:tt)*]
        recv($receiver:expr) -> $message:pat => $body:expr, $($rest:tt)*
    ) => {
        $crate::select!(@arms
            [$($arms)* [$slot $index, $receiver, $message, $body]] [$($names)*] $($rest)*)
    };
    (@arms [$($arms:tt)*] [[$slot:ident $index:tt] $($names:tt)*]
        recv($receiver:expr) -> $message:pat => $body:expr
    ) => {
        $crate::select!(@arms [$($arms)* [$slot $index, $receiver, $message, $body]] [$($names)*])
    };
    (@arms $arms:tt $names:tt) => {
        $crate::select!(@run $arms $crate::select::Patience::Endless,
            ::core::unreachable!("an endless wait ends with a receiver"))
    };
    (@arms $arms:tt $names:tt default => $body:expr $(,)?) => {
        $crate::select!(@run $arms $crate::select::Patience::None, $body)
    };
    (@arms $arms:tt $names:tt default($timeout:expr) => $body:expr $(,)?) => {
        $crate::select!(@run $arms $crate::select::Patience::lasting($timeout), $body)
    };
    // Waits and receives in a loop, and runs the arm outside of it.
    (@run [$([$slot:ident $index:tt, $receiver:expr, $message:pat, $body:expr])+]
        $patience:expr, $default:expr
    ) => {{
        let patience = $patience;
        $(let mut $slot = ::core::option::Option::None;)+
        let chosen = loop {
            let chosen = $crate::select::choose(
                &[$(&$receiver as &dyn $crate::select::Source),+],
                patience,
            );
            match chosen {
                $(::core::option::Option::Some($index) => {
                    $slot = $crate::select::Answer::received($receiver.try_recv());
                    if $slot.is_some() {
                        break chosen;
                    }
                })+
                _ => break chosen,
            }
        };
        match chosen {
            $(::core::option::Option::Some($index) => {
                let ::core::option::Option::Some(received) = $slot else {
                    ::core::unreachable!("the chosen receiver has answered")
                };
                let $message = received;
                $body
            })+
            _ => $default,
        }
    }};
    (@ $($rest:tt)*) => {
        ::core::compile_error!(
            "expected up to twelve arms `recv(receiver) -> pattern => expression` and at most one \
             `default => expression` or `default(timeout) => expression` behind them"
        )
    };
    ($($arms:tt)+) => {
        $crate::select!(@arms [] [
            [a 0] [b 1] [c 2] [d 3] [e 4] [f 5] [g 6] [h 7] [i 8] [j 9] [k 10] [l 11]
        ] $($arms)+)
    };
}
