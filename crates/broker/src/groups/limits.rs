//! Every bound of the coordinator, in one place.

use std::time::Duration;

/// What clients may ask of the coordinator, in count, bytes and time.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Groups at most, those that only hold offsets included; one more is a POLICY_VIOLATION.
    pub(crate) groups_max: usize,
    /// Members of one group, and ids handed out to members yet to come (`group.max.size`); one
    /// more is GROUP_MAX_SIZE_REACHED.
    pub(crate) members_max: usize,
    /// Bytes of a group id; a longer one is an INVALID_GROUP_ID.
    pub(crate) group_id_bytes_max: usize,
    /// Bytes of an instance id, a protocol type or a protocol name; INVALID_REQUEST beyond.
    pub(crate) name_bytes_max: usize,
    /// Bytes kept of a client id or host: these only serve people, so longer ones are cut.
    pub(crate) client_bytes_max: usize,
    /// Assignment protocols one member may offer; INVALID_REQUEST beyond.
    pub(crate) protocols_max: usize,
    /// Bytes of metadata of one member over all its protocols; INVALID_REQUEST beyond.
    pub(crate) metadata_bytes_max: usize,
    /// Bytes of metadata of all members of a group. The leader is sent the lot in one response.
    /// GROUP_MAX_SIZE_REACHED beyond.
    pub(crate) group_metadata_bytes_max: usize,
    /// Bytes of all assignments of a group together; INVALID_REQUEST to the leader beyond.
    pub(crate) assignment_bytes_max: usize,
    /// Committed offsets over all groups; POLICY_VIOLATION for the partition beyond.
    pub(crate) offsets_max: usize,
    /// Bytes of metadata with one committed offset (`offset.metadata.max.bytes`);
    /// OFFSET_METADATA_TOO_LARGE beyond.
    pub(crate) offset_metadata_bytes_max: usize,
    /// Shortest session (`group.min.session.timeout.ms`); INVALID_SESSION_TIMEOUT below.
    pub(crate) session_timeout_min: Duration,
    /// Longest session (`group.max.session.timeout.ms`); INVALID_SESSION_TIMEOUT above.
    pub(crate) session_timeout_max: Duration,
    /// How long a group without members waits for company after its first member has come, and
    /// again after each wait in which somebody came, up to the rebalance timeout
    /// (`group.initial.rebalance.delay.ms`, KIP-134).
    ///
    /// Kafka waits 3 s, because a rebalance there moves state between machines that start slowly.
    /// 100 ms is below what a person notices and above the spread of consumers started together
    /// (two round trips each, KIP-394), so that these still share one rebalance.
    pub(crate) initial_rebalance_delay: Duration,
    /// How long a member that has never been answered may wait for its first rebalance. It does
    /// not know its id yet and cannot heartbeat.
    pub(crate) new_member_timeout: Duration,
    /// How long offsets are kept once their group is empty (`offsets.retention.minutes`, KIP-211).
    pub(crate) offsets_retention: Duration,
    /// Time between two searches for offsets past their retention
    /// (`offsets.retention.check.interval.ms`).
    pub(crate) retention_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            groups_max: 10_000,
            members_max: 10_000,
            group_id_bytes_max: 1 << 10,
            name_bytes_max: 1 << 10,
            client_bytes_max: 255,
            protocols_max: 64,
            metadata_bytes_max: 1 << 20,
            group_metadata_bytes_max: 32 << 20,
            assignment_bytes_max: 32 << 20,
            offsets_max: 1_000_000,
            offset_metadata_bytes_max: 4096,
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::from_millis(100),
            new_member_timeout: Duration::from_secs(5 * 60),
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            retention_interval: Duration::from_secs(10 * 60),
        }
    }
}
