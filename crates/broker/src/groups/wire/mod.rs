//! The coordinator's requests as Kafka's clients send them, and its responses.
//!
//! Twelve APIs in three files: coming and going ([`membership`]), offsets ([`offsets`]), and what
//! administrators ask ([`admin`]). Each handler reads a decoded request, calls the state machine
//! and encodes what it says; rules live in the state machine, except those about versions and the
//! form of requests.

mod admin;
mod membership;
mod offsets;

use std::time::{Duration, Instant};

use chaski_kafka::{ApiKey, DecodeError, ErrorCode, Message, Reader, Writer};

use super::group::Now;
use super::{Caller, Coordinator, Effects, Topics, Waiter};

pub(super) use membership::encode_answer;

/// What a handler knows besides the request.
struct Call<'a, T> {
    now: Now,
    version: i16,
    caller: &'a Caller<'a>,
    topics: &'a dyn Topics,
    ticket: T,
}

impl<T: Copy> Coordinator<T> {
    /// Whether requests of this API belong here.
    pub(crate) fn handles(api: ApiKey) -> bool {
        matches!(
            api,
            ApiKey::JoinGroup
                | ApiKey::SyncGroup
                | ApiKey::Heartbeat
                | ApiKey::LeaveGroup
                | ApiKey::OffsetCommit
                | ApiKey::OffsetFetch
                | ApiKey::OffsetDelete
                | ApiKey::ListGroups
                | ApiKey::DescribeGroups
                | ApiKey::DeleteGroups
        )
    }

    /// Serves one request. `body` is what follows the request header; `now_ms` is wall-clock time
    /// since the epoch. The reply comes with this call or, for joins and syncs, perhaps with a
    /// later one.
    ///
    /// Fails if the body is not a request of this API and version; the ticket is not answered
    /// then.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn request(
        &mut self,
        now: Instant,
        now_ms: i64,
        api: ApiKey,
        version: i16,
        body: &[u8],
        caller: &Caller<'_>,
        topics: &dyn Topics,
        ticket: T,
        fx: &mut Effects<T>,
    ) -> Result<(), DecodeError> {
        let now = Now { at: now, ms: now_ms };
        let call = Call { now, version, caller, topics, ticket };
        match api {
            ApiKey::JoinGroup => self.join_group(&call, &decode(body, version)?, fx),
            ApiKey::SyncGroup => self.sync_group(&call, &decode(body, version)?, fx),
            ApiKey::Heartbeat => self.heartbeat(&call, &decode(body, version)?, fx),
            ApiKey::LeaveGroup => self.leave_group(&call, &decode(body, version)?, fx),
            ApiKey::OffsetCommit => self.offset_commit(&call, &decode(body, version)?, fx),
            ApiKey::OffsetFetch => self.offset_fetch(&call, &decode(body, version)?, fx),
            ApiKey::OffsetDelete => self.offset_delete(&call, &decode(body, version)?, fx),
            ApiKey::ListGroups => self.list_groups(&call, &decode(body, version)?, fx),
            ApiKey::DescribeGroups => self.describe_groups(&call, &decode(body, version)?, fx),
            ApiKey::DeleteGroups => self.delete_groups(&call, &decode(body, version)?, fx),
            _ => return Err(DecodeError::UnsupportedVersion { api, version }),
        }
        Ok(())
    }

    /// Whether a group may have this id at all. Groups that only hold offsets may have an empty
    /// one, as they always could (KIP-289).
    fn check_group_id(&self, id: &str, may_be_empty: bool) -> Result<(), ErrorCode> {
        let fits = id.len() <= self.limits.group_id_bytes_max && (may_be_empty || !id.is_empty());
        if fits { Ok(()) } else { Err(ErrorCode::INVALID_GROUP_ID) }
    }
}

impl<T: Copy> Call<'_, T> {
    fn reply<'m>(&self, response: &impl Message<'m>, fx: &mut Effects<T>) {
        fx.replies.push((self.ticket, encode(response, self.version)));
    }

    fn waiter(&self) -> Waiter<T> {
        Waiter { ticket: self.ticket, version: self.version }
    }
}

fn decode<'a, M: Message<'a>>(body: &'a [u8], version: i16) -> Result<M, DecodeError> {
    let mut r = Reader::new(body);
    let request = M::decode(&mut r, version)?;
    r.finish()?;
    Ok(request)
}

fn encode<'m>(response: &impl Message<'m>, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    response.encode(&mut w, version);
    w.into_parts().0
}

/// The code that stands for an outcome.
fn code(outcome: Result<(), ErrorCode>) -> ErrorCode {
    outcome.err().unwrap_or(ErrorCode::NONE)
}

/// A time span in a request. Negative ones, which no client means, are none.
fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
