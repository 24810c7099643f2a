//! Messages of a topic: from a position on, or the newest; filtered here, decoded as asked.

use std::collections::BTreeMap;
use std::ops::Range;

use axum::extract::Path;
use serde::{Deserialize, Serialize};

use super::decode::Decode;
use super::record::{Lens, Matcher, Message, Problem};
use super::scan::{Budget, Scan, Stretch};
use crate::Client;
use crate::client::OffsetQuery;
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::extract::{Live, Params, Told};

const LIST: Endpoint = Endpoint::get(
    "/api/topics/{topic}/messages",
    "Records of a topic. One request looks at 64 MiB of the log, a million records and for 2 \
     seconds at most; `next` is where to read on, and `scanned` how many were looked at.",
)
.query(&[
    ("partition", "`all`, or a number; `all`."),
    (
        "from",
        "`earliest`; `latest`: the newest ones; an offset; `time:MS`, since the epoch; or what \
         `next` said: `PARTITION:OFFSET,..`, which names the partitions to read; `latest`.",
    ),
    (
        "before",
        "`PARTITION:OFFSET,..`: only what is before these offsets: with `latest`, how one goes \
         back; all.",
    ),
    ("limit", "Records at most; 50, up to 1000."),
    ("filter", "Only records with this text in key, value or headers, byte by byte."),
    ("key", "Only records with this key."),
    ("decode", "`auto`, `text`, `json`, `hex`, `base64` or `msgpack`; `auto`."),
    ("max_bytes", "Bytes of a key or value that are told; 65536, up to 1048576."),
])
.answer(
    "{messages:[{partition, offset, timestamp_ms, key, value, headers:[{name, value}], size}] by \
     partition, in order of offsets, next:{PARTITION: offset}, scanned, reached_end, \
     problems:[{partition, offset, what}]}; bytes are null, {\"text\"}, {\"json\": text}, \
     {\"hex\"} or {\"base64\"}, with \"cut\": bytes left out",
);

/// Records of an answer.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    partition: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    before: String,
    limit: Option<usize>,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    decode: Decode,
    max_bytes: Option<usize>,
}

#[derive(Serialize)]
struct Messages {
    messages: Vec<Message>,
    next: BTreeMap<i32, i64>,
    scanned: u64,
    reached_end: bool,
    problems: Vec<Problem>,
}

async fn list(live: Live, Path(topic): Path<String>, Params(wish): Params<Wish>) -> Told {
    live.tell(move |client| read(client, &topic, &wish)).await
}

fn read(client: &Client, topic: &str, wish: &Wish) -> Result<Messages, ApiError> {
    let from: From = wish.from.parse()?;
    let before = match wish.before.as_str() {
        "" => BTreeMap::new(),
        given => offsets_by_partition("before", given)?,
    };
    let partitions = partitions(client, topic, &wish.partition)?;
    let mut stretches = stretches(client, topic, partitions, &from, &before)?;
    let limit = wish.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let matcher = Matcher::new(&wish.filter, &wish.key);
    let lens = Lens::new(wish.decode, wish.max_bytes);
    let mut scan = Scan::new(client, topic, &matcher, Budget::of_request());
    let mut scanned = None;
    if from == From::Latest {
        scan.seek_newest(&mut stretches, limit)?;
        // What is found is read once more, and was looked at once.
        scanned = Some(scan.scanned);
        scan.budget = Budget::of_request();
    }
    let messages = scan.forward(&mut stretches, limit, lens)?;
    Ok(Messages {
        messages,
        next: stretches.iter().map(|stretch| (stretch.partition, stretch.next)).collect(),
        scanned: scanned.unwrap_or(scan.scanned),
        reached_end: stretches.iter().all(Stretch::is_done),
        problems: scan.problems,
    })
}

/// The partitions that a query names.
pub(super) fn partitions(client: &Client, topic: &str, wish: &str) -> Result<Range<i32>, ApiError> {
    // Both errors, of the topic and of the partition, are made where they are known.
    if wish.is_empty() || wish == "all" {
        client.offsets(topic, 0)?;
        return Ok(0..client.topic(topic).map_or(0, |topic| topic.partitions()) as i32);
    }
    let error =
        || ApiError::invalid(format!("`partition` is `{wish}`, but must be a number or `all`"));
    let partition: i32 = wish.parse().map_err(|_| error())?;
    client.offsets(topic, partition)?;
    Ok(partition..partition + 1)
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Earliest,
    Latest,
    Offset(i64),
    Time(i64),
    Each(BTreeMap<i32, i64>),
}

impl std::str::FromStr for From {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<From, ApiError> {
        let error = || {
            ApiError::invalid(format!("`from` is `{text}`"))
                .hint("say `earliest`, `latest`, an offset, `time:MS`, or `PARTITION:OFFSET,..`")
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| error());
        match text {
            "" | "latest" => return Ok(From::Latest),
            "earliest" => return Ok(From::Earliest),
            _ => {}
        }
        if let Some(ms) = text.strip_prefix("time:") {
            return number(ms).map(From::Time);
        }
        if !text.contains(':') {
            return number(text).map(From::Offset);
        }
        offsets_by_partition("from", text).map(From::Each)
    }
}

/// `0:120,1:98`.
fn offsets_by_partition(name: &str, text: &str) -> Result<BTreeMap<i32, i64>, ApiError> {
    let error = || {
        ApiError::invalid(format!("`{name}` is `{text}`"))
            .hint("say `PARTITION:OFFSET`, with commas between several")
    };
    let pair = |pair: &str| {
        let (partition, offset) = pair.split_once(':').ok_or_else(error)?;
        Ok((partition.parse().map_err(|_| error())?, offset.parse().map_err(|_| error())?))
    };
    text.split(',').map(pair).collect()
}

/// What is to be looked through: of each partition from where was asked to where it ends now, or
/// to where was asked.
fn stretches(
    client: &Client,
    topic: &str,
    partitions: Range<i32>,
    from: &From,
    before: &BTreeMap<i32, i64>,
) -> Result<Vec<Stretch>, ApiError> {
    let mut all = Vec::new();
    for partition in partitions {
        let offsets = client.offsets(topic, partition)?;
        let bounds = (offsets.log_start, offsets.high_watermark);
        let next = match from {
            // The newest are looked for from the end back to the start.
            From::Earliest | From::Latest => bounds.0,
            From::Offset(offset) => *offset,
            From::Time(ms) => {
                let found = client.find_offset(topic, partition, OffsetQuery::AtOrAfter(*ms))?;
                found.map_or(bounds.1, |found| found.offset)
            }
            From::Each(each) => match each.get(&partition) {
                Some(offset) => *offset,
                None => continue,
            },
        };
        all.push(within(bounds, partition, next, before.get(&partition).copied()));
    }
    Ok(all)
}

/// What is between the bounds of the partition, and before an offset if one is given.
fn within((start, end): (i64, i64), partition: i32, next: i64, before: Option<i64>) -> Stretch {
    let end = before.map_or(end, |before| before.min(end).max(start));
    Stretch { partition, next: next.min(end).max(start), end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_said_in_many_ways() {
        let from = |text: &str| text.parse::<From>().ok();
        assert_eq!(from(""), Some(From::Latest));
        assert_eq!(from("earliest"), Some(From::Earliest));
        assert_eq!(from("42"), Some(From::Offset(42)));
        assert_eq!(from("time:-1"), Some(From::Time(-1)));
        assert_eq!(from("0:5,3:7"), Some(From::Each([(0, 5), (3, 7)].into())));
        for wrong in ["now", "1.5", "time:", "0:", ":1", "0:1,", "0:1;2:3"] {
            assert_eq!(from(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn before_is_an_offset_of_some_partitions() {
        let before = |text: &str| offsets_by_partition("before", text).ok();
        assert_eq!(before("2:9"), Some([(2, 9)].into()));
        assert_eq!(before("0:5,3:-7,1:0"), Some([(0, 5), (3, -7), (1, 0)].into()));
        assert_eq!(before("0:5,0:6"), Some([(0, 6)].into()), "the last one holds");
        for wrong in ["", "3", "0:", ":1", "0:1,", "0:1;2:3", "0:x", "99999999999:1"] {
            assert_eq!(before(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_read_from_before_on() {
        let of = |next, before| {
            let stretch = within((10, 20), 3, next, before);
            (stretch.next, stretch.end)
        };
        assert_eq!(of(10, None), (10, 20));
        assert_eq!(of(12, Some(15)), (12, 15));
        assert_eq!(of(18, Some(15)), (15, 15), "all of it is before where one begins");
        assert_eq!(of(12, Some(99)), (12, 20), "there is no more");
        assert_eq!(of(12, Some(-1)), (10, 10), "nothing is that old any more");
        assert_eq!((of(i64::MIN, None), of(i64::MAX, None)), ((10, 20), (20, 20)));
        assert_eq!(within((0, 0), 0, 5, Some(7)).end, 0, "an empty one");
    }
}
