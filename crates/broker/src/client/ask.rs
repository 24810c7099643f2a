//! Requests to the control thread from inside the process, in the form Kafka's clients send them.
//!
//! A caller leaves a closure under a number, the number travels with the request, and the control
//! thread calls the closure. When that thread ends, however it does, all who wait are told, and
//! nobody is let in any more: so nobody waits for a thread that is gone.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use chaski_kafka::{ApiKey, Message, Reader, Request, Writer};

use super::{Client, ClientError};
use crate::cluster::Topic;
use crate::control::{self, Asker, ToControl, Work};

/// Longest a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Callers that may wait at the same time.
const CALLERS_MAX: usize = 10_000;

/// What groups and logs call a client inside the process.
const CLIENT_ID: &str = "chaski";

/// Where it is.
const CLIENT_HOST: &str = "local";

/// What an answer is given to; None: there is no answer to this request.
pub(crate) type Tell = Box<dyn FnOnce(Result<Option<Vec<u8>>, ClientError>) + Send>;

/// Callers that wait for an answer.
#[derive(Default)]
pub(crate) struct Callers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_number: HashMap<u64, Tell>,
    next: u64,
    /// Nobody will answer any more.
    closed: bool,
}

impl Callers {
    /// Hands a caller the body of the answer; None: there is none. No harm if it has given up.
    pub(crate) fn answer(&self, number: u64, outcome: Result<Option<Vec<u8>>, ClientError>) {
        let tell = self.lock().by_number.remove(&number);
        if let Some(tell) = tell {
            tell(outcome);
        }
    }

    /// Tells all who wait that no answer will come.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut table = self.lock();
            table.closed = true;
            std::mem::take(&mut table.by_number)
        };
        waiting.into_values().for_each(|tell| tell(Err(ClientError::Stopped)));
    }

    fn enter(&self, tell: Tell) -> Result<u64, ClientError> {
        let mut table = self.lock();
        if table.closed {
            return Err(ClientError::Stopped);
        }
        if table.by_number.len() >= CALLERS_MAX {
            return Err(ClientError::Busy);
        }
        let number = table.next;
        table.next += 1;
        table.by_number.insert(number, tell);
        Ok(number)
    }

    fn leave(&self, number: u64) {
        self.lock().by_number.remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("waiting", &self.lock().by_number.len()).finish()
    }
}

impl Client {
    /// Asks what Kafka's clients may ask of topics, groups and settings; takes and returns bodies
    /// without their headers. What is answered is committed.
    ///
    /// Produce, Fetch and what else is answered from memory are not served here, for a client has
    /// better ways to them. A JoinGroup or SyncGroup waits for the other members.
    ///
    /// # Errors
    /// [`ClientError::Unserved`], [`ClientError::Unanswered`] if the body is no such request,
    /// [`ClientError::Storage`] if what is answered cannot be committed at present,
    /// [`ClientError::Busy`], [`ClientError::Stopped`]; [`ClientError::TimedOut`] after 30 seconds.
    ///
    /// ```
    /// use chaski_broker::Builder;
    /// use chaski_broker::client::ApiKey;
    ///
    /// let server = Builder::new().in_memory().start()?;
    /// // ListGroups version 0: an empty request; no error, and no groups.
    /// let answer = server.client().ask(ApiKey::ListGroups, 0, Vec::new())?;
    /// assert_eq!(answer, [0, 0, 0, 0, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask(&self, api: ApiKey, version: i16, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        if !control::serves(api) || !api.serves(version) {
            return Err(ClientError::Unserved { api, version });
        }
        let (tell, told) = mpsc::sync_channel(1);
        let tell = move |outcome| drop(tell.send(outcome));
        let number = self.ask_later(api, version, body, Vec::new(), Box::new(tell))?;
        match told.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome?.ok_or(ClientError::Unanswered(api)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ClientError::Stopped),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.give_up(number);
                Err(ClientError::TimedOut(PATIENCE))
            }
        }
    }

    /// Asks and does not wait: `tell` is called with the answer by the control thread, which it
    /// must not hold up. What is asked is done only if `topics` are all there when its turn comes;
    /// [`ClientError::UnknownTopic`] otherwise, though there be others of their names. Returns the
    /// number by which to [give up](Client::give_up).
    pub(crate) fn ask_later(
        &self,
        api: ApiKey,
        version: i16,
        body: Vec<u8>,
        topics: Vec<Arc<Topic>>,
        tell: Tell,
    ) -> Result<u64, ClientError> {
        let broker = &self.broker;
        if !broker.control_has_room(body.len()) {
            return Err(ClientError::Busy);
        }
        let number = broker.callers.enter(tell)?;
        let work = Work {
            asker: Asker::Caller(number),
            api,
            version,
            client_id: CLIENT_ID.to_owned(),
            client_host: CLIENT_HOST.to_owned(),
            body,
        };
        broker.tell_control(match topics.is_empty() {
            true => ToControl::Request(work),
            false => ToControl::RequestAbout { work, topics },
        });
        Ok(number)
    }

    /// How many wait for the control thread.
    #[cfg(test)]
    pub(crate) fn callers_waiting(&self) -> usize {
        self.broker.callers.lock().by_number.len()
    }

    /// Nobody wants the answer any more that has this number.
    pub(crate) fn give_up(&self, number: u64) {
        self.broker.callers.leave(number);
        self.broker.tell_control(ToControl::GaveUp(number));
    }

    /// Asks, and hands the decoded answer to `read`.
    pub(super) fn call<'a, R: Request<'a>, T>(
        &self,
        version: i16,
        request: &R,
        read: impl for<'r> FnOnce(R::Response<'r>) -> T,
    ) -> Result<T, ClientError> {
        let mut body = Writer::new();
        request.encode(&mut body, version);
        let answer = self.ask(R::API, version, body.into_parts().0)?;
        let response = R::Response::decode(&mut Reader::new(&answer), version)
            .map_err(|_| ClientError::Unanswered(R::API))?;
        Ok(read(response))
    }
}
