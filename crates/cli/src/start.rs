//! From a position that a person named to one offset a partition.

use chaski_kafka::ErrorCode;

use crate::client::{Client, ClientError, Offsets, Refusal};
use crate::position::Position;

/// Where to start in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Why it is not the offset that was asked for.
    pub(crate) note: Option<String>,
}

/// The offset of `position` in each of the partitions. `earliest` and `latest` bound it.
pub(crate) fn starts(
    client: &mut Client,
    topic: &str,
    partitions: &[i32],
    position: Position,
    earliest: &Offsets,
    latest: &Offsets,
) -> Result<Vec<Start>, ClientError> {
    let key = |partition: i32| (topic.to_owned(), partition);
    let timed = match position {
        Position::Time(ms) => client.offsets(partitions.iter().copied().map(key), ms)?,
        _ => Offsets::new(),
    };
    let unknown = || Refusal::new(ErrorCode::OFFSET_NOT_AVAILABLE, None);
    partitions
        .iter()
        .map(|&partition| {
            let of = |offsets: &Offsets| offsets.get(&key(partition)).copied().ok_or_else(unknown);
            let (earliest, latest) = (of(earliest)?, of(latest)?);
            let (offset, note) = match position {
                Position::Earliest => (earliest, None),
                Position::Latest => (latest, None),
                Position::Offset(offset) => within(offset, earliest, latest),
                Position::Time(_) => behind(of(&timed)?, latest),
            };
            Ok(Start { partition, offset, note })
        })
        .collect()
}

fn within(offset: i64, earliest: i64, latest: i64) -> (i64, Option<String>) {
    match offset {
        _ if offset < earliest => {
            (earliest, Some(format!("{offset} is no longer there; this is the oldest")))
        }
        _ if offset > latest => {
            (latest, Some(format!("{offset} is not there yet; this is the end")))
        }
        _ => (offset, None),
    }
}

/// The offset found for a time, or -1.
fn behind(found: i64, latest: i64) -> (i64, Option<String>) {
    match found {
        0.. => (found, None),
        _ => (latest, Some("no record is as late as that; this is the end".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_kept_within_what_is_there() {
        assert_eq!(within(5, 5, 9), (5, None));
        assert_eq!(within(9, 5, 9), (9, None));
        let (offset, note) = within(4, 5, 9);
        assert_eq!((offset, note.is_some()), (5, true));
        let (offset, note) = within(10, 5, 9);
        assert_eq!((offset, note.is_some()), (9, true));
    }

    #[test]
    fn a_time_behind_the_last_record_is_the_end() {
        assert_eq!(behind(3, 9), (3, None));
        assert_eq!(behind(-1, 9).0, 9);
    }
}
