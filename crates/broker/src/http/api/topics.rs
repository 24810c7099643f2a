//! All topics, a page at a time; and how one is made, changed and deleted.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Broker;
use crate::cluster::{Topic, effective};
use crate::http::View;
use crate::http::census::Look;
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::{Answer, ApiError};
use crate::http::extract::{Body, Live, Params, Told};
use crate::http::lags::{Seen, TopicLag};

const LIST: Endpoint = Endpoint::get("/api/topics", "Topics, a page of them.")
    .query(&[
        ("offset", "Topics passed over; 0."),
        ("limit", "Topics at most; 100, up to 1000."),
        ("search", "Only those with this in their name, whatever the case."),
        ("sort", "`name`, `bytes`, `lag` or `rate`; `name`."),
        ("desc", "`1`: the other way round."),
    ])
    .answer(
        "{total, topics:[{name, partitions, records, bytes, in_records_s (null: not known yet), \
         groups: how many read it (null: not known now), lag: of the one farthest behind (null: \
         there is none, or of none is it known), cleanup_policy, problems:[..]}]}",
    );

const CREATE: Endpoint = Endpoint::post("/api/topics", "Makes a topic.")
    .body("{name, partitions?, settings?:{NAME: VALUE}}")
    .answer("{name, id, partitions}");

const ALTER: Endpoint =
    Endpoint::patch("/api/topics/{topic}", "Gives a topic more partitions, or other settings.")
        .body("{partitions?, settings?:{NAME: VALUE, or null for what the broker says}}")
        .answer("{name, id, partitions}");

const DELETE: Endpoint =
    Endpoint::delete("/api/topics/{topic}", "Deletes a topic with all its records.")
        .answer("{name}");

/// Rows of a page.
const LIMIT_MAX: usize = 1000;

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
    all.add(CREATE, create);
    all.add(ALTER, alter);
    all.add(DELETE, delete);
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    #[serde(default)]
    search: String,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    desc: String,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Sort {
    #[default]
    Name,
    Bytes,
    Lag,
    Rate,
}

#[derive(Serialize)]
struct Page {
    total: usize,
    topics: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    partitions: usize,
    records: i64,
    bytes: u64,
    in_records_s: Option<f64>,
    groups: Option<usize>,
    lag: Option<i64>,
    cleanup_policy: String,
    problems: Vec<String>,
}

async fn list(live: Live, Params(wish): Params<Wish>) -> Told {
    // Without it the topics are still there.
    let seen = live.view.lags.fresh(&live).await.ok();
    let (view, broker) = (live.view.clone(), live.broker.clone());
    live.tell(move |_| Ok::<_, ApiError>(page(&view, &broker, seen.as_deref(), &wish))).await
}

fn page(view: &View, broker: &Broker, seen: Option<&Seen>, wish: &Wish) -> Page {
    let cluster = broker.cluster.load_full();
    let wanted = wish.search.to_lowercase();
    let is_wanted = |topic: &&Arc<Topic>| {
        wanted.is_empty() || topic.name.to_ascii_lowercase().contains(&wanted)
    };
    // By name they are in order already.
    let mut topics: Vec<Arc<Topic>> = cluster.by_name.values().filter(is_wanted).cloned().collect();
    let lag = |topic: &Topic| seen.map(|seen| seen.of_topic(&topic.name));
    let largest = |topic: &Topic| lag(topic).and_then(|lag| lag.largest);
    let desc = matches!(wish.desc.as_str(), "1" | "true");
    match wish.sort {
        Sort::Name if desc => topics.reverse(),
        Sort::Name => {}
        Sort::Lag => order(&mut topics, desc, |topic| largest(topic).map(|lag| lag as f64)),
        Sort::Bytes | Sort::Rate => {
            let looks = view.census.look_at_all(broker);
            order(&mut topics, desc, |topic| {
                let look = looks.get(&topic.id)?;
                if wish.sort == Sort::Rate { look.rate } else { Some(look.bytes as f64) }
            });
        }
    }
    let total = topics.len();
    let limit = wish.limit.unwrap_or(100).min(LIMIT_MAX);
    let topics: Vec<Arc<Topic>> = topics.into_iter().skip(wish.offset).take(limit).collect();
    let looks = view.census.look(broker, &topics);
    let row = |(topic, look): (&Arc<Topic>, Look)| Row::new(topic, &look, broker, lag(topic));
    Page { total, topics: topics.iter().zip(looks).map(row).collect() }
}

/// Sorts; equals stay in order of name. What is not known is last, either way.
fn order(topics: &mut [Arc<Topic>], desc: bool, value: impl Fn(&Topic) -> Option<f64>) {
    let turn = |order: Ordering| if desc { order.reverse() } else { order };
    let mut keyed: Vec<(Option<f64>, Arc<Topic>)> =
        topics.iter().map(|topic| (value(topic), topic.clone())).collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => turn(a.total_cmp(b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    for (place, (_, topic)) in topics.iter_mut().zip(keyed) {
        *place = topic;
    }
}

impl Row {
    fn new(topic: &Topic, look: &Look, broker: &Broker, lag: Option<TopicLag>) -> Row {
        let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let failed = some(look.failed, "partitions are closed for writing");
        let damaged = some(look.damaged, "partitions have damaged segments");
        Row {
            name: topic.name.as_ref().to_owned(),
            partitions: topic.partitions.len(),
            records: look.records,
            bytes: look.bytes,
            in_records_s: look.rate,
            groups: lag.map(|lag| lag.groups),
            lag: lag.and_then(|lag| lag.largest),
            cleanup_policy: effective(&topic.given, &broker.settings, "cleanup.policy").0.into(),
            problems: failed.into_iter().chain(damaged).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    partitions: Option<u32>,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct Made {
    name: String,
    id: String,
    partitions: usize,
}

impl Made {
    fn of(topic: &crate::client::Topic) -> Made {
        let (name, id) = (topic.name().to_owned(), topic.id().to_string());
        Made { name, id, partitions: topic.partitions() }
    }
}

async fn create(live: Live, Body(new): Body<New>) -> Answer<Made> {
    let settings = values(new.settings)?;
    live.run(move |client| {
        let given = settings.iter().filter_map(|(name, value)| Some((&**name, value.as_deref()?)));
        let given: Vec<(&str, &str)> = given.collect();
        let topic = client.create_topic(&new.name, new.partitions, &given)?;
        Ok::<_, ApiError>(Json(Made::of(&topic)))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    partitions: Option<u32>,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
}

async fn alter(live: Live, Path(name): Path<String>, Body(change): Body<Change>) -> Answer<Made> {
    let settings = values(change.settings)?;
    live.run(move |client| {
        if !settings.is_empty() {
            let given: Vec<(&str, Option<&str>)> =
                settings.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
            client.alter_topic(&name, &given)?;
        }
        if let Some(partitions) = change.partitions {
            client.grow_topic(&name, partitions)?;
        }
        let topic = client.topic(&name);
        let topic = topic.ok_or_else(|| ApiError::not_found(format!("no topic `{name}`")))?;
        Ok::<_, ApiError>(Json(Made::of(&topic)))
    })
    .await
}

async fn delete(live: Live, Path(name): Path<String>) -> Answer<Value> {
    let told = json!({ "name": name });
    live.run(move |client| client.delete_topic(&name)).await?;
    live.view.lags.forget();
    Ok(Json(told))
}

/// Values of settings, which may be given as JSON has them.
fn values(given: BTreeMap<String, Value>) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let text = |(name, value): (String, Value)| match value {
        Value::Null => Ok((name, None)),
        Value::String(text) => Ok((name, Some(text))),
        Value::Number(number) => Ok((name, Some(number.to_string()))),
        Value::Bool(flag) => Ok((name, Some(flag.to_string()))),
        _ => Err(ApiError::invalid(format!("`{name}` has to be text, a number or a truth value"))),
    };
    given.into_iter().map(text).collect()
}
