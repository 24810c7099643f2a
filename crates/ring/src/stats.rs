//! What a channel counted.

/// Counts of one channel since it was made. Messages sent and received are the channel's own
/// cursors, written by whoever moves a message, where it has to; the rest is counted where somebody
/// finds no room or is woken. Reading disturbs none of them: the figures are each recent, and not
/// all of one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Times a sender found no room.
    pub full_stalls: u64,
    /// Receivers woken from their sleep by senders.
    pub receiver_wakes: u64,
    /// Senders woken from their sleep by receivers.
    pub sender_wakes: u64,
    /// Messages sent and not yet received.
    pub depth: u64,
    /// The greatest depth that senders noticed. They look when they run out of the room they know
    /// of, so a peak between two looks may be missed, but never a full channel.
    pub high_water: u64,
    /// How many messages fit.
    pub capacity: u64,
}
