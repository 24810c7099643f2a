//! `chaski group delete`.

use chaski_kafka::{ErrorCode, delete_groups};

use crate::args::GroupDelete;
use crate::client::{Client, Refusal};
use crate::failure::Failure;
use crate::output::{count, say};
use crate::question;

pub(super) fn run(args: &GroupDelete) -> Result<(), Failure> {
    let mut client = Client::connect(&args.broker.broker)?;
    for group in client.groups(&args.names)? {
        // A wrong name among them is found before anything is deleted.
        if group.is_dead() {
            return Err(client.unknown_group(&group.name)?.into());
        }
    }
    if !args.yes && question::can_ask() {
        let what = count(args.names.len() as u64, "group");
        if !question::ask(&format!("Delete {what} with the offsets committed?"))? {
            return say("nothing was deleted");
        }
    }
    let groups_names = args.names.iter().map(String::as_str).collect();
    let mut buf = Vec::new();
    let response = client.call(&delete_groups::Request { groups_names }, &mut buf)?;
    for group in &response.results {
        let name = group.group_id;
        Refusal::check(group.error_code, None).map_err(|refusal| explain(name, &refusal))?;
        say(&format!("deleted group `{name}`"))?;
    }
    Ok(())
}

fn explain(name: &str, refusal: &Refusal) -> Failure {
    let failure = Failure::because(format!("group `{name}` was not deleted"), refusal);
    match refusal.code {
        ErrorCode::NON_EMPTY_GROUP => failure.hint(format!(
            "stop its consumers first; `chaski group describe {name}` shows who they are"
        )),
        _ => failure,
    }
}
