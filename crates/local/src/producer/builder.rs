//! Choices for a producer, and how it finds its broker and topic.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::time::Duration;

use chaski_batch::Codec;
use chaski_log::store::Durability;
use chaski_shm::{Client, Wait};

use super::gather::Gathering;
use super::ledger::Ledger;
use super::line::Line;
use super::wire::{Reason, Request, Response, TOPIC_NAME_MAX};
use super::{LocalProducer, OpenError, PARTITIONS_MAX};
use crate::{Chooser, Partitioner};

/// Batches under way at once.
const IN_FLIGHT_MAX: usize = 256;

/// When a batch is sent, unless somebody says otherwise: with its header it fills a segment for a
/// large payload, whose sizes are powers of two. A quarter of it carried a fifth less.
const BATCH_BYTES: usize = 240 << 10;

/// The least and the most that it may be.
const BATCH_BYTES_BOUNDS: (usize, usize) = (1 << 10, 16 << 20);

/// Choices for a [`LocalProducer`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LocalProducerBuilder {
    durability: Durability,
    codec: Codec,
    partitioner: Partitioner,
    batch_bytes: usize,
    timeout: Duration,
    resend: bool,
    directory: Option<PathBuf>,
    wait: Wait,
}

impl Default for LocalProducerBuilder {
    fn default() -> Self {
        LocalProducerBuilder {
            durability: Durability::Disk,
            codec: Codec::None,
            partitioner: Partitioner::Kafka,
            batch_bytes: BATCH_BYTES,
            timeout: Duration::from_secs(30),
            resend: false,
            directory: None,
            wait: Wait::default(),
        }
    }
}

impl LocalProducerBuilder {
    /// When a batch is acknowledged: once the broker's page cache has it (it survives the end of
    /// processes), or the disk (it survives that of the machine). The default is the disk.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How batches are compressed. The default is not at all.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How records find their partition. The default is as Kafka's Java client does.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.partitioner = partitioner;
        self
    }

    /// Bytes at which a batch is sent, before compression: 240 KiB by default, 1 KiB to 16 MiB, and
    /// no more than the topic takes. A record that is larger is a batch of its own.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.clamp(BATCH_BYTES_BOUNDS.0, BATCH_BYTES_BOUNDS.1);
        self
    }

    /// Longest a [`LocalProducer::flush`] waits for acknowledgements, a batch for room to be sent,
    /// and either for a broker that was stopped and comes back: 30 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(Duration::from_secs(24 * 3600));
        self
    }

    /// Whether batches that a broker took and did not answer before it died are sent to the next
    /// one: at least once, instead of being told. They are copied once more for that. Off by
    /// default.
    pub fn resend(mut self, resend: bool) -> Self {
        self.resend = resend;
        self
    }

    /// Where the broker's socket is, in place of [`chaski_shm::directory`]: its `shm.directory`.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// How waiting for the broker is done: by default 20 us of spinning where that has paid, then
    /// sleep.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Connects to the broker that is served under this name (`shm.listen`), and looks at the
    /// topic.
    ///
    /// # Errors
    /// See [`OpenError`]: among others nobody of that name came within 2 s.
    pub fn connect(self, name: &str, topic: &str) -> Result<LocalProducer, OpenError> {
        let mut client = Client::builder()
            .outstanding_max(IN_FLIGHT_MAX)
            .reconnect_within(self.timeout)
            .wait(self.wait);
        if let Some(directory) = self.directory {
            client = client.directory(directory);
        }
        let mut client = client.connect(name)?;
        let found = open(&mut client, name, topic, self.timeout)?;
        let most = usize::try_from(found.batch_bytes_max).unwrap_or(usize::MAX);
        let turn = RandomState::new().hash_one(found.id) as u32;
        Ok(LocalProducer {
            line: Line::new(client, self.timeout),
            name: topic.to_owned(),
            topic: found,
            durability: self.durability,
            codec: self.codec,
            batch_bytes: self.batch_bytes.min(most),
            timeout: self.timeout,
            resend: self.resend,
            chooser: Chooser::new(self.partitioner, turn),
            gathering: Gathering::new(self.codec),
            ledger: Ledger::default(),
        })
    }
}

/// Asks the broker about a topic.
fn open(
    client: &mut Client,
    name: &str,
    topic: &str,
    timeout: Duration,
) -> Result<super::wire::Topic, OpenError> {
    if topic.is_empty() || topic.len() > TOPIC_NAME_MAX {
        return Err(OpenError::UnknownTopic(format!("`{topic}` cannot be the name of a topic")));
    }
    let strange = |why: String| OpenError::NoBroker { name: name.to_owned(), why };
    let mut request = Vec::new();
    Request::encode_open(topic, &mut request);
    client.send(&request).map_err(|error| strange(error.to_string()))?;
    let response = client.recv_timeout(timeout).map_err(|error| strange(error.to_string()))?;
    match Response::decode(&response) {
        Ok(Response::Topic(found)) if (1..=PARTITIONS_MAX).contains(&found.partitions) => Ok(found),
        Ok(Response::Refused(refused)) if refused.reason == Reason::UnknownTopic => {
            Err(OpenError::UnknownTopic(refused.why.to_owned()))
        }
        Ok(Response::Refused(refused)) => Err(strange(refused.why.to_owned())),
        Ok(_) => Err(strange("an answer to something else".to_owned())),
        Err(error) => Err(strange(error.to_string())),
    }
}
