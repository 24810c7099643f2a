//! What a pattern keeps for a peer, or for a user who does not look, has a limit. All are here.
//!
//! None of them is met by an honest program of ordinary size; each bounds what a hostile one can
//! have us keep. Bytes are counted with what it costs to keep them, so that many short topics
//! are not cheaper than few long ones.

/// What the topics or groups that one peer asks for may cost: 64 MiB, about 370,000 topics of 16
/// bytes. The connection of a peer that asks for more is closed.
pub const SUBSCRIPTION_BYTES_PER_PEER_MAX: usize = 64 << 20;

/// The same for all peers of a socket together: 1 GiB.
pub const SUBSCRIPTION_BYTES_MAX: usize = 1 << 30;

/// What one topic costs besides its bytes: two nodes of the trie (one may have to be split for
/// it), and its place in the list of the peer. As tables grow by doubling, what is allocated may be
/// twice what is counted.
pub const SUBSCRIPTION_COST: usize = 176;

/// The notices of subscriptions that an XPUB keeps for a user who does not receive them: 64 MiB.
/// Beyond it the oldest are forgotten, since a user who is so far behind has never looked.
pub const UNREAD_NOTICE_BYTES_MAX: usize = 64 << 20;

/// The messages of one peer that an XPUB keeps for its user: 1 MiB. Beyond it the peer is not read
/// ([`Pattern::may_read`](super::Pattern::may_read)).
pub const UNREAD_MESSAGE_BYTES_PER_PEER_MAX: usize = 1 << 20;

/// What one unread notice or message costs besides its bytes.
pub const UNREAD_COST: usize = 200;

/// The unread notices of a STREAM. As long as there are more, newcomers are refused.
pub const UNREAD_ARRIVALS_MAX: usize = 1 << 16;

/// The bytes of a group's name (RFC 48, "Group").
pub const GROUP_BYTES_MAX: usize = 255;
