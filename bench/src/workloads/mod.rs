//! What is measured, a folder per distance.

pub mod apart;
mod contest;
mod flow;
mod laps;
pub mod machines;
pub mod padded;
pub mod processes;
pub mod side;
pub mod threads;
pub mod time;

use std::path::PathBuf;
use std::time::Duration;

use crate::machine::Cores;
use crate::rivals::kafka::Broker;
use crate::wire::batch::Payload;

/// What the workloads of the distance "time" need to know of this run.
#[derive(Debug)]
pub struct Plan {
    /// Smaller sizes and shorter times, for a look and not for a claim.
    pub quick: bool,
    /// Data directories of the servers under test are made and removed below this.
    pub dir: PathBuf,
    /// None: nothing is pinned.
    pub cores: Option<Cores>,
    /// The product first, then rivals named on the command line.
    pub brokers: Vec<Broker>,
    /// The bare server.
    pub limit: Broker,
    /// What the librdkafka producers send when the case compresses.
    pub payload: Payload,
}

impl Plan {
    /// `full`, or `quick` in a quick run.
    pub fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    /// As [`Plan::size`], in milliseconds.
    pub fn time(&self, full_ms: u64, quick_ms: u64) -> Duration {
        Duration::from_millis(self.size(full_ms, quick_ms))
    }

    pub fn server_core(&self) -> Option<usize> {
        self.cores.map(|cores| cores.server)
    }

    pub fn client_core(&self) -> Option<usize> {
        self.cores.map(|cores| cores.client)
    }
}
