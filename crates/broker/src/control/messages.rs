//! What the control thread is told, and by whom.

use std::sync::{Arc, mpsc};

use chaski_kafka::ApiKey;
use chaski_log::store::{Change, StoreError};
use chaski_reactor::ConnId;

use super::files::Settled;
use crate::cluster::Topic;
use crate::shard::Ticket;

/// What others tell the control thread.
#[derive(Debug)]
pub(crate) enum ToControl {
    Request(Work),
    /// A request of a caller in this process that names these topics, and means no others that may
    /// have their names by now.
    RequestAbout {
        work: Work,
        topics: Vec<Arc<Topic>>,
    },
    /// A connection is gone: nobody waits for its answers.
    Gone {
        shard: usize,
        conn: ConnId,
    },
    /// A caller in this process has given up waiting.
    GaveUp(u64),
    /// Facts of another part of the process, to be kept with ours.
    Keep {
        changes: Vec<Change>,
        tell: mpsc::SyncSender<Result<(), StoreError>>,
    },
    /// The files thread is done with its job.
    Settled(Settled),
    /// There is no files thread any more.
    FilesEnded,
    Stop,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    /// A connection of a shard.
    Connection(Ticket),
    /// A caller in this process, by the number it waits under.
    Caller(u64),
}

/// A request for the control thread.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) asker: Asker,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) body: Vec<u8>,
}

impl Work {
    /// Bytes it holds while it waits.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Work>() + self.client_id.len() + self.client_host.len() + self.body.len()
    }
}

impl ToControl {
    /// Bytes it holds while it waits, as far as they are counted: those of requests.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            ToControl::Request(work) | ToControl::RequestAbout { work, .. } => work.bytes(),
            _ => 0,
        }
    }
}
