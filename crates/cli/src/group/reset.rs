//! `chaski group reset`.
//!
//! The offsets of a group with members cannot be set from outside: each member goes on where it
//! is, and commits over what was set.

use chaski_kafka::list_offsets::{EARLIEST, LATEST};
use chaski_kafka::offset_commit;
use serde::Serialize;

use crate::args::GroupReset;
use crate::client::{Client, ClientError, GroupState, Refusal, TopicInfo};
use crate::failure::Failure;
use crate::output::{self, Row, count, or_dash};
use crate::start::{Start, starts};
use crate::table::{Column, number, text};

/// One partition before and after.
#[derive(Debug, Serialize)]
struct Change {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    new: i64,
    /// Records to read again (below zero) or to pass over; None if nothing was committed.
    change: Option<i64>,
    /// Why it is not the offset that was asked for.
    note: Option<String>,
}

pub(super) fn run(args: &GroupReset) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    let group = client.group(&args.name)?;
    if args.execute {
        refuse_if_active(&group)?;
    }
    let topic = client.topic(&args.topic)?;
    let changes = changes(&mut client, args, &topic)?;
    if args.execute {
        commit(&mut client, &args.name, &topic.name, &changes)?;
    }
    output::list(args.output.output, &changes)?;
    eprintln!("{}", verdict(args, &group, changes.len()));
    Ok(())
}

fn verdict(args: &GroupReset, group: &GroupState, changes: usize) -> String {
    let what = count(changes as u64, "offset");
    match group.members.len() as u64 {
        _ if args.execute => format!("{what} of group `{}` set", args.name),
        0 if group.is_dead() => {
            format!("nothing was changed; --execute creates group `{}` so", args.name)
        }
        0 => format!("nothing was changed; --execute sets {what}"),
        members => format!(
            "nothing was changed, nor can it be while the group has {}",
            count(members, "member")
        ),
    }
}

fn refuse_if_active(group: &GroupState) -> Result<(), Failure> {
    let name = &group.name;
    match group.members.len() as u64 {
        0 => Ok(()),
        members => Err(Failure::new(format!("group `{name}` has {}", count(members, "member")))
            .hint(format!(
                "stop its consumers first; `chaski group describe {name}` shows who they are"
            ))),
    }
}

fn changes(
    client: &mut Client,
    args: &GroupReset,
    topic: &TopicInfo,
) -> Result<Vec<Change>, ClientError> {
    let partitions = topic.choose(&args.partitions)?;
    let committed = client.committed(&args.name)?;
    let earliest = client.offsets(topic.keys(), EARLIEST)?;
    let latest = client.offsets(topic.keys(), LATEST)?;
    let starts = starts(client, &topic.name, &partitions, args.to, &earliest, &latest)?;
    Ok(starts
        .into_iter()
        .map(|Start { partition, offset: new, note }| {
            let committed = committed.get(&(topic.name.clone(), partition)).map(|c| c.offset);
            let change = committed.map(|committed| new - committed);
            Change { topic: topic.name.clone(), partition, committed, new, change, note }
        })
        .collect())
}

fn commit(
    client: &mut Client,
    group: &str,
    topic: &str,
    changes: &[Change],
) -> Result<(), Failure> {
    let partitions = changes
        .iter()
        .map(|change| offset_commit::RequestPartition {
            partition_index: change.partition,
            committed_offset: change.new,
            committed_metadata: Some(""),
            ..Default::default()
        })
        .collect();
    let request = offset_commit::Request {
        group_id: group,
        topics: vec![offset_commit::RequestTopic { name: topic, partitions }],
        ..Default::default()
    };
    let mut buf = Vec::new();
    let response = client.call(&request, &mut buf)?;
    let outcomes = response.topics.iter().flat_map(|topic| &topic.partitions);
    for outcome in outcomes {
        Refusal::check(outcome.error_code, None).map_err(|refusal| {
            let partition = outcome.partition_index;
            Failure::because(format!("the offset of partition {partition} was not set"), &refusal)
                .hint(format!("did a consumer join? `chaski group describe {group}` shows"))
        })?;
    }
    Ok(())
}

impl Row for Change {
    const COLUMNS: &'static [Column] = &[
        text("TOPIC"),
        number("PARTITION"),
        number("COMMITTED"),
        number("NEW"),
        number("CHANGE"),
        text(""),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            or_dash(self.committed),
            self.new.to_string(),
            or_dash(self.change.map(|change| match change {
                0 => "0".to_owned(),
                _ => format!("{change:+}"),
            })),
            self.note.clone().unwrap_or_default(),
        ]
    }
}
