//! Consumer groups: all, one, and how its offsets are set anew.

use axum::Json;
use axum::extract::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{GroupDescription, GroupMember, GroupOffset, OffsetChange, ResetTo};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::{Answer, ApiError};
use crate::http::extract::{Body, Live, Told};
use crate::nearest;

const LIST: Endpoint = Endpoint::get("/api/groups", "Consumer groups, as of a second ago.").answer(
    "{total, groups:[{group, state, protocol, members, topics, lag (null: not known), \
     problems:[..]}]}, 10000 groups at most",
);

const DESCRIBE: Endpoint =
    Endpoint::get("/api/groups/{group}", "A group, its members and offsets, as of now.").answer(
        "{group, state, coordinator, members:[{id, client_id, host, assignment:[{topic, \
         partitions:[..]}]}], offsets:[{topic, partition, committed, high_watermark, lag, \
         member}]}; null where it is not known",
    );

const RESET: Endpoint = Endpoint::post(
    "/api/groups/{group}/reset",
    "Sets a group's offsets of a topic anew; it must not have members. A dry run changes nothing.",
)
.body(
    "{topic, partitions?:[..], to: \"earliest\"|\"latest\"|{\"offset\": N}|{\"time_ms\": N}|\
     {\"by\": N}, dry_run?: true unless said otherwise}",
)
.answer("{changes:[{topic, partition, from: offset or null, to: offset}], applied}");

const DELETE: Endpoint = Endpoint::delete(
    "/api/groups/{group}",
    "Deletes a group that has no members, and what it has committed.",
)
.answer("{group}");

/// Groups of an answer.
const GROUPS_MAX: usize = 10_000;

/// Records behind that are called a problem.
const LAG_MAX: i64 = 1_000_000;

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
    all.add(DESCRIBE, describe);
    all.add(RESET, reset);
    all.add(DELETE, delete);
}

#[derive(Serialize)]
struct List {
    total: usize,
    groups: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    group: String,
    state: String,
    protocol: String,
    members: usize,
    topics: usize,
    lag: Option<i64>,
    problems: Vec<String>,
}

impl Row {
    fn of(group: &GroupDescription) -> Row {
        let known = group.offsets.iter().filter_map(|place| place.lag);
        let lag = known.reduce(i64::saturating_add);
        Row {
            group: group.group.clone(),
            state: group.state.clone(),
            protocol: match group.protocol.is_empty() {
                true => group.protocol_type.clone(),
                false => group.protocol.clone(),
            },
            members: group.members.len(),
            topics: group.offsets.chunk_by(|a, b| a.topic == b.topic).count(),
            lag,
            problems: problems(group, lag),
        }
    }
}

fn problems(group: &GroupDescription, lag: Option<i64>) -> Vec<String> {
    let far = lag.filter(|lag| *lag >= LAG_MAX).map(|lag| format!("{lag} records behind"));
    let gone = group.offsets.iter().filter(|place| place.high_watermark.is_none()).count();
    let gone = (gone > 0).then(|| format!("{gone} committed offsets are of no partition"));
    far.into_iter().chain(gone).collect()
}

async fn list(live: Live) -> Told {
    let seen = live.view.lags.fresh(&live).await?;
    live.tell(move |_| {
        let groups = seen.groups.iter().take(GROUPS_MAX).map(Row::of).collect();
        Ok::<_, ApiError>(List { total: seen.groups.len(), groups })
    })
    .await
}

#[derive(Serialize)]
struct Description {
    group: String,
    state: String,
    coordinator: String,
    members: Vec<Member>,
    offsets: Vec<Offset>,
}

#[derive(Serialize)]
struct Member {
    id: String,
    client_id: String,
    host: String,
    assignment: Vec<Assignment>,
}

#[derive(Serialize)]
struct Assignment {
    topic: String,
    partitions: Vec<i32>,
}

#[derive(Serialize)]
struct Offset {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    high_watermark: Option<i64>,
    lag: Option<i64>,
    member: Option<String>,
}

impl From<GroupMember> for Member {
    fn from(member: GroupMember) -> Member {
        let assigned = member.assignment.into_iter();
        Member {
            id: member.id,
            client_id: member.client_id,
            host: member.host,
            assignment: assigned
                .map(|(topic, partitions)| Assignment { topic, partitions })
                .collect(),
        }
    }
}

impl From<GroupOffset> for Offset {
    fn from(offset: GroupOffset) -> Offset {
        let GroupOffset { topic, partition, committed, high_watermark, lag, member } = offset;
        Offset { topic, partition, committed, high_watermark, lag, member }
    }
}

async fn describe(live: Live, Path(id): Path<String>) -> Answer<Description> {
    let found = {
        let id = id.clone();
        live.run(move |client| client.group(&id)).await?
    };
    let Some(group) = found else { return Err(unknown(&live, &id).await) };
    let node = &live.broker.node;
    Ok(Json(Description {
        group: group.group,
        state: group.state,
        coordinator: format!("{} (node {})", node.host, node.id),
        members: group.members.into_iter().map(Member::from).collect(),
        offsets: group.offsets.into_iter().map(Offset::from).collect(),
    }))
}

async fn unknown(live: &Live, id: &str) -> ApiError {
    let error = ApiError::not_found(format!("no group `{id}`"));
    let Ok(seen) = live.view.lags.fresh(live).await else { return error };
    match nearest(id, seen.groups.iter().map(|group| group.group.as_str())) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    topic: String,
    partitions: Option<Vec<i32>>,
    to: To,
    /// Whoever does not say gets no more than a look.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum To {
    Earliest,
    Latest,
    Offset(i64),
    TimeMs(i64),
    By(i64),
}

impl From<To> for ResetTo {
    fn from(to: To) -> ResetTo {
        match to {
            To::Earliest => ResetTo::Earliest,
            To::Latest => ResetTo::Latest,
            To::Offset(offset) => ResetTo::Offset(offset),
            To::TimeMs(ms) => ResetTo::Time(ms),
            To::By(records) => ResetTo::By(records),
        }
    }
}

#[derive(Serialize)]
struct Changes {
    changes: Vec<Change>,
    applied: bool,
}

#[derive(Serialize)]
struct Change {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
}

async fn reset(live: Live, Path(group): Path<String>, Body(wish): Body<Reset>) -> Answer<Changes> {
    let applied = !wish.dry_run;
    let changes = live
        .run(move |client| {
            let partitions = wish.partitions.as_deref();
            let changes = client.plan_reset(&group, &wish.topic, partitions, wish.to.into())?;
            if applied {
                client.reset(&group, &changes)?;
            }
            Ok::<_, ApiError>(changes)
        })
        .await?;
    if applied {
        live.view.lags.forget();
    }
    let change =
        |OffsetChange { topic, partition, from, to }| Change { topic, partition, from, to };
    Ok(Json(Changes { changes: changes.into_iter().map(change).collect(), applied }))
}

async fn delete(live: Live, Path(group): Path<String>) -> Answer<Value> {
    let told = json!({ "group": group });
    live.run(move |client| client.delete_group(&group)).await?;
    live.view.lags.forget();
    Ok(Json(told))
}
