//! `chaski group list`.

use serde::Serialize;

use crate::args::GroupList;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct Listed {
    group: String,
    state: String,
    protocol_type: String,
    assignor: String,
    members: usize,
}

impl Row for Listed {
    const COLUMNS: &'static [Column] =
        &[text("GROUP"), text("STATE"), number("MEMBERS"), text("PROTOCOL"), text("ASSIGNOR")];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.clone(),
            self.state.clone(),
            self.members.to_string(),
            self.protocol_type.clone(),
            self.assignor.clone(),
        ]
    }
}

pub(super) fn run(args: &GroupList) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    let names = client.group_names()?;
    let groups = client.groups(&names)?;
    let rows: Vec<Listed> = groups
        .into_iter()
        .map(|group| Listed {
            group: group.name,
            state: group.state,
            protocol_type: group.protocol_type,
            assignor: group.assignor,
            members: group.members.len(),
        })
        .collect();
    output::list(args.output.output, &rows)
}
