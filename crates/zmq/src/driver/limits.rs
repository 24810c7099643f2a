//! What the driver allows others to make it do, in one place.
//!
//! How many handshakes a listener has at once is the option `handshakes_max`; how long each may
//! take is `handshake_ivl`. A handshake holds at most a command of 64 KiB
//! ([`chaski_zmtp::limits::HANDSHAKE_COMMAND_BYTES_MAX`]) and [`READ_BYTES`].

use std::time::Duration;

/// How many connections a listener accepts before others have their turn.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// How long a listener rests when there are no descriptors or no memory for a connection.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many bytes of a handshake are read at a time.
pub(super) const READ_BYTES: usize = 4 * 1024;

/// How many threads look names up at once. More look-ups wait for one to be done.
pub(super) const LOOKUPS_MAX: usize = 8;

/// How long a look-up waits that finds all of them busy.
pub(super) const LOOKUP_PAUSE: Duration = Duration::from_millis(50);

/// How many addresses of one name are tried.
pub(super) const ADDRESSES_MAX: usize = 16;

/// How soon input that nobody seems to read is looked at; doubled up to [`LOOK_MAX`] while it keeps
/// coming, so that a busy connection costs the driver little.
pub(super) const LOOK_MIN: Duration = Duration::from_millis(10);

/// See [`LOOK_MIN`]. This is how long an answer to a PING may take if the user does not receive.
pub(super) const LOOK_MAX: Duration = Duration::from_millis(80);

/// See [`LOOK_MIN`], for a connection that the peer has closed and whose input the socket has no
/// room for: who receives it comes to its end without help.
pub(super) const LOOK_OVER_MAX: Duration = Duration::from_secs(1);

/// How soon the driver goes on with what a connection has brought, of which it takes no more than a
/// share at a time: others have their turn between.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How often a socket that lingers is looked at, beside what the kernel tells of it.
pub(super) const LINGER_LOOK: Duration = Duration::from_millis(10);

/// How often a CURVE listener changes the key of its cookies (RFC 26, "The cookie").
pub(super) const COOKIE_LIFE: Duration = Duration::from_secs(60);

/// How long a connection may take to part.
pub(super) const PART_MAX: Duration = Duration::from_secs(1);

/// How many reads a connection that parts gets of each event.
pub(super) const PART_READS_PER_TURN: usize = 64;

/// How often gathered output is flushed while nobody else does.
pub(super) const TICK_MIN: Duration = Duration::from_micros(50);

/// How often while callers always flush their own.
pub(super) const TICK_MAX: Duration = Duration::from_millis(1);

/// How long the flusher goes on ticking after there was something, so that the next burst need not
/// wake it.
pub(super) const TICK_ON: Duration = Duration::from_millis(10);

/// How long to wait at least before connecting again, whatever `reconnect_ivl` says: who is refused
/// at once must not keep the driver from everything else.
pub(super) const RECONNECT_MIN: Duration = Duration::from_millis(1);
