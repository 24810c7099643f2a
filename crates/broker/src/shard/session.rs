//! Incremental fetch sessions (KIP-227): a client that reads many partitions names them once;
//! afterwards it sends only what changed, and is sent only what is new.
//!
//! A session belongs to the connection that began it and ends with it: there is no table to
//! overflow and nothing to evict. A client whose connection broke asks for a new one anyway.

use std::collections::HashMap;

use chaski_kafka::{ErrorCode, fetch};

/// How a fetch request relates to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No session: the request names all partitions, the response too.
    Full,
    /// The request names all partitions and begins a session.
    Begin,
    /// The request and the response name only what changed.
    Next,
}

/// One partition that a session follows.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) topic: String,
    pub(crate) index: i32,
    pub(crate) offset: i64,
    pub(crate) max_bytes: i32,
    /// What the client was last told, so that a change is seen.
    told: Option<(i64, i64)>,
}

/// A session: the partitions a client follows, in the order it named them.
#[derive(Debug)]
pub(crate) struct FetchSession {
    id: i32,
    epoch: i32,
    followed: Vec<Followed>,
    places: HashMap<(String, i32), usize>,
    /// The place to serve first next time.
    first: usize,
}

/// The first epoch of a session and the one that ends it.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// What `request` wants of `session`, which it may end. Errors are the protocol's.
pub(crate) fn classify(
    session: &mut Option<FetchSession>,
    request: &fetch::Request<'_>,
) -> Result<Kind, ErrorCode> {
    match (request.session_id, request.session_epoch) {
        (id, FINAL_EPOCH) => {
            if session.as_ref().is_some_and(|s| s.id == id) {
                *session = None;
            }
            Ok(Kind::Full)
        }
        (_, INITIAL_EPOCH) => Ok(Kind::Begin),
        (id, epoch) => {
            let session = session.as_ref().filter(|s| s.id == id);
            let session = session.ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
            if session.epoch == epoch {
                Ok(Kind::Next)
            } else {
                Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
            }
        }
    }
}

impl FetchSession {
    pub(crate) fn new(id: i32) -> FetchSession {
        FetchSession {
            id,
            epoch: INITIAL_EPOCH,
            followed: Vec::new(),
            places: HashMap::new(),
            first: 0,
        }
    }

    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    pub(crate) fn followed(&self) -> &[Followed] {
        &self.followed
    }

    /// The place to serve first.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// Begins behind `place` next time, the last one that had records, so that busy partitions do
    /// not starve those behind them.
    pub(crate) fn served(&mut self, place: Option<usize>) {
        if let Some(place) = place {
            self.first = (place + 1) % self.followed.len().max(1);
        }
    }

    /// Takes what a request says: new partitions, new positions, forgotten partitions. The next
    /// request must carry the next epoch.
    pub(crate) fn take(&mut self, request: &fetch::Request<'_>) {
        for topic in &request.forgotten_topics_data {
            for index in &topic.partitions {
                self.forget(topic.topic, *index);
            }
        }
        for topic in &request.topics {
            for partition in &topic.partitions {
                self.follow(topic.topic, partition);
            }
        }
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
    }

    fn follow(&mut self, topic: &str, partition: &fetch::RequestPartition) {
        let key = (topic.to_owned(), partition.partition);
        let place = *self.places.entry(key).or_insert_with(|| {
            self.followed.push(Followed {
                topic: topic.to_owned(),
                index: partition.partition,
                offset: 0,
                max_bytes: 0,
                told: None,
            });
            self.followed.len() - 1
        });
        let followed = &mut self.followed[place];
        followed.offset = partition.fetch_offset;
        followed.max_bytes = partition.partition_max_bytes;
        followed.told = None;
    }

    fn forget(&mut self, topic: &str, index: i32) {
        let Some(place) = self.places.remove(&(topic.to_owned(), index)) else { return };
        self.followed.swap_remove(place);
        if let Some(moved) = self.followed.get(place) {
            self.places.insert((moved.topic.clone(), moved.index), place);
        }
    }

    /// Whether the client must be told of partition `place`: it has records or an error, or its
    /// offsets are not what the client was told last. Remembers what is told.
    pub(crate) fn is_news(
        &mut self,
        place: usize,
        has_records_or_error: bool,
        offsets: (i64, i64),
    ) -> bool {
        let Some(followed) = self.followed.get_mut(place) else { return true };
        let news = has_records_or_error || followed.told != Some(offsets);
        followed.told = Some(offsets);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> fetch::Request<'static> {
        fetch::Request {
            session_id: id,
            session_epoch: epoch,
            topics: vec![fetch::RequestTopic {
                topic: "t",
                partitions: partitions
                    .iter()
                    .map(|(partition, fetch_offset)| fetch::RequestPartition {
                        partition: *partition,
                        fetch_offset: *fetch_offset,
                        ..Default::default()
                    })
                    .collect(),
            }],
            ..Default::default()
        }
    }

    #[test]
    fn epochs_must_follow_each_other() {
        let mut slot = None;
        assert_eq!(classify(&mut slot, &request(0, -1, &[])), Ok(Kind::Full));
        assert_eq!(classify(&mut slot, &request(0, 0, &[])), Ok(Kind::Begin));
        assert_eq!(
            classify(&mut slot, &request(5, 1, &[])),
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
        );
        let mut session = FetchSession::new(5);
        session.take(&request(0, 0, &[(0, 0)]));
        slot = Some(session);
        assert_eq!(classify(&mut slot, &request(5, 1, &[])), Ok(Kind::Next));
        assert_eq!(
            classify(&mut slot, &request(5, 2, &[])),
            Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
        );
        assert_eq!(classify(&mut slot, &request(5, -1, &[])), Ok(Kind::Full));
        assert!(slot.is_none());
    }

    #[test]
    fn forgotten_partitions_are_gone_and_the_others_keep_their_place() {
        let mut session = FetchSession::new(1);
        session.take(&request(0, 0, &[(0, 10), (1, 11), (2, 12)]));
        let mut forget = request(1, 1, &[]);
        forget.forgotten_topics_data =
            vec![fetch::ForgottenTopic { topic: "t", partitions: vec![0] }];
        session.take(&forget);
        session.take(&request(1, 2, &[(2, 20)]));
        let mut kept: Vec<_> = session.followed().iter().map(|f| (f.index, f.offset)).collect();
        kept.sort_unstable();
        assert_eq!(kept, [(1, 11), (2, 20)]);
    }

    #[test]
    fn an_unchanged_partition_is_no_news() {
        let mut session = FetchSession::new(1);
        session.take(&request(0, 0, &[(0, 10)]));
        assert!(session.is_news(0, false, (0, 10)));
        assert!(!session.is_news(0, false, (0, 10)));
        assert!(session.is_news(0, false, (0, 11)));
        assert!(session.is_news(0, true, (0, 11)));
    }
}
