//! What can be chosen for a consumer.

use std::path::PathBuf;
use std::time::Duration;

use chaski_shm::Admit;

use super::link::Link;
use super::track::Reading;
use super::{ConsumeError, LocalConsumer};

/// What a read asks for: what the second-level cache of a core holds, with room for the program.
const BUFFER_BYTES: usize = 256 << 10;

/// The least and the most that it may be.
const BUFFER_BYTES_MIN: usize = 4 << 10;
const BUFFER_BYTES_MAX: usize = 64 << 20;

/// How long a consumer looks for a broker.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it looks for records before it sleeps.
const SPIN: Duration = Duration::from_micros(20);

/// Choices for a [`LocalConsumer`]; see [`LocalConsumer::builder`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use chaski_local::LocalConsumer;
///
/// let consumer = LocalConsumer::builder()
///     .directory("/run/orders")
///     .spin(Duration::ZERO)
///     .connect("chaski")?;
/// # let _ = consumer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LocalConsumerBuilder {
    options: Options,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) name: String,
    directory: Option<PathBuf>,
    admit: Admit,
    pub(super) patience: Duration,
    pub(super) spin: Duration,
    pub(super) reading: Reading,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: String::new(),
            directory: None,
            admit: Admit::same_user(),
            patience: PATIENCE,
            spin: SPIN,
            reading: Reading { bytes: BUFFER_BYTES, check: true },
        }
    }
}

impl Options {
    pub(super) fn link(&self, patience: Duration) -> Result<Link, ConsumeError> {
        Link::connect(&self.name, self.directory.as_deref(), &self.admit, patience)
    }
}

impl LocalConsumerBuilder {
    /// Where the broker's sockets are (its setting `shm.directory`); by default
    /// [`chaski_shm::directory`].
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> LocalConsumerBuilder {
        self.options.directory = Some(directory.into());
        self
    }

    /// Whose broker is believed: by default one of the same user, or of root.
    #[must_use]
    pub fn admit(mut self, admit: Admit) -> LocalConsumerBuilder {
        self.options.admit = admit;
        self
    }

    /// How long to look for a broker, now and after one was lost, within the time that the call
    /// has: 5 seconds by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> LocalConsumerBuilder {
        self.options.patience = patience;
        self
    }

    /// How long to look for records before sleeping, where that has paid of late: 20 us by
    /// default. Zero sleeps at once.
    #[must_use]
    pub fn spin(mut self, spin: Duration) -> LocalConsumerBuilder {
        self.options.spin = spin;
        self
    }

    /// How many bytes a read asks for, unless a batch is larger: 256 KiB by default, 4 KiB to 64
    /// MiB. What does not fit in the processor's second-level cache is read more slowly.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> LocalConsumerBuilder {
        self.options.reading.bytes = bytes.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        self
    }

    /// Whether the checksum of each batch is looked at, which it is by default: the broker has
    /// done so when it took the batch, the disk and its cables have had it since.
    #[must_use]
    pub fn check_crcs(mut self, check: bool) -> LocalConsumerBuilder {
        self.options.reading.check = check;
        self
    }

    /// Connects to the broker of this name.
    ///
    /// # Errors
    /// [`ConsumeError::Connect`] if there is none; [`ConsumeError::Refused`] if it serves as many
    /// consumers as it may, keeps its records in memory, or speaks another version;
    /// [`ConsumeError::Disconnected`] if it stops meanwhile.
    pub fn connect(mut self, name: &str) -> Result<LocalConsumer, ConsumeError> {
        name.clone_into(&mut self.options.name);
        LocalConsumer::open(self.options)
    }
}
