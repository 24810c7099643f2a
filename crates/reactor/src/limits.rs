//! Every bound of the reactor in one place: those a user sets, and those that follow.

use std::time::Duration;

/// Bounds on what one reactor does and holds. Every queue has its limit here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes read from one connection before the next one has its turn, and the size of the buffers
    /// they are read into. At 64 KiB a frame of 1 MiB costs twice the processor it costs at
    /// 256 KiB; at 1 MiB a third to a half less, for four times the memory and the wait of others.
    pub turn_bytes: usize,
    /// Largest input a service may ask to have whole ([`crate::Progress::need`]).
    pub frame_bytes_max: usize,
    /// A connection whose unsent memory passes this is not read until it has drained to half of
    /// it. File ranges are not memory and do not count, but their number is bounded too.
    pub unsent_bytes_max: usize,
    /// Connections at most; one more is accepted and closed at once.
    pub connections_max: usize,
    /// A connection without a byte in or out for so long is closed. None: never.
    pub idle_max: Option<Duration>,
    /// A connection that is closing is dropped when its peer takes no byte for so long.
    pub linger_max: Duration,
    /// How long the loop looks for new work after the last before it goes to sleep. Halves the
    /// latency of dense traffic and burns a core while it lasts; zero, the default, sleeps at once.
    pub spin: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            turn_bytes: 256 << 10,
            frame_bytes_max: 100 << 20,
            unsent_bytes_max: 1 << 20,
            connections_max: 10_000,
            idle_max: None,
            linger_max: Duration::from_secs(30),
            spin: Duration::ZERO,
        }
    }
}

/// Connections served in one turn, and events taken from one `epoll_wait`; the rest have the next
/// turn. Bounds how long the first answer of a turn waits for the last request.
pub(crate) const TURN_CONNECTIONS: usize = 256;

/// All connections together read this many times [`Limits::turn_bytes`] in one turn.
pub(crate) const TURN_SHARES: usize = 16;

/// Connections accepted from one listener in one turn.
pub(crate) const TURN_ACCEPTS: usize = 64;

/// Bytes sent to one connection before the next one has its turn.
pub(crate) const SEND_BYTES: usize = 1 << 20;

/// Bytes sent to all connections in one turn.
pub(crate) const TURN_SEND_BYTES: usize = 16 * SEND_BYTES;

/// Pieces joined in one `sendmsg`. POSIX promises 16, Linux allows 1024; past 64 the cost of a call
/// is no longer what matters.
pub(crate) const SLICES: usize = 64;

/// File ranges shorter than this are copied next to their neighbours instead of having a
/// `sendfile` of their own: up to here a copy cost 5 to 10 % less processor, at 32 KiB as much, at
/// 64 KiB 30 % more (the example `figures`, 2 cores of an AMD EPYC).
pub(crate) const JOIN_BYTES: usize = 16 << 10;

/// Pieces of output, file ranges among them, that a connection may have queued before it is no
/// longer read: a range of a file holds no bytes, but its place in the queue does.
pub(crate) const PIECES_MAX: usize = 1024;

/// Where short file ranges are joined.
pub(crate) const JOIN_ROOM: usize = 4 * JOIN_BYTES;

/// Free input buffers are kept up to this many times [`Limits::turn_bytes`], larger sums are freed.
pub(crate) const POOL_SHARES: usize = 8;

/// Connections keep roomy input buffers while all of them together hold less than this many times
/// [`Limits::turn_bytes`]; past it, a partial input is cut down to the size it has.
pub(crate) const LENT_SHARES: usize = 32;

/// An input buffer has at most this many times the bytes received of a frame, whatever the frame
/// says it will be.
pub(crate) const GROWTH: usize = 4;

/// How long a listener rests when the process has no descriptor (or no memory) for a connection.
/// Those who connect meanwhile wait in its backlog.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Idle and lingering connections are looked for this many times within their limit.
pub(crate) const SWEEPS: u32 = 8;
