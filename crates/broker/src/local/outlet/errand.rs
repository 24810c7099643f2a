//! What a consumer has the control thread do, which takes its time: commits wait for the disk. The
//! answer goes to the consumer from there, and the outlet serves others meanwhile.

use std::sync::{Arc, Weak};

use chaski_local::consumer::wire::Answer;
use chaski_shm::packets::Connection;

use crate::client::Client;

/// The errand of one consumer: it has one at a time.
pub(super) struct Errand {
    connection: Arc<Connection>,
    /// There as long as it is under way.
    token: Weak<()>,
    /// What control knows it by.
    caller: u64,
}

/// The answer to an errand that is under way. If it is dropped, there will be none.
pub(super) struct Reply {
    connection: Arc<Connection>,
    token: Arc<()>,
    /// The number of the request.
    number: u32,
}

impl Errand {
    /// None under way.
    pub(super) fn new(connection: Arc<Connection>) -> Errand {
        Errand { connection, token: Weak::new(), caller: 0 }
    }

    /// Begins one, to answer the request with this number; None: one is under way.
    pub(super) fn begin(&mut self, number: u32) -> Option<Reply> {
        if self.is_under_way() {
            return None;
        }
        let token = Arc::new(());
        self.token = Arc::downgrade(&token);
        Some(Reply { connection: self.connection.clone(), token, number })
    }

    /// Control knows it by this number.
    pub(super) fn known_as(&mut self, caller: u64) {
        self.caller = caller;
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up(&self, client: &Client) {
        if self.is_under_way() {
            client.give_up(self.caller);
        }
    }

    fn is_under_way(&self) -> bool {
        self.token.strong_count() > 0
    }
}

impl Reply {
    /// Answers. Whoever has the answer may begin another.
    pub(super) fn send(self, answer: &Answer) {
        let Reply { connection, token, number } = self;
        drop(token);
        // One that does not take its answers will not take this one either.
        if connection.send(&answer.encode(number), &[]).is_err() {
            connection.hang_up();
        }
    }
}
