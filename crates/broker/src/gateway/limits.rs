//! Bounds of everything a gateway takes from outside.

use std::time::Duration;

/// Gateways of one broker: each costs a thread.
pub(crate) const GATEWAYS_MAX: usize = 256;

/// Characters of a gateway's name.
pub(crate) const NAME_CHARS_MAX: usize = 64;

/// Endpoints of one gateway.
pub(crate) const ENDPOINTS_MAX: usize = 16;

/// Subscriptions of one SUB gateway.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 1000;

/// Users or keys that one gateway lets in.
pub(crate) const USERS_MAX: usize = 10_000;

/// Messages taken from a socket before they are appended. The socket itself ends a batch at about
/// 256 KiB, or with one message that is longer.
pub(crate) const BATCH_MESSAGES_MAX: usize = 4096;

/// Batches of a PULL or SUB that may be on their way to the disk.
pub(crate) const FLIGHTS_MAX: usize = 8;

/// Bytes of messages in these; a batch that is longer goes alone.
pub(crate) const FLIGHT_BYTES_MAX: usize = 4 << 20;

/// Longest a gateway waits for what is on its way to the disk before it tries again.
pub(crate) const FLIGHT_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest frame taken unless `message_bytes_max` says otherwise; who sends a longer one is
/// disconnected.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// The greatest value of `message_bytes_max`.
pub(crate) const MESSAGE_BYTES_LIMIT: u64 = 1 << 30;

/// Messages that may wait for a peer unless `hwm` says otherwise.
pub(crate) const HWM: u32 = 1000;

/// The greatest value of `hwm`.
pub(crate) const HWM_MAX: u32 = 1_000_000;

/// Headers of one record.
pub(crate) const HEADERS_MAX: usize = 100;

/// Topics that one gateway produces into where each message names its own.
pub(crate) const TOPICS_MAX: usize = 256;

/// Bytes read from the log in one go.
pub(crate) const READ_BYTES_MAX: usize = 256 << 10;

/// Requests for history that one PUB gateway serves at a time.
pub(crate) const HISTORIES_MAX: usize = 64;

/// Longest sleep of a gateway's thread: what else has to be looked at is looked at this often.
pub(crate) const NAP: Duration = Duration::from_millis(200);

/// Longest a gateway that is told to stop goes on with what has come already.
pub(crate) const DRAIN: Duration = Duration::from_millis(300);

/// Longest others wait for a gateway's thread to end. One that is later, as on a disk that hangs,
/// is left to end by itself.
pub(crate) const STOP: Duration = Duration::from_secs(1);

/// The wait before the first restart of a gateway that failed; it doubles with each.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait before a restart.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(10);
