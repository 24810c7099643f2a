//! The live tail: records as they come, and an honest count of those that are not shown.
//!
//! A viewer gets so many records a second, and bytes. Where more come, the newest are shown and
//! the others counted: by their offsets where all are wanted, so that they need not be read; where
//! some are wanted, they are looked through as long as that keeps up, and skipped and counted where
//! it does not. A viewer that takes his events slowly is asked for nothing in between: the log
//! waits, and what was too much by then is counted in the same way.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::decode::Decode;
use super::messages;
use super::record::{Lens, Matcher, Message};
use super::scan::{Budget, Scan, Stretch};
use crate::Client;
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::events::{Events, SILENCE, Speaker};
use crate::http::extract::{Live, Params};
use crate::http::sessions::Hold;

const TAIL: Endpoint = Endpoint::get(
    "/api/topics/{topic}/tail",
    "Server-sent events: `message` for each record that comes from now on, 200 a second at most; \
     `dropped` {count, unseen} for those left out since the last: there were too many, or the \
     viewer was slow; of these, `unseen` were not looked at, and might have been filtered out; \
     `ping` when there is nothing else. Ends with the topic, \
     and with the login if it came by one.",
)
.query(&[
    ("partition", "`all`, or a number; `all`."),
    ("filter", "Only records with this text in key, value or headers, byte by byte."),
    ("key", "Only records with this key."),
    ("decode", "As for messages."),
    ("max_bytes", "As for messages."),
])
.answer("a stream of events, their data one line of JSON, `message` as in messages");

/// Between two looks; and where there was too much to show, which does not get worse by waiting.
const TICK: Duration = Duration::from_millis(100);
const TICK_DROPPING: Duration = Duration::from_millis(500);

/// Records a second that are shown.
const RECORDS_S: f64 = 200.0;

/// Bounds of one look: bytes of the log, records, bytes of the events.
const LOOK_BYTES: usize = 1 << 20;
const LOOK_RECORDS: u64 = 100_000;
const EVENTS_BYTES: usize = 1 << 20;

/// Records that a filter may be behind before it skips them.
const BEHIND_MAX: i64 = 200_000;

pub(super) fn add(all: &mut Endpoints) {
    all.add(TAIL, tail);
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    partition: String,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    decode: Decode,
    max_bytes: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Dropped {
    count: u64,
    unseen: u64,
}

async fn tail(
    live: Live,
    Extension(hold): Extension<Hold>,
    Path(topic): Path<String>,
    Params(wish): Params<Wish>,
) -> Result<Response, ApiError> {
    let tail = {
        let topic = topic.clone();
        live.run(move |client| Tail::begin(client, topic, &wish)).await?
    };
    let (speaker, response) = live.view.streams.open(hold)?;
    tokio::spawn(follow(live, tail, speaker));
    Ok(response)
}

/// Tells what comes until the topic is gone, the broker stops, or nobody listens.
async fn follow(live: Live, mut tail: Tail, speaker: Speaker) {
    // The first word says that it has begun: what comes from now on is shown.
    if !speaker.say(Events::ping()).await {
        return;
    }
    let mut said = Instant::now();
    let mut allowed = Allowance::new();
    let mut tick = TICK;
    loop {
        tokio::select! {
            () = speaker.gone() => return,
            () = sleep(tick) => {}
        }
        if live.client.has_stopped() || !tail.is_there(&live.client) {
            return;
        }
        let mut events = Events::default();
        tick = TICK;
        if tail.is_behind(&live.client) {
            let shown_max = allowed.now();
            let looked = live.run(move |client| tail.look(client, shown_max).map(|s| (tail, s)));
            let Ok((back, seen)) = looked.await else { return };
            tail = back;
            allowed.spend(seen.messages.len());
            for message in &seen.messages {
                events.push_json("message", message);
            }
            if seen.dropped.count > 0 {
                events.push_json("dropped", &seen.dropped);
                tick = TICK_DROPPING;
            }
        }
        if events.is_empty() && said.elapsed() >= SILENCE {
            events = Events::ping();
        }
        if !events.is_empty() {
            if !speaker.say(events).await {
                return;
            }
            said = Instant::now();
        }
    }
}

/// How many records may be shown: a second's worth is saved up.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new() -> Allowance {
        Allowance { left: RECORDS_S, at: Instant::now() }
    }

    fn now(&mut self) -> usize {
        let gained = self.at.elapsed().as_secs_f64() * RECORDS_S;
        self.at = Instant::now();
        self.left = (self.left + gained).min(RECORDS_S);
        self.left as usize
    }

    fn spend(&mut self, records: usize) {
        self.left -= records as f64;
    }
}

/// What one look brought.
#[derive(Default)]
struct Seen {
    messages: Vec<Message>,
    dropped: Dropped,
}

/// Where a viewer is.
struct Tail {
    topic: String,
    id: uuid::Uuid,
    /// Whether partitions that come later are followed.
    all: bool,
    /// Each with where it is and, as of the last look, ends.
    places: Vec<Stretch>,
    matcher: Matcher,
    lens: Lens,
    /// The partition that is looked at first, next time.
    turn: usize,
}

impl Tail {
    fn begin(client: &Client, topic: String, wish: &Wish) -> Result<Tail, ApiError> {
        let partitions = messages::partitions(client, &topic, &wish.partition)?;
        let all = wish.partition.is_empty() || wish.partition == "all";
        let id = client.topic(&topic).map(|topic| topic.id()).unwrap_or_default();
        let place = |partition| {
            let end = client.offsets(&topic, partition)?.high_watermark;
            Ok::<_, ApiError>(Stretch { partition, next: end, end })
        };
        let places = partitions.map(place).collect::<Result<_, _>>()?;
        Ok(Tail {
            places,
            topic,
            id,
            all,
            matcher: Matcher::new(&wish.filter, &wish.key),
            lens: Lens::new(wish.decode, wish.max_bytes),
            turn: 0,
        })
    }

    /// Whether it is still the same topic; takes in the partitions it has got.
    fn is_there(&mut self, client: &Client) -> bool {
        let Some(topic) = client.topic(&self.topic).filter(|topic| topic.id() == self.id) else {
            return false;
        };
        if self.all {
            let new = self.places.len()..topic.partitions();
            let place = |at| Stretch { partition: at as i32, next: 0, end: 0 };
            self.places.extend(new.map(place));
        }
        true
    }

    /// Whether there is something to be seen.
    fn is_behind(&mut self, client: &Client) -> bool {
        for place in &mut self.places {
            let offsets = client.offsets(&self.topic, place.partition);
            place.end = offsets.map_or(place.next, |offsets| offsets.high_watermark);
        }
        self.places.iter().any(|place| !place.is_done())
    }

    /// Looks at what has come, and shows so many at most.
    fn look(&mut self, client: &Client, shown_max: usize) -> Result<Seen, ApiError> {
        let mut seen = Seen::default();
        let behind: i64 = self.places.iter().map(|place| place.end - place.next).sum();
        let takes_all = self.matcher.takes_all();
        if takes_all && behind > shown_max as i64 {
            self.skip(shown_max as i64, &mut seen.dropped);
        } else if behind > BEHIND_MAX {
            let skipped = self.skip(0, &mut seen.dropped);
            seen.dropped.unseen += skipped;
        }
        self.turn = (self.turn + 1) % self.places.len().max(1);
        self.places.rotate_left(self.turn);
        let budget = Budget::new(LOOK_BYTES, LOOK_RECORDS);
        let mut scan = Scan::new(client, &self.topic, &self.matcher, budget);
        let mut bytes = 0;
        scan.each(&mut self.places, &mut |partition, record| {
            if seen.messages.len() < shown_max && bytes < EVENTS_BYTES {
                let message = self.lens.message(partition, record);
                bytes += message.len();
                seen.messages.push(message);
            } else {
                seen.dropped.count += 1;
            }
        })?;
        self.places.sort_by_key(|place| place.partition);
        if takes_all {
            // Too many bytes, though not too many records.
            self.skip(0, &mut seen.dropped);
        }
        Ok(seen)
    }

    /// Passes over all but the last `keep` records; how many that were.
    fn skip(&mut self, keep: i64, dropped: &mut Dropped) -> u64 {
        let open = self.places.iter().filter(|place| !place.is_done()).count().max(1) as i64;
        let (mut left, mut skipped) = (keep, 0);
        for place in &mut self.places {
            let kept = (keep / open).max(1).min(left).min(place.end - place.next);
            left -= kept;
            skipped += (place.end - kept - place.next) as u64;
            place.next = place.end - kept;
        }
        dropped.count += skipped;
        skipped
    }
}
