//! Committed offsets: read, committed for a group without members, moved, forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chaski_kafka::{
    ApiKey, ErrorCode, Message, Reader, Writer, offset_commit, offset_delete, offset_fetch,
};
use chaski_log::store::OffsetQuery;

use super::groups::of_group;
use super::{Client, ClientError};
use crate::cluster::Topic;

/// Versions of the requests that are made here.
const COMMIT_VERSION: i16 = 8;
const FETCH_VERSION: i16 = 8;

/// Where a group is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// The oldest record kept.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// This offset, or the nearest there is.
    Offset(i64),
    /// The first record with this timestamp or a later one, in milliseconds since the epoch; behind
    /// the newest record if there is none.
    Time(i64),
    /// So many records on from where it is, or back, as far as there are. A partition without a
    /// committed offset stays without.
    By(i64),
}

/// A committed offset that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetChange {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is committed now; None: nothing.
    pub from: Option<i64>,
    /// What is to be committed.
    pub to: i64,
}

/// What a group has committed, by topic and partition.
pub(super) type Committed = BTreeMap<(String, i32), i64>;

impl Client {
    /// What a group has committed of a topic: one entry a partition, in order; None: nothing.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`]; as [`Client::ask`].
    pub fn committed(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<(i32, Option<i64>)>, ClientError> {
        let partitions = 0..self.known(topic)?.partitions() as i32;
        let asked = offset_fetch::RequestTopic {
            name: topic,
            partition_indexes: partitions.clone().collect(),
        };
        let committed = self.fetch_committed(&[group], Some(vec![asked]))?.remove(group);
        let committed = committed.unwrap_or_default();
        let at = |partition| committed.get(&(topic.to_owned(), partition)).copied();
        Ok(partitions.map(|partition| (partition, at(partition))).collect())
    }

    /// Commits offsets (topic, partition, offset of the next record to be read) for a group that
    /// has no members; makes the group if there is none. What is answered is on disk.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for the first that was refused: UNKNOWN_MEMBER_ID if the group has
    /// members, UNKNOWN_TOPIC_OR_PARTITION; the others are committed. As [`Client::ask`].
    pub fn commit(&self, group: &str, offsets: &[(&str, i32, i64)]) -> Result<(), ClientError> {
        let request = commit_request(group, offsets.iter().copied());
        self.call(COMMIT_VERSION, &request, |response| all_committed(group, &response))?
    }

    /// The same for topics that are known by more than their names, without waiting for it: the
    /// control thread calls `tell`. Returns what to give up by.
    ///
    /// # Errors
    /// To `tell` also [`ClientError::UnknownTopic`], and nothing is committed, if one of the topics
    /// has been deleted, though there be another of its name.
    pub(crate) fn commit_later(
        &self,
        group: &str,
        offsets: &[(Arc<Topic>, i32, i64)],
        tell: impl FnOnce(Result<(), ClientError>) + Send + 'static,
    ) -> Result<u64, ClientError> {
        let named = offsets.iter().map(|(topic, partition, to)| (&*topic.name, *partition, *to));
        let mut body = Writer::new();
        commit_request(group, named).encode(&mut body, COMMIT_VERSION);
        let topics = offsets.iter().map(|(topic, ..)| topic.clone()).collect();
        let group = group.to_owned();
        let read = move |outcome: Result<Option<Vec<u8>>, ClientError>| {
            let unanswered = ClientError::Unanswered(ApiKey::OffsetCommit);
            let Some(body) = outcome? else { return Err(unanswered) };
            match offset_commit::Response::decode(&mut Reader::new(&body), COMMIT_VERSION) {
                Ok(response) => all_committed(&group, &response),
                Err(_) => Err(unanswered),
            }
        };
        let (api, body) = (ApiKey::OffsetCommit, body.into_parts().0);
        let tell = Box::new(move |outcome| tell(read(outcome)));
        self.ask_later(api, COMMIT_VERSION, body, topics, tell)
    }

    /// What a group has committed of a partition, if anything, without waiting for it: as
    /// [`Client::commit_later`].
    pub(crate) fn committed_later(
        &self,
        group: &str,
        topic: &Arc<Topic>,
        partition: i32,
        tell: impl FnOnce(Result<Option<i64>, ClientError>) + Send + 'static,
    ) -> Result<u64, ClientError> {
        let name = &*topic.name;
        let asked = offset_fetch::RequestTopic { name, partition_indexes: vec![partition] };
        let mut body = Writer::new();
        fetch_request(&[group], Some(vec![asked])).encode(&mut body, FETCH_VERSION);
        let read = |outcome: Result<Option<Vec<u8>>, ClientError>| {
            let unanswered = ClientError::Unanswered(ApiKey::OffsetFetch);
            let Some(body) = outcome? else { return Err(unanswered) };
            match offset_fetch::Response::decode(&mut Reader::new(&body), FETCH_VERSION) {
                // One group was asked for, and of it one partition.
                Ok(response) => Ok(response
                    .groups
                    .iter()
                    .flat_map(committed_by)
                    .map(|(_, offset)| offset)
                    .next()),
                Err(_) => Err(unanswered),
            }
        };
        let (api, body) = (ApiKey::OffsetFetch, body.into_parts().0);
        let tell = Box::new(move |outcome| tell(read(outcome)));
        self.ask_later(api, FETCH_VERSION, body, vec![topic.clone()], tell)
    }

    /// What resetting a group would change, and nothing else: a dry run. To be given to
    /// [`Client::reset`]. None: all partitions of the topic.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`], [`ClientError::Storage`];
    /// as [`Client::ask`].
    pub fn plan_reset(
        &self,
        group: &str,
        topic: &str,
        partitions: Option<&[i32]>,
        to: ResetTo,
    ) -> Result<Vec<OffsetChange>, ClientError> {
        let committed: BTreeMap<i32, Option<i64>> =
            self.committed(group, topic)?.into_iter().collect();
        let all: Vec<i32> = committed.keys().copied().collect();
        let mut changes = Vec::new();
        for &partition in partitions.unwrap_or(&all) {
            let from = committed.get(&partition).copied().flatten();
            if let Some(to) = self.reset_offset(topic, partition, from, to)? {
                changes.push(OffsetChange { topic: topic.to_owned(), partition, from, to });
            }
        }
        Ok(changes)
    }

    /// Moves a group that has no members to where [`Client::plan_reset`] said.
    ///
    /// # Errors
    /// As [`Client::commit`].
    pub fn reset(&self, group: &str, changes: &[OffsetChange]) -> Result<(), ClientError> {
        let offsets: Vec<(&str, i32, i64)> =
            changes.iter().map(|c| (c.topic.as_str(), c.partition, c.to)).collect();
        self.commit(group, &offsets)
    }

    /// Forgets what a group has committed of a topic that no member reads.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownGroup`]; [`ClientError::Refused`]:
    /// GROUP_SUBSCRIBED_TO_TOPIC, NON_EMPTY_GROUP. As [`Client::ask`].
    pub fn forget_offsets(&self, group: &str, topic: &str) -> Result<(), ClientError> {
        let partitions = 0..self.known(topic)?.partitions() as i32;
        let partitions =
            partitions.map(|partition_index| offset_delete::RequestPartition { partition_index });
        let asked = offset_delete::RequestTopic { name: topic, partitions: partitions.collect() };
        let request = offset_delete::Request { group_id: group, topics: vec![asked] };
        let code = self.call(0, &request, |response| {
            let each = response.topics.iter().flat_map(|topic| &topic.partitions);
            let mut codes = [response.error_code].into_iter().chain(each.map(|p| p.error_code));
            codes.find(|code| !code.is_none()).unwrap_or(ErrorCode::NONE)
        })?;
        of_group(group, code)
    }

    /// Where a reset takes a partition; None: nowhere.
    fn reset_offset(
        &self,
        topic: &str,
        partition: i32,
        from: Option<i64>,
        to: ResetTo,
    ) -> Result<Option<i64>, ClientError> {
        let offsets = self.offsets(topic, partition)?;
        let (start, end) = (offsets.log_start, offsets.high_watermark);
        let to = match to {
            ResetTo::Earliest => start,
            ResetTo::Latest => end,
            ResetTo::Offset(offset) => offset,
            ResetTo::Time(ms) => {
                let found = self.find_offset(topic, partition, OffsetQuery::AtOrAfter(ms))?;
                found.map_or(end, |found| found.offset)
            }
            ResetTo::By(records) => match from {
                Some(from) => from.saturating_add(records),
                None => return Ok(None),
            },
        };
        Ok(Some(to.min(end).max(start)))
    }

    pub(super) fn fetch_committed(
        &self,
        groups: &[&str],
        topics: Option<Vec<offset_fetch::RequestTopic<'_>>>,
    ) -> Result<HashMap<String, Committed>, ClientError> {
        let request = fetch_request(groups, topics);
        self.call(FETCH_VERSION, &request, |response| {
            let groups = response.groups.iter();
            groups.map(|group| (group.group_id.to_owned(), committed_by(group))).collect()
        })
    }
}

fn commit_request<'a>(
    group_id: &'a str,
    offsets: impl Iterator<Item = (&'a str, i32, i64)>,
) -> offset_commit::Request<'a> {
    let mut by_topic: BTreeMap<&str, Vec<offset_commit::RequestPartition<'_>>> = BTreeMap::new();
    for (topic, partition_index, committed_offset) in offsets {
        let partition = offset_commit::RequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        by_topic.entry(topic).or_default().push(partition);
    }
    let topics = by_topic.into_iter();
    offset_commit::Request {
        group_id,
        topics: topics
            .map(|(name, partitions)| offset_commit::RequestTopic { name, partitions })
            .collect(),
        ..Default::default()
    }
}

/// The first that was refused, if one was.
fn all_committed(group: &str, response: &offset_commit::Response<'_>) -> Result<(), ClientError> {
    for topic in &response.topics {
        for partition in &topic.partitions {
            if let Err(code) = partition.error_code.ok() {
                let place = format!("{}/{}", topic.name, partition.partition_index);
                return Err(not_committed(group, &place, code));
            }
        }
    }
    Ok(())
}

fn fetch_request<'a>(
    groups: &[&'a str],
    topics: Option<Vec<offset_fetch::RequestTopic<'a>>>,
) -> offset_fetch::Request<'a> {
    let asked = groups.iter().map(|group_id| offset_fetch::RequestGroup {
        group_id,
        topics: topics.clone(),
        ..Default::default()
    });
    offset_fetch::Request { groups: asked.collect(), ..Default::default() }
}

fn committed_by(group: &offset_fetch::Group<'_>) -> Committed {
    let mut committed = Committed::new();
    for topic in &group.topics {
        for partition in topic.partitions.iter().filter(|p| p.committed_offset >= 0) {
            let place = (topic.name.to_owned(), partition.partition_index);
            committed.insert(place, partition.committed_offset);
        }
    }
    committed
}

fn not_committed(group: &str, place: &str, code: ErrorCode) -> ClientError {
    let why = match code {
        ErrorCode::UNKNOWN_MEMBER_ID => "the group has members, who alone may commit; stop them",
        other => other.message(),
    };
    ClientError::Refused { code, message: format!("group `{group}`, {place}: {why}") }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::Builder;

    #[test]
    fn what_was_read_of_a_deleted_topic_is_no_offset_of_one_made_anew() {
        let server = Builder::new().in_memory().start().expect("started");
        let client = server.client();
        let made = || {
            client.create_topic("t", Some(1), &[]).expect("made");
            client.partition("t", 0).expect("there").0
        };
        // What comes of it is told once, by another thread.
        fn told<T>(ask: impl FnOnce(mpsc::Sender<T>) -> Result<u64, ClientError>) -> T {
            let (tell, told) = mpsc::channel();
            ask(tell).expect("asked");
            told.recv_timeout(Duration::from_secs(60)).expect("answered")
        }
        let commit = |topic: &Arc<Topic>, offset| {
            let offsets = [(topic.clone(), 0, offset)];
            told(|to| client.commit_later("g", &offsets, move |outcome| drop(to.send(outcome))))
        };
        let committed = |topic: &Arc<Topic>| {
            told(|to| client.committed_later("g", topic, 0, move |offset| drop(to.send(offset))))
        };
        let old = made();
        assert_eq!((commit(&old, 5), committed(&old)), (Ok(()), Ok(Some(5))));
        client.delete_topic("t").expect("deleted");
        let new = made();
        let gone = ClientError::UnknownTopic { topic: "t".to_owned(), nearest: None };
        assert_eq!((commit(&old, 7), committed(&old)), (Err(gone.clone()), Err(gone)));
        assert_eq!(committed(&new), Ok(None));
        assert_eq!((commit(&new, 3), committed(&new)), (Ok(()), Ok(Some(3))));
        server.stop().expect("stopped");
    }
}
