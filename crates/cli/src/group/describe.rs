//! `chaski group describe`.
//!
//! A partition is listed if the group has committed an offset for it, or if it is assigned to a
//! member. What is not known is not shown as zero: without a commit there is no lag.

use std::collections::{BTreeMap, BTreeSet};

use chaski_kafka::list_offsets::LATEST;
use serde::Serialize;

use crate::args::GroupDescribe;
use crate::client::{Client, ClientError, Committed, GroupState, Offsets};
use crate::failure::Failure;
use crate::output::{self, Described, Row, or_dash};
use crate::table::{Column, number, printable, text};

#[derive(Debug, Serialize)]
struct Description {
    group: String,
    state: String,
    protocol_type: String,
    assignor: String,
    members: Vec<Member>,
    offsets: Vec<Offset>,
    /// Over all partitions whose lag is known; None if none is.
    lag: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Member {
    member: String,
    client: String,
    host: String,
    instance: Option<String>,
    /// How many; None if what the member was assigned cannot be read.
    partitions: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Offset {
    topic: String,
    partition: i32,
    /// The next offset to read; None if none was committed.
    committed: Option<i64>,
    /// None if the partition is gone.
    end: Option<i64>,
    lag: Option<i64>,
    metadata: Option<String>,
    member: Option<String>,
}

pub(super) fn run(args: &GroupDescribe) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    let group = client.group(&args.name)?;
    if group.is_dead() {
        return Err(client.unknown_group(&args.name)?.into());
    }
    let offsets = offsets(&mut client, &group)?;
    output::describe(args.output.output, &describe(group, offsets))
}

fn offsets(client: &mut Client, group: &GroupState) -> Result<Vec<Offset>, ClientError> {
    let committed = client.committed(&group.name)?;
    let owners: BTreeMap<&(String, i32), &str> = group
        .members
        .iter()
        .flat_map(|member| member.assigned.iter().flatten().map(|key| (key, member.id.as_str())))
        .collect();
    let keys: BTreeSet<&(String, i32)> = committed.keys().chain(owners.keys().copied()).collect();
    let ends = client.offsets(keys.iter().map(|&key| key.clone()), LATEST)?;
    Ok(keys.into_iter().map(|key| offset(key, &committed, &ends, &owners)).collect())
}

fn offset(
    key: &(String, i32),
    committed: &BTreeMap<(String, i32), Committed>,
    ends: &Offsets,
    owners: &BTreeMap<&(String, i32), &str>,
) -> Offset {
    let committed = committed.get(key);
    let end = ends.get(key).copied();
    Offset {
        topic: key.0.clone(),
        partition: key.1,
        committed: committed.map(|committed| committed.offset),
        end,
        lag: committed.zip(end).map(|(committed, end)| end - committed.offset),
        metadata: committed.map(|c| c.metadata.clone()).filter(|metadata| !metadata.is_empty()),
        member: owners.get(key).map(|&member| member.to_owned()),
    }
}

fn describe(group: GroupState, offsets: Vec<Offset>) -> Description {
    let known = || offsets.iter().filter_map(|offset| offset.lag);
    Description {
        lag: known().next().map(|_| known().sum()),
        group: group.name,
        state: group.state,
        protocol_type: group.protocol_type,
        assignor: group.assignor,
        members: group
            .members
            .into_iter()
            .map(|member| Member {
                member: member.id,
                client: member.client,
                host: member.host,
                instance: member.instance,
                partitions: member.assigned.map(|assigned| assigned.len()),
            })
            .collect(),
        offsets,
    }
}

impl Described for Description {
    fn describe(&self) -> String {
        let mut text = format!(
            "group     {}\nstate     {}\nprotocol  {}\nassignor  {}\nlag       {}\n",
            printable(&self.group),
            printable(&self.state),
            or_dash(Some(printable(&self.protocol_type)).filter(|text| !text.is_empty())),
            or_dash(Some(printable(&self.assignor)).filter(|text| !text.is_empty())),
            or_dash(self.lag)
        );
        if !self.members.is_empty() {
            text = text + "\n" + &output::table(&self.members);
        }
        if !self.offsets.is_empty() {
            text = text + "\n" + &output::table(&self.offsets);
        }
        text
    }
}

impl Row for Member {
    const COLUMNS: &'static [Column] =
        &[text("MEMBER"), text("CLIENT"), text("HOST"), text("INSTANCE"), number("PARTITIONS")];

    fn cells(&self) -> Vec<String> {
        vec![
            self.member.clone(),
            self.client.clone(),
            self.host.clone(),
            or_dash(self.instance.as_ref()),
            or_dash(self.partitions),
        ]
    }
}

impl Row for Offset {
    const COLUMNS: &'static [Column] = &[
        text("TOPIC"),
        number("PARTITION"),
        number("COMMITTED"),
        number("END"),
        number("LAG"),
        text("MEMBER"),
        text("METADATA"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            or_dash(self.committed),
            or_dash(self.end),
            or_dash(self.lag),
            or_dash(self.member.as_ref()),
            self.metadata.clone().unwrap_or_default(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_told_from_zero() {
        let key = |partition| ("orders".to_owned(), partition);
        let at = |offset| Committed { offset, metadata: String::new() };
        let committed = BTreeMap::from([(key(0), at(5)), (key(2), at(7))]);
        let ends = Offsets::from([(key(0), 5), (key(1), 9)]);
        let assigned = key(1);
        let owners = BTreeMap::from([(&assigned, "m")]);
        let lag = |partition| offset(&key(partition), &committed, &ends, &owners).lag;
        assert_eq!(lag(0), Some(0), "all read");
        assert_eq!(lag(1), None, "nothing committed");
        assert_eq!(lag(2), None, "the partition is gone");
        assert_eq!(offset(&key(1), &committed, &ends, &owners).member.as_deref(), Some("m"));
    }
}
