//! `chaski group`: one file a verb.

mod delete;
mod describe;
mod list;
mod reset;

use crate::args::Group;
use crate::failure::Failure;

pub(crate) fn run(args: &Group) -> Result<(), Failure> {
    match args {
        Group::List(args) => list::run(args),
        Group::Describe(args) => describe::run(args),
        Group::Reset(args) => reset::run(args),
        Group::Delete(args) => delete::run(args),
    }
}
