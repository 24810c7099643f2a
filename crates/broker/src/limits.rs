//! What the control thread takes on, in count and bytes. The bounds of groups are in
//! [`crate::groups::Limits`], those of connections are settings.

/// Requests taken in one go at most: bounds how long an answer waits for its commit.
pub(crate) const BATCH_MAX: usize = 512;

/// Bytes of one request for the control thread; its connection is closed beyond.
pub(crate) const CONTROL_REQUEST_BYTES_MAX: usize = 16 << 20;

/// Bytes of all requests that wait for the control thread; further ones close their connection.
pub(crate) const CONTROL_QUEUED_BYTES_MAX: usize = 64 << 20;

/// Bytes of the changes of topics among them, which wait longer, for one another; the same beyond.
pub(crate) const CONTROL_CHANGES_BYTES_MAX: usize = CONTROL_QUEUED_BYTES_MAX / 2;

/// Topics that one CreateTopics request may make; POLICY_VIOLATION for those beyond. Each costs
/// a directory and a few files a partition, while all other changes of topics wait.
pub(crate) const TOPICS_PER_REQUEST_MAX: usize = 1000;

/// Partitions that one request may make, whether of new topics or of one that grows;
/// POLICY_VIOLATION for those beyond, which another request may ask for. For the same reason.
pub(crate) const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Topics that one Metadata request makes by asking for them; those beyond are unknown as yet,
/// which lets the client ask again.
pub(crate) const TOPICS_PER_METADATA_MAX: usize = 100;
