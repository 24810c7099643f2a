//! What gateways ask of the broker that its other clients do not.

use std::sync::mpsc;
use std::time::Duration;

use chaski_log::store::Change;

use super::Registry;
use crate::client::{Client, ClientError, ErrorCode};
use crate::control::ToControl;

/// Longest wait for facts to be on disk.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    pub(super) fn gateway_registry(&self) -> &Registry {
        &self.broker().gateways
    }

    /// Commits facts that are nobody else's. What is answered is on disk.
    pub(super) fn keep(&self, changes: Vec<Change>) -> Result<(), ClientError> {
        let (tell, told) = mpsc::sync_channel(1);
        self.broker().tell_control(ToControl::Keep { changes, tell });
        match told.recv_timeout(PATIENCE) {
            Ok(kept) => kept.map_err(|error| ClientError::Storage((&error).into())),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ClientError::Stopped),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(ClientError::TimedOut(PATIENCE)),
        }
    }

    /// Makes a topic that is not there, if the broker does that for whoever asks for one.
    pub(super) fn make_topic_if_wanted(&self, name: &str) -> Result<(), ClientError> {
        if self.topic(name).is_some() {
            return Ok(());
        }
        if !self.broker().auto_create {
            let nearest = self.topics();
            let nearest = crate::nearest(name, nearest.iter().map(|topic| topic.name()));
            let nearest = nearest.map(str::to_owned);
            return Err(ClientError::UnknownTopic { topic: name.to_owned(), nearest });
        }
        match self.create_topic(name, None, &[]) {
            Err(ClientError::Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, .. }) => Ok(()),
            made => made.map(drop),
        }
    }
}
