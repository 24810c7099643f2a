//! What a peer may make us hold.
//!
//! A peer can announce any length. Nothing here is allocated because a peer announced it: memory
//! follows the bytes that came, at most twice as many and 1 MiB. The limits below bound how many
//! may come before the connection is closed.

/// The longest command of a handshake, in bytes: metadata or a mechanism's own.
pub const HANDSHAKE_COMMAND_BYTES_MAX: u64 = 64 * 1024;

/// The longest `Identity`, in bytes (RFC 37, "The Identity Property").
pub const IDENTITY_BYTES_MAX: usize = 255;

/// The longest user name, password or domain, in bytes (RFC 24, RFC 27).
pub const CREDENTIAL_BYTES_MAX: usize = 255;

/// The longest context of a PING, in bytes (RFC 37, "Connection Heartbeating").
pub const PING_CONTEXT_BYTES_MAX: usize = 16;

/// How far ahead of what came a buffer for one large frame may be, in bytes.
pub(crate) const AHEAD_BYTES_MAX: usize = 1024 * 1024;

/// The limits of a connection in traffic.
///
/// ```
/// use chaski_zmtp::{Limits, PageSize};
///
/// let mut limits = Limits::default();
/// limits.frame_bytes_max = Some(1_000_000);
/// limits.page = PageSize::Large;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest frame, in bytes; `None`, the default, leaves it to `message_bytes_max`
    /// (libzmq: `ZMQ_MAXMSGSIZE`).
    pub frame_bytes_max: Option<u64>,
    /// How many frames one message may have; 65,536. libzmq has no such limit; an empty frame
    /// has 2 bytes on the wire and 40 in memory.
    pub frames_max: usize,
    /// How many bytes the frames of one message may have together; 1 GiB. `None` sets no limit,
    /// as in libzmq.
    pub message_bytes_max: Option<u64>,
    /// How much is read at once.
    pub page: PageSize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: None,
            frames_max: 65_536,
            message_bytes_max: Some(1 << 30),
            page: PageSize::Default,
        }
    }
}

/// The size of the pages that are read into, of which received frames are slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageSize {
    /// 4 KiB: many peers that say little.
    Small,
    /// Learned from the traffic: 8 KiB at first, doubled up to 64 KiB while reads fill the page,
    /// up to 256 KiB for frames that do not fit otherwise; halved again while reads use little.
    #[default]
    Default,
    /// 1 MiB: few peers that say much.
    Large,
    /// This many bytes, at least 256 and at most 64 MiB.
    Custom(usize),
}

impl PageSize {
    const LEARNED: (usize, usize) = (8 * 1024, 256 * 1024);
    /// Three of these pages, and what else a peer touches, stay in a second level cache of 512 KiB;
    /// with pages of 256 KiB, messages of 1 KiB pass at two thirds of the rate.
    const FILLED_MAX: usize = 64 * 1024;
    const CUSTOM: (usize, usize) = (256, 64 * 1024 * 1024);

    /// The largest page that full reads alone make of pages in this range, in bytes.
    pub(crate) fn filled_max((smallest, largest): (usize, usize)) -> usize {
        PageSize::FILLED_MAX.clamp(smallest, largest)
    }

    /// The smallest and the largest page, in bytes.
    pub(crate) fn range(self) -> (usize, usize) {
        match self {
            PageSize::Small => (4 * 1024, 4 * 1024),
            PageSize::Default => PageSize::LEARNED,
            PageSize::Large => (1024 * 1024, 1024 * 1024),
            PageSize::Custom(bytes) => {
                let bytes = bytes.clamp(PageSize::CUSTOM.0, PageSize::CUSTOM.1);
                (bytes, bytes)
            }
        }
    }
}
