//! [`Builder`]: a broker for embedding, put together in a line.

use std::path::Path;
use std::sync::Arc;

use chaski_log::disk::Disk;

use crate::gateway::GatewaySpec;
use crate::server::{Plan, Server, StartError};
use crate::settings::{BROKER, Given, SettingError};

/// Puts a broker together, to run inside this process.
///
/// On its own it keeps its records where `data.dir` says, and listens nowhere: the process reaches
/// it by [`Server::client`](crate::Server::client). Settings have the names and defaults of
/// [`settings::BROKER`](crate::settings::BROKER).
///
/// ```
/// use chaski_broker::Builder;
///
/// // For a test of a Kafka client: in memory, on a port that is free.
/// let server = Builder::new().in_memory().kafka("127.0.0.1:0").set("shards", "1").start()?;
/// println!("bootstrap.servers={}", server.kafka_addr().expect("it listens"));
/// server.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    plan: Plan,
    /// The first setting that was refused; told by [`Builder::start`].
    refused: Option<SettingError>,
}

impl Builder {
    /// All defaults, no listeners.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// As [`Server::start`](crate::Server::start) would: with both listeners, where the settings
    /// say.
    pub fn from_settings(settings: Given) -> Builder {
        let plan = Plan { settings, kafka: true, http: true, ..Plan::default() };
        Builder { plan, refused: None }
    }

    /// Keeps everything in memory: nothing outlives the broker, and `fsync` promises no more than
    /// `page-cache`.
    #[must_use]
    pub fn in_memory(mut self) -> Builder {
        self.plan.memory = true;
        self
    }

    /// Keeps everything in this directory, which is made if it is not there. Its path is UTF-8 and
    /// has no blank at either end; another is told by [`Builder::start`].
    #[must_use]
    pub fn data_dir(mut self, dir: impl AsRef<Path>) -> Builder {
        self.plan.memory = false;
        match dir.as_ref().to_str() {
            Some(path) if path.trim() == path => self.set("data.dir", path),
            _ => {
                self.refused.get_or_insert(SettingError::Value {
                    name: "data.dir".to_owned(),
                    value: dir.as_ref().display().to_string(),
                    expected: "UTF-8 without a blank at either end".to_owned(),
                });
                self
            }
        }
    }

    /// Keeps the log on a disk that does as a test wants.
    #[doc(hidden)]
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Builder {
        self.plan.disk = Some(disk);
        self
    }

    /// Listens for Kafka clients at `address`; port 0 is one that is free.
    #[must_use]
    pub fn kafka(self, address: &str) -> Builder {
        self.set("kafka.listen", address)
    }

    /// Does not listen for Kafka clients.
    #[must_use]
    pub fn without_kafka(mut self) -> Builder {
        self.plan.kafka = false;
        self
    }

    /// Serves the console, its API, metrics and health over HTTP at `address`; port 0 is one that
    /// is free.
    #[must_use]
    pub fn http(self, address: &str) -> Builder {
        self.set("http.listen", address)
    }

    /// Does not serve HTTP.
    #[must_use]
    pub fn without_http(mut self) -> Builder {
        self.plan.http = false;
        self
    }

    /// Gives one of the settings in [`settings::BROKER`](crate::settings::BROKER) a value; an
    /// address to listen on is listened on. What is wrong with it is told by [`Builder::start`].
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Builder {
        match self.plan.settings.set(BROKER, name, value) {
            Ok(()) => {
                self.plan.kafka |= name == "kafka.listen";
                self.plan.http |= name == "http.listen";
            }
            Err(error) => {
                self.refused.get_or_insert(error);
            }
        }
        self
    }

    /// Adds a gateway between ZeroMQ and a topic.
    #[must_use]
    pub fn gateway(mut self, spec: GatewaySpec) -> Builder {
        self.plan.gateways.push(spec);
        self
    }

    /// Starts it: opens and recovers the log, then takes requests.
    ///
    /// # Errors
    /// A setting that was refused; else as [`Server::start`](crate::Server::start).
    pub fn start(self) -> Result<Server, StartError> {
        match self.refused {
            Some(error) => Err(error.into()),
            None => Server::launch(self.plan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_it_was_told_and_nowhere_else() {
        let server = Builder::new().in_memory().start().expect("started");
        assert_eq!((server.kafka_addr(), server.http_addr()), (None, None));
        server.stop().expect("stopped");
        let builder = Builder::new().in_memory().kafka("127.0.0.1:0").set("shards", "1");
        let server = builder.clone().start().expect("started");
        assert!(server.kafka_addr().is_some_and(|address| address.port() > 0));
        assert_eq!((server.http_addr(), server.shards()), (None, 1));
        drop(server);
        let server = builder.http("127.0.0.1:0").without_kafka().start().expect("started");
        assert!(server.http_addr().is_some());
        assert_eq!((server.kafka_addr(), server.shards()), (None, 0));
    }

    #[test]
    fn a_directory_that_settings_cannot_name_is_no_other() {
        use std::os::unix::ffi::OsStrExt as _;
        for path in [&b"data\xff"[..], b"data "] {
            let dir = std::ffi::OsStr::from_bytes(path);
            let error = Builder::new().data_dir(dir).start().err().expect("refused").to_string();
            assert!(error.contains("data.dir") && error.contains("UTF-8"), "{error}");
        }
    }

    #[test]
    fn the_first_setting_refused_is_what_start_tells() {
        let builder = Builder::new().in_memory().set("shard", "1").set("shards", "many");
        let error = builder.start().err().expect("refused").to_string();
        assert_eq!(error, "unknown setting `shard`; did you mean `shards`?");
    }
}
